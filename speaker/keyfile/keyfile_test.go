package keyfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
)

// mount is a Secret as kubelet mounts it: each file is a link through ..data to a directory that is never changed, and an update
// replaces ..data.
type mount struct {
	t   *testing.T
	dir string
	n   int
}

func (m *mount) update(files map[string]string) {
	m.t.Helper()
	m.n++
	version := filepath.Join(m.dir, "..version"+strings.Repeat("x", m.n))
	do := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	do(os.Mkdir(version, 0o700))
	for name, content := range files {
		do(os.WriteFile(filepath.Join(version, name), []byte(content), 0o600))
	}
	old, _ := os.Readlink(filepath.Join(m.dir, "..data"))
	do(os.Symlink(version, filepath.Join(m.dir, "..new")))
	do(os.Rename(filepath.Join(m.dir, "..new"), filepath.Join(m.dir, "..data")))
	for _, name := range []string{"secretkey", "secretkey.next", "secretkey.previous"} {
		_ = os.Remove(filepath.Join(m.dir, name))
		if _, ok := files[name]; ok {
			do(os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)))
		}
	}
	if old != "" {
		do(os.RemoveAll(old))
	}
}

func TestReadTakesTheKeysThatAreThere(t *testing.T) {
	for _, row := range []struct {
		name  string
		files map[string]string
		want  Secrets
		err   string // part of it
	}{
		{"one key", map[string]string{"secretkey": "a\n"}, Secrets{Send: []byte("a\n")}, ""},
		{"a next one", map[string]string{"secretkey": "a", "secretkey.next": "b"}, Secrets{[]byte("a"), [][]byte{[]byte("b")}}, ""},
		{"a previous one", map[string]string{"secretkey": "b", "secretkey.previous": "a"}, Secrets{[]byte("b"), [][]byte{[]byte("a")}}, ""},
		{"both", map[string]string{"secretkey": "b", "secretkey.next": "c", "secretkey.previous": "a"}, Secrets{[]byte("b"), [][]byte{[]byte("c"), []byte("a")}}, ""},
		{"something else beside it", map[string]string{"secretkey": "a", "secretkey.bak": "b"}, Secrets{Send: []byte("a")}, ""},
		{"nothing", map[string]string{"other": "a"}, Secrets{}, "secretkey: no such file"},
		{"a blank key", map[string]string{"secretkey": " \n"}, Secrets{}, "secretkey is empty"},
		{"a blank next key", map[string]string{"secretkey": "a", "secretkey.next": ""}, Secrets{}, "secretkey.next is empty"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := &mount{t: t, dir: t.TempDir()}
			m.update(row.files)
			got, err := Read(filepath.Join(m.dir, "secretkey"))
			if row.err == "" && err != nil || row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err)) {
				t.Errorf("error = %v, want one with %q", err, row.err)
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Errorf("secrets (-want +got):\n%s", d)
			}
		})
	}
	if got, err := Read(""); err != nil || got.Send != nil {
		t.Errorf("without a path: %v, %v", got, err)
	}
}

// follower is what a test sees of Follow.
type follower struct {
	mu     sync.Mutex
	taken  []string
	logged []string
	refuse error
}

func follow(t *testing.T, test func(t *testing.T, m *mount, f *follower)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, f := &mount{t: t, dir: t.TempDir()}, &follower{}
		m.update(map[string]string{"secretkey": "a"})
		path := filepath.Join(m.dir, "secretkey")
		have, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		take := func(s Secrets) error {
			text := string(s.Send)
			for _, a := range s.Accept {
				text += " " + string(a)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.taken = append(f.taken, text)
			return f.refuse
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Follow(ctx, path, have, take, funcr.New(f.log, funcr.Options{}))
		}()
		test(t, m, f)
		cancel()
		<-ended
	})
}

func (f *follower) log(_, args string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logged = append(f.logged, args)
}

func (f *follower) want(t *testing.T, taken ...string) {
	t.Helper()
	time.Sleep(3*Interval + Interval/2)
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := cmp.Diff(taken, f.taken); d != "" {
		t.Errorf("taken (-want +got):\n%s", d)
	}
	f.taken = nil
}

func TestEachStepOfAChangeIsTakenOnce(t *testing.T) {
	follow(t, func(t *testing.T, m *mount, f *follower) {
		f.want(t)
		m.update(map[string]string{"secretkey": "a", "secretkey.next": "b"})
		f.want(t, "a b")
		m.update(map[string]string{"secretkey": "b", "secretkey.previous": "a"})
		f.want(t, "b a")
		m.update(map[string]string{"secretkey": "b"})
		f.want(t, "b")
		m.update(map[string]string{"secretkey": "b"})
		f.want(t)
	})
}

func TestAFileThatIsBeingWrittenIsNotTaken(t *testing.T) {
	follow(t, func(t *testing.T, m *mount, f *follower) {
		file := filepath.Join(m.dir, "secretkey")
		for _, text := range []string{"b", "bb", "bbb"} {
			time.Sleep(Interval)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f.want(t, "bbb")
	})
}

func TestKeysThatCannotBeHadStayAndAreToldOnce(t *testing.T) {
	follow(t, func(t *testing.T, m *mount, f *follower) {
		m.update(nil)
		f.want(t)
		f.want(t)
		m.update(map[string]string{"secretkey": ""})
		f.want(t)
		if len(f.logged) != 2 || !strings.Contains(f.logged[0], "no such file") || !strings.Contains(f.logged[1], "is empty") {
			t.Errorf("the log says\n%s\nwant one line for each reason", strings.Join(f.logged, "\n"))
		}
		m.update(map[string]string{"secretkey": "b"})
		f.want(t, "b")
	})
}

func TestKeysThatAreRefusedAreTriedAgain(t *testing.T) {
	follow(t, func(t *testing.T, m *mount, f *follower) {
		f.mu.Lock()
		f.refuse = errors.New("not now")
		f.mu.Unlock()
		m.update(map[string]string{"secretkey": "b"})
		time.Sleep(3*Interval + Interval/2)
		f.mu.Lock()
		if len(f.taken) < 2 || len(f.logged) != 1 || !strings.Contains(f.logged[0], "not now") {
			t.Errorf("offered %q, logged %q", f.taken, f.logged)
		}
		f.taken, f.refuse = nil, nil
		f.mu.Unlock()
		f.want(t, "b")
	})
}
