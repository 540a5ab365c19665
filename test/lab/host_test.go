package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// testHost makes a network namespace with nothing but loopback in it. Root only, as the whole lab.
func testHost(t *testing.T) Host {
	t.Helper()
	h := Host{Name: "test", NS: fmt.Sprintf("labtest-%d", os.Getpid())}
	if out, err := exec.Command("ip", "netns", "add", h.NS).CombinedOutput(); err != nil {
		t.Fatalf("making a namespace: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := deleteNS(h.NS); err != nil {
			t.Error(err)
		}
	})
	if err := h.Do(func() error { return exec.Command("ip", "link", "set", "lo", "up").Run() }); err != nil {
		t.Fatal(err)
	}
	return h
}

// here is the namespace of the calling thread.
func here(t *testing.T) string {
	t.Helper()
	link, err := os.Readlink(threadNS)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func TestDoLeavesNoThreadBehindInTheNamespace(t *testing.T) {
	h := testHost(t)
	home := here(t)
	var inside string
	if err := h.Do(func() error { inside = here(t); return nil }); err != nil {
		t.Fatal(err)
	}
	if inside == home {
		t.Fatal("the function ran outside")
	}
	for _, fn := range []func() error{
		func() error { return nil },
		func() error { return io.EOF },
		func() error { runtime.Goexit(); return nil },
	} {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { _ = h.Do(fn) }) // each ends in its own way
		}
		all.Wait()
	}
	// Every thread of the process, idle ones included, has to be at home.
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		link, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net")
		if err == nil && link != home {
			t.Errorf("thread %s is in %s, home is %s", task.Name(), link, home)
		}
	}
}

func TestDoReturnsWhatBecameOfTheFunction(t *testing.T) {
	h := testHost(t)
	if err := h.Do(func() error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := h.Do(func() error { runtime.Goexit(); return nil }); !errors.Is(err, errAbandoned) {
		t.Error(err)
	}
	ran := false
	if err := (Host{NS: "no-such-namespace"}).Do(func() error { ran = true; return nil }); err == nil || ran {
		t.Errorf("a namespace that is not there: %v, ran: %v", err, ran)
	}
}

func TestDialContextConnectsInsideTheNamespace(t *testing.T) {
	h := testHost(t)
	var inside net.Listener
	if err := h.Do(func() (err error) { inside, err = net.Listen("tcp", "127.0.0.1:0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	conn, err := h.DialContext(t.Context(), "tcp", inside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if conn, err := net.Dial("tcp", inside.Addr().String()); err == nil {
		conn.Close()
		t.Error("a socket from outside reached the listener inside")
	}
	for _, addr := range []string{"localhost:80", "127.0.0.1", "[fe80::1%eth0]:80"} {
		if _, err := h.DialContext(t.Context(), "tcp", addr); err == nil || !strings.Contains(err.Error(), "dialling") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
