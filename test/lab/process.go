package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// Start starts a process of the lab on a host, outside of any pod: it lives until Stop, Down or, on a node, CutPower. name
// is unique in the lab. Its output goes to LogPath(name). The program is found on the lab's own search path.
//
// The process records itself before it becomes the program, so a crash of the caller cannot leave one that nobody knows.
func (l *Lab) Start(h Host, name string, command ...string) error {
	if len(command) == 0 {
		return fmt.Errorf("starting %s: no command", name)
	}
	if r, err := l.record(name); err == nil && r.Alive() {
		return fmt.Errorf("starting %s: it runs already", name)
	}
	cmd := exec.Command(l.program("lab"), append([]string{"exec", l.path("pids", name)}, command...)...)
	return l.launch(h, name, cmd)
}

// launch starts a command in the host's network namespace, in a session of its own (a terminal's Ctrl-C is not for it), and
// waits until it has recorded itself.
func (l *Lab) launch(h Host, name string, cmd *exec.Cmd) error {
	log, err := os.OpenFile(l.LogPath(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	defer log.Close()
	if err := os.Remove(l.path("pids", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = log, log, "/", l.env()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := h.Do(cmd.Start); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	l.children.Add(1)
	go func() {
		defer l.children.Done()
		_ = cmd.Wait() // reaps; how it ended is in its log, and whether it runs is asked of its record
	}()
	err = l.await(context.Background(), waiting{what: "the start of " + name, limit: 10 * time.Second, log: name}, func(context.Context) error {
		_, err := l.record(name)
		return err
	})
	return err
}

// env is the environment of the lab's processes: nothing of the caller's but what cannot be guessed.
func (l *Lab) env() []string {
	return []string{"PATH=" + l.searchPath(), "HOME=/root", "TMPDIR=" + os.TempDir(), "LC_ALL=C.UTF-8"}
}

func (l *Lab) searchPath() string {
	return l.Bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

func (l *Lab) program(name string) string { return filepath.Join(l.Bin, name) }

func (l *Lab) record(name string) (proc.Record, error) { return proc.Read(l.path("pids", name)) }

// Signal sends a signal to a process of the lab by its name: one given to Start, or etcd, kube-apiserver, and so on.
func (l *Lab) Signal(name string, sig syscall.Signal) error {
	r, err := l.record(name)
	if err != nil {
		return fmt.Errorf("signalling %s: %w", name, err)
	}
	return r.Signal(sig)
}

// stopLimit is how long Stop lets a process end by itself.
const stopLimit = 15 * time.Second

// Stop ends a process by SIGTERM, and by SIGKILL if it is still there after 15 s, which is an error. One that has ended
// already is none.
func (l *Lab) Stop(name string) error {
	r, err := l.record(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping %s: %w", name, err)
	}
	if err := r.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stopping %s: %w", name, err)
	}
	for end := time.Now().Add(stopLimit); r.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("%s did not end %v after SIGTERM", name, stopLimit), r.Kill())
		}
	}
	return os.Remove(l.path("pids", name))
}

// kill ends a process at once. One that has ended already is no error.
func (l *Lab) kill(name string) error {
	r, err := l.record(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.Kill(); err != nil {
		return fmt.Errorf("killing %s: %w", name, err)
	}
	return os.Remove(l.path("pids", name))
}

// Processes are the names of the lab's own processes that run now, sorted. What runs inside a node of a full lab is one
// entry, the node's name.
func (l *Lab) Processes() []string {
	var names []string
	entries, _ := os.ReadDir(l.path("pids")) // no directory, no processes
	for _, e := range entries {
		if r, err := l.record(e.Name()); err == nil && r.Alive() {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names
}

// LogPath is where the output of a process goes: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, a node
// (node1), what runs in it (kubelet-node1, containerd-node1, kube-proxy-node1), or a name given to Start.
func (l *Lab) LogPath(name string) string { return l.path("log", name+".log") }

// SaveLogs copies every log to a directory, for a test that failed.
func (l *Lab) SaveLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving logs: %w", err)
	}
	entries, err := os.ReadDir(l.path("log"))
	if err != nil {
		return fmt.Errorf("saving logs: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".log") {
			continue
		}
		text, err := os.ReadFile(l.path("log", e.Name()))
		if err != nil {
			return fmt.Errorf("saving logs: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o644); err != nil {
			return fmt.Errorf("saving logs: %w", err)
		}
	}
	return nil
}
