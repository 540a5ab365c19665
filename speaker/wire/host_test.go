package wire

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
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
	sent   []heard
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

func (m *machine) mac() neighbor.MAC { return m.links[0].MAC }

// take returns what was said since the last time.
func (m *machine) take() []heard {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.sent
	m.sent = nil
	return all
}

// takeAbout takes what was said, and names it in words; it says so when it was about another address.
func (m *machine) takeAbout(addr string) string {
	var words []string
	for _, h := range m.take() {
		word := "reply"
		switch {
		case h.addr != netip.MustParseAddr(addr):
			word = h.addr.String()
		case h.answer:
			word = "answer to " + h.to.String()
		case h.request:
			word = "request"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
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
	if what, ok := hear(frame); ok {
		s.machine.sent = append(s.machine.sent, heard{what, time.Now()})
	}
	return nil
}

func (s *socket) Close() error { close(s.closed); return nil }

// simulate runs a Wire on a machine with one interface, lan0, in virtual time.
func simulate(t *testing.T, test func(w *Wire, m *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &machine{in: make(chan []byte), links: []Link{{
			Index: 2, Name: "lan0", MAC: neighbor.MAC{2, 0, 0, 0, 0, 1}, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")},
		}}}
		w := New(Options{Log: testLog(t), Host: m})
		time.Sleep(time.Minute) // what is before Run is no stall
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		time.Sleep(2 * lookGap)
		test(w, m)
		if len(w.Stalled()) > 0 {
			t.Error("stalled in virtual time")
		}
		cancel()
		if err := <-ended; err != nil || len(m.joined) > 0 {
			t.Errorf("ended with %v, still in %v", err, m.joined)
		}
	})
}

// Everything that a Wire does goes by its Host, so that many of them can share a virtual segment in virtual time.
func TestAWireWorksOnASimulatedHost(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		w.Answer(wantOn("lan0", vip4, vip6))
		time.Sleep(2 * lookGap)
		if !upOn(w, "lan0") || !m.joined[neighbor.SolicitedNode(netip.MustParseAddr(vip6))] {
			t.Errorf("interfaces %+v, joined %v", w.Interfaces(), m.joined)
		}
		time.Sleep(rested)
		m.take()
		m.in <- request(t, theClient(), broadcast(), vip4)
		synctest.Wait()
		if got := m.takeAbout(vip4); got != "answer to "+theClient().String() {
			t.Errorf("%q said to a request", got)
		}
		w.Answer(wantOn("lan0", vip4))
		m.set(m.links[0], Change{Index: m.links[0].Index, LostLink: true}) // it was away, and is back already
		time.Sleep(2 * lookGap)
		if got := m.takeAbout(vip4); got != "request reply" {
			t.Errorf("%q said after a flap", got)
		}
	})
}

func TestWhateverHappenedToALinkIsAnnounced(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		w.Answer(wantOn("lan0", vip4))
		for _, c := range []struct {
			name   string
			change Change
			alter  func(*Link)
			want   string
		}{
			{"nothing", Change{}, func(*Link) {}, ""},
			{"another MAC, by which the carrier does not change", Change{}, func(l *Link) { l.MAC[5] = 7 }, "request reply"},
			{"changes that went unseen", Change{Missed: true}, func(*Link) {}, "request reply"},
			{"deleted, and made anew under its index", Change{Index: 2, Deleted: true}, func(*Link) {}, "request reply"},
			{"another member of a bond", Change{}, func(l *Link) { l.Members = []neighbor.MAC{theClient()} }, ""},
		} {
			time.Sleep(rested)
			m.take()
			l := m.links[0]
			c.alter(&l)
			m.set(l, c.change)
			time.Sleep(2 * lookGap)
			if got := m.takeAbout(vip4); got != c.want {
				t.Errorf("%s: %q said, want %q", c.name, got, c.want)
			}
		}
		m.in <- request(t, theClient(), broadcast(), vip4)
		synctest.Wait()
		if got := m.takeAbout(vip4); got != "" {
			t.Errorf("%q said to a member of our own bond", got)
		}
	})
}
