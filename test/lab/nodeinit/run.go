package nodeinit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// containerdLimit bounds the wait for containerd's socket. It takes about 0.2 s on a quiet machine.
const containerdLimit = 60 * time.Second

// Enter is the first half: it records the process, moves it into the node's cgroups and replaces the program by the one that
// next names (argv, on this same executable), which calls Boot. Namespaces belong to threads, and a new program starts with
// one thread only, so from there on the whole process agrees on what it sees.
func Enter(c Config, next []string) error {
	runtime.LockOSThread()
	self, err := proc.Self()
	if err != nil {
		return err
	}
	if err := self.Write(c.Record); err != nil {
		return err
	}
	if err := enterCgroup(c.Cgroup); err != nil {
		return err
	}
	return fmt.Errorf("starting %s: %w", next[0], syscall.Exec("/proc/self/exe", next, os.Environ()))
}

// Boot is the second half: it makes the node and starts its daemons. It does not return while the node lives, except with an
// error.
func Boot(c Config) error {
	if err := syscall.Sethostname([]byte(c.Node)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := mountAll(c); err != nil {
		return err
	}
	names, err := startAll(c)
	if err != nil {
		return err
	}
	return reap(names)
}

// startAll starts the three daemons and returns their names by process id. kubelet comes last, for it asks for the pause image
// as soon as it runs.
func startAll(c Config) (map[int]string, error) {
	if err := os.Setenv("PATH", c.Path); err != nil {
		return nil, fmt.Errorf("setting PATH: %w", err)
	}
	names := map[int]string{}
	launch := func(name string, command []string) error {
		pid, err := start(filepath.Join(c.Log, name+"-"+c.Node+".log"), command)
		names[pid] = name
		return err
	}
	if err := launch("containerd", c.Containerd); err != nil {
		return nil, err
	}
	if err := launch("kube-proxy", c.KubeProxy); err != nil {
		return nil, err
	}
	if err := waitForSocket("/run/containerd/containerd.sock"); err != nil {
		return nil, err
	}
	for _, archive := range c.Images {
		if err := importOnce(archive, c.Dir); err != nil {
			return nil, err
		}
	}
	if err := launch("kubelet", c.Kubelet); err != nil {
		return nil, err
	}
	return names, nil
}

// start starts a command with its output at the end of a log. reap, not os/exec, will see its end.
func start(log string, command []string) (int, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, fmt.Errorf("opening the log of %s: %w", command[0], err)
	}
	defer out.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting %s: %w", command[0], err)
	}
	return cmd.Process.Pid, nil
}

func waitForSocket(path string) error {
	for end := time.Now().Add(containerdLimit); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("waiting %v for containerd: %w", containerdLimit, err)
		}
	}
}

// importOnce gives an archive to containerd, unless the node's disk has it already from an earlier life.
func importOnce(archive, dir string) error {
	mark := filepath.Join(dir, "imported-"+filepath.Base(archive))
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	out, err := exec.Command("ctr", "--namespace", "k8s.io", "images", "import", "--local", archive).CombinedOutput()
	if err != nil {
		return fmt.Errorf("importing %s: %w: %s", filepath.Base(archive), err, out)
	}
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		return fmt.Errorf("importing %s: %w", filepath.Base(archive), err)
	}
	return nil
}

// reap waits for every child, of which most are orphans of containerd's shims. It says when a daemon ends and goes on: what is
// left of the node is what a test wants to look at.
func reap(names map[int]string) error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("nothing left to run: %w", err)
		}
		if name, ok := names[pid]; ok {
			fmt.Fprintf(os.Stderr, "%s ended: %s\n", name, ending(status))
		}
	}
}

// ending puts a wait status into words.
func ending(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}
