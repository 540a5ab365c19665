package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// Environment variables that say what this test binary shall be.
const (
	envInside = "STEELYARD_WIRE_TEST_INSIDE" // set: already in a network namespace of its own
	envDaemon = "STEELYARD_WIRE_TEST_DAEMON" // set: not the tests but a speaker, see runDaemon
)

// TestMain runs the tests in a new network namespace, by starting itself there: every goroutine and every socket is inside,
// as in production, where Wire knows nothing of namespaces; and no frame can leave.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envDaemon) != "":
		os.Exit(runDaemon())
	case os.Getenv(envInside) != "":
		os.Exit(runInside(m))
	}
	os.Exit(runOutside())
}

func runOutside() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "FAIL: the tests of speaker/wire make network namespaces and packet sockets; run them as root")
		return 1
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that starts the process
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), envInside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, "FAIL: making a network namespace:", err)
		return 1
	}
	return 0
}

func runInside(m *testing.M) int {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: setting up the network namespace:", err)
		return 1
	}
	return m.Run()
}

// runDaemon is a speaker that owns the addresses of wantForDaemon until SIGTERM, for tests that stop a whole process. What it does
// after a stop is what SIGUSR1 says: only that makes it speak again.
func runDaemon() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	speak := make(chan os.Signal, 1)
	signal.Notify(speak, syscall.SIGUSR1)
	w := New(Options{})
	w.Answer(wantForDaemon())
	go func() {
		for range speak {
			w.Mute(false)
		}
	}()
	if err := w.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
