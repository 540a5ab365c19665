package witness

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// ghost is whose IP addresses the patrols of the tests use: nobody has them.
var ghost = Station{IPv4: netip.MustParseAddr("192.168.1.90"), IPv6: netip.MustParseAddr("fd00:1::90")}

// background runs something until the test ends, and reports its error.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestAPatrolTellsTheOwnerFromAnImpostor(t *testing.T) {
	c := newCable(t)
	w, err := New(c.here, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	background(t, w.Run)
	addrs := []netip.Addr{c.theirs4, c.theirs6}
	p, err := NewPatrol(c.here, "eth0", ghost, addrs, []MAC{c.thereMAC}, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	background(t, p.Run)
	name := func(m MAC) string { return m.String() }
	await := func(what string, since time.Time, ok func(Verdict) bool) {
		t.Helper()
		for _, addr := range addrs {
			var v Verdict
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if v = Judge(w.Since(since).Looks(addr, p.Rounds(since)), name, since, time.Now()); ok(v) {
					break
				}
			}
			if !ok(v) {
				t.Fatalf("%s: %s: %+v", what, addr, v)
			}
		}
	}
	await("one owner", time.Now(), func(v Verdict) bool {
		return v.Asked > 5 && v.Unanswered < 2 && v.Doubt == 0 && len(v.Owners) == 1 && v.Owners[0] == c.thereMAC.String()
	})

	i, err := NewImpostor(c.there, "eth0", node2, func(a netip.Addr) bool { return a == c.theirs4 || a == c.theirs6 })
	if err != nil {
		t.Fatal(err)
	}
	stop := background(t, i.Run)
	await("an impostor", time.Now(), func(v Verdict) bool { return v.Doubt > 50*time.Millisecond })
	stop()
	await("the impostor is gone", time.Now(), func(v Verdict) bool { return v.Asked > 5 && v.Unanswered < 2 && v.Doubt == 0 })
}

func TestAStreamBreaksWhenItsServerResetsIt(t *testing.T) {
	c := newCable(t)
	var listener net.Listener
	if err := c.there.Do(func() (err error) { listener, err = net.Listen("tcp", "192.168.1.200:80"); return err }); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan struct{}, 100)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for range 3 {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			_, _ = conn.Write([]byte(strings.ReplaceAll("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "\n", "\r\n")))
			served <- struct{}{}
		}
	}()
	s, err := OpenStream(t.Context(), c.here, netip.AddrPortFrom(vip4, 80), 10*time.Millisecond, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	<-served
	if s.Err() != nil {
		t.Errorf("a stream that was answered is broken: %v", s.Err())
	}
	s.Run(t.Context()) // ends when the server has hung up after two more
	if len(served) != 2 || s.Err() == nil {
		t.Errorf("%d more answers, broken by %v; want 2 and an error", len(served), s.Err())
	}
}
