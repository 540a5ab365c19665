package lab

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRequiredVersion(t *testing.T) {
	for _, tc := range []struct{ name, mod, want string }{
		{"one line", "module x\n\nrequire example.com/a v1.2.3 // indirect\n", "v1.2.3"},
		{"a block", "require (\n\texample.com/ab v9.9.9\n\texample.com/a v1.2.3\n)\n", "v1.2.3"},
		{"a tool of that name is not a requirement", "tool example.com/a\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := requiredVersion(tc.mod, "example.com/a")
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %q %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestEveryToolIsPinned(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, tl := range append(labTools(), otherTools()...) {
		jobs, err := tl.jobs(root, "/cache")
		if err != nil {
			t.Error(err)
			continue
		}
		mod, err := os.ReadFile(filepath.Join(root, "test/lab/tools", tl.dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			if seen[j.name] {
				t.Errorf("two programs are called %s", j.name)
			}
			seen[j.name] = true
			if j.seconds <= 0 {
				t.Errorf("%s has no cost", j.name)
			}
			// Only what a tool line names is sure to be covered by go.sum.
			if !strings.Contains(string(mod), "\t"+j.pkg+"\n") && !strings.Contains(string(mod), "tool "+j.pkg+"\n") {
				t.Errorf("%s: no tool line for %s", tl.dir, j.pkg)
			}
		}
	}
}

func TestLinkFlagsCarryTheVersion(t *testing.T) {
	j := job{program: program{ldflags: " -X v.git=VERSION -X v.minor=MINOR"}, version: "v1.37.1"}
	if got, want := j.linkFlags(), "-s -w -X v.git=v1.37.1 -X v.minor=37"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// oneModule makes a module with one package and returns a job that builds it.
func oneModule(t *testing.T, source string) job {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/x\n\ngo 1.26.0\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return job{program: program{name: "x", pkg: ".", seconds: 1}, dir: dir, version: "v1.2.3", out: filepath.Join(dir, "out", "x")}
}

func TestBuildAllBuildsWhatIsMissingAndSaysSo(t *testing.T) {
	j := oneModule(t, "package main\n\nfunc main() {}\n")
	var log strings.Builder
	if err := buildAll(context.Background(), missing([]job{j}), &log); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "[1/1] x v1.2.3") {
		t.Errorf("log: %q", log.String())
	}
	if left := missing([]job{j}); len(left) != 0 {
		t.Errorf("still missing: %v", left)
	}
}

func TestAFailedBuildLeavesNothingAndSaysWhy(t *testing.T) {
	j := oneModule(t, "package main\n\nfunc main() { nonsense() }\n")
	err := buildAll(context.Background(), []job{j}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "undefined: nonsense") {
		t.Errorf("error %v, want the compiler's message in it", err)
	}
	entries, err := os.ReadDir(filepath.Dir(j.out))
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestASecondBuilderWaitsAndSaysSo(t *testing.T) {
	cache := t.TempDir()
	unlock, err := lockBuild(context.Background(), cache, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		unlock, err := lockBuild(context.Background(), cache, writerFunc(func(b []byte) (int, error) {
			close(said)
			return len(b), nil
		}))
		if err == nil {
			unlock()
		}
		got <- err
	}()
	<-said
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	unlock, err = lockBuild(context.Background(), cache, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := lockBuild(ctx, cache, io.Discard); err == nil {
		t.Error("a cancelled wait ended without an error")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
