package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// threadNS is the network namespace of the calling thread.
const threadNS = "/proc/thread-self/ns/net"

// errAbandoned is what Do returns when fn ended its goroutine (runtime.Goexit, testing's FailNow) instead of returning.
var errAbandoned = errors.New("the function ended its goroutine")

// Do runs fn in the network namespace of the host, on a thread of its own, and returns its error. Sockets made by fn itself
// stay in that namespace and may be used anywhere afterwards; goroutines started by fn run outside of it. fn must not call
// the FailNow family of a test.
func (h Host) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errAbandoned
		defer func() { done <- err }()
		runtime.LockOSThread()
		back, e := enterNS(h.NS)
		if e != nil {
			err = e // nothing moved, or the thread dies with this goroutine, because it stays locked
			return
		}
		defer func() {
			// A thread goes back to the scheduler only when it has been seen to be where it came from.
			if back() == nil {
				runtime.UnlockOSThread()
			}
		}()
		err = fn()
	}()
	return <-done
}

// enterNS moves the calling thread, which must be locked, into a named namespace. back undoes it, and verifies.
func enterNS(name string) (back func() error, err error) {
	home, err := os.Open(threadNS)
	if err != nil {
		return nil, fmt.Errorf("entering namespace %s: %w", name, err)
	}
	target, err := os.Open(netnsPath(name))
	if err != nil {
		home.Close()
		return nil, fmt.Errorf("entering namespace %s: %w", name, err)
	}
	defer target.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		home.Close()
		return nil, fmt.Errorf("entering namespace %s: %w", name, err)
	}
	return func() error {
		defer home.Close()
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("leaving namespace %s: %w", name, err)
		}
		var want, got unix.Stat_t
		if err := unix.Fstat(int(home.Fd()), &want); err != nil {
			return fmt.Errorf("leaving namespace %s: %w", name, err)
		}
		if err := unix.Stat(threadNS, &got); err != nil {
			return fmt.Errorf("leaving namespace %s: %w", name, err)
		}
		if got.Ino != want.Ino || got.Dev != want.Dev {
			return fmt.Errorf("leaving namespace %s: the thread is in another one", name)
		}
		return nil
	}, nil
}

func netnsPath(name string) string { return "/run/netns/" + name }

// DialContext connects from the host, as net.Dialer.DialContext does. addr must hold an address, not a name: there is no DNS
// in the lab, and a look-up would run in the machine's own namespace.
func (h Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	target, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dialling from %s: %w", h.Name, err)
	}
	if target.Addr().Zone() != "" {
		return nil, fmt.Errorf("dialling %s from %s: a zone would be looked up outside the namespace", addr, h.Name)
	}
	var conn net.Conn
	err = h.Do(func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, addr)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dialling from %s: %w", h.Name, err)
	}
	return conn, nil
}

// Command is exec.CommandContext for a program that runs on the host: in its network namespace, with its devices in /sys.
// The process is the caller's to wait for. The context's end kills it.
func (h Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.NS, name}, args...)...)
}
