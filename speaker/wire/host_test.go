package wire

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// machine is a Host without a kernel: one interface, whose frames the test reads and writes.
type machine struct {
	mu     sync.Mutex
	links  []Link
	note   func(Change)
	joined map[netip.Addr]bool
	sent   [][]byte
	in     chan []byte // ARP
}

func (m *machine) Links() ([]Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.links), nil
}

func (m *machine) Watch(ctx context.Context, note func(Change)) {
	m.mu.Lock()
	m.note = note
	m.mu.Unlock()
	<-ctx.Done()
}

func (m *machine) Listen(_ int, etherType uint16) (Conn, error) {
	return &socket{machine: m, etherType: etherType, closed: make(chan struct{})}, nil
}

func (m *machine) Groups(int) Groups { return m }

func (m *machine) Reconcile(want map[netip.Addr]bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.joined = maps.Clone(want)
	return nil
}

func (m *machine) Close() { _ = m.Reconcile(nil) }

// set changes the only link and tells.
func (m *machine) set(l Link, c Change) {
	m.mu.Lock()
	m.links = []Link{l}
	note := m.note
	m.mu.Unlock()
	note(c)
}

// take returns what was said about addr since the last time.
func (m *machine) take(addr string) (all []said) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, frame := range m.sent {
		if s, ok := hear(frame); ok && s.addr == netip.MustParseAddr(addr) {
			all = append(all, s)
		}
	}
	m.sent = nil
	return all
}

type socket struct {
	machine   *machine
	etherType uint16
	closed    chan struct{}
}

func (s *socket) ReadFrame(buf []byte) (int, time.Time, error) {
	in := s.machine.in
	if s.etherType != 0x0806 {
		in = nil
	}
	select {
	case frame := <-in:
		return copy(buf, frame), time.Time{}, nil
	case <-s.closed:
		return 0, time.Time{}, net.ErrClosed
	}
}

func (s *socket) WriteFrame(frame []byte) error {
	s.machine.mu.Lock()
	defer s.machine.mu.Unlock()
	s.machine.sent = append(s.machine.sent, slices.Clone(frame))
	return nil
}

func (s *socket) Close() error { close(s.closed); return nil }

// Everything that a Wire does goes by its Host, so that many of them can share a virtual segment in virtual time.
func TestAWireWorksOnASimulatedHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan0 := Link{Index: 2, Name: "lan0", MAC: neighbor.MAC{2, 0, 0, 0, 0, 1}, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
		m := &machine{links: []Link{lan0}, in: make(chan []byte)}
		w := New(Options{Log: testLog(t), Host: m})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		w.Answer(wantOn("lan0", vip4, vip6))
		time.Sleep(50 * time.Millisecond)
		if all := m.take(vip4); len(all) != 2 || !upOn(w, "lan0") || !m.joined[neighbor.SolicitedNode(netip.MustParseAddr(vip6))] {
			t.Errorf("said %+v, interfaces %+v, joined %v", all, w.Interfaces(), m.joined)
		}
		m.in <- request(t, theClient(), broadcast(), vip4)
		synctest.Wait()
		if all := m.take(vip4); len(all) != 1 || all[0].to != theClient() {
			t.Errorf("answered %+v", all)
		}
		time.Sleep(10 * time.Second) // the repeats are over
		m.take(vip4)
		m.set(lan0, Change{Index: lan0.Index, LostLink: true}) // it was away, and is back already
		time.Sleep(50 * time.Millisecond)
		if all := m.take(vip4); len(all) != 2 {
			t.Errorf("said %+v after a flap", all)
		}
		if len(w.Stalled()) > 0 {
			t.Error("stalled in virtual time")
		}
		cancel()
		if err := <-ended; err != nil || len(m.joined) > 0 {
			t.Errorf("ended with %v, still in %v", err, m.joined)
		}
	})
}
