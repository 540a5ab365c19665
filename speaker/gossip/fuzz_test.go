package gossip

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func FuzzDecodeState(f *testing.F) {
	f.Add(packed(full()))
	f.Add(packed(lb.Speaker{Node: "a", Boot: 1, Seq: 1}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := decodeState(raw)
		if err != nil {
			return
		}
		if err := check(s); err != nil {
			t.Fatalf("let through: %v", err)
		}
		repacked, err := encodeState(s)
		if err != nil {
			t.Fatalf("does not encode again: %v", err)
		}
		again, err := decodeState(repacked)
		if diff := cmp.Diff(s, again, values); err != nil || diff != "" {
			t.Fatalf("does not survive a second round: %v\n%s", err, diff)
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(encodeMessage(m))
	}
	f.Add(encodeMessage(message{kind: beat, node: "a", serial: 1}))
	f.Add(encodeMessage(message{kind: beat, node: "a", boot: 1}))
	s := full()
	f.Add(encodeStateMessage(message{node: s.Node, boot: s.Boot, serial: 1}, packed(s)))
	f.Add(encodeStateMessage(message{node: s.Node, boot: s.Boot + 1, serial: 1}, packed(s)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeMessage(raw)
		if err != nil {
			return
		}
		if m.boot == 0 || m.serial == 0 || m.kind == state && (m.state.Node != m.node || m.state.Boot != m.boot) {
			t.Fatalf("let through: %+v", m)
		}
		var again message
		if m.kind == state {
			again, err = decodeMessage(encodeStateMessage(m, packed(m.state)))
		} else {
			again, err = decodeMessage(encodeMessage(m))
		}
		if diff := cmp.Diff(m, again, values, unexported); err != nil || diff != "" {
			t.Fatalf("does not survive a second round: %v\n%s", err, diff)
		}
	})
}

func FuzzDecodeExchange(f *testing.F) {
	f.Add(appendExchange(full(), lb.Speaker{Node: "b", Boot: 2, Seq: 3}))
	f.Add([]byte{stateVersion})
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, _ := decodeExchange(raw)
		for _, s := range list {
			if err := check(s); err != nil {
				t.Fatalf("let through: %v", err)
			}
		}
	})
}

// FuzzReceive feeds a book what decodes: whatever a member says must leave it able to go on.
func FuzzReceive(f *testing.F) {
	for _, m := range messages() {
		f.Add(encodeMessage(m), int64(time.Second))
	}
	f.Fuzz(func(t *testing.T, raw []byte, after int64) {
		m, err := decodeMessage(raw)
		if err != nil {
			return
		}
		now := time.Unix(1700000000, 0)
		b := newBook("n2", Fast(), now)
		for _, name := range []string{"n1", "n3"} {
			b.joined(b.peer(name, now))
		}
		b.tick(now)
		b.receive(m, now.Add(time.Duration(after)))
		later := now.Add(time.Duration(after)).Add(time.Minute)
		if w := b.tick(later); w.next.Before(later.Add(-time.Hour)) {
			t.Errorf("wants to be woken at %v, it is %v", w.next, later)
		}
		for _, name := range b.sorted() {
			b.view(name, later)
		}
	})
}

// FuzzDropped gives bytes to a ring as memberlist does, with something known before: what does not parse is counted, once, and changes
// nothing, and what comes again, so perhaps replayed, changes nothing the second time.
func FuzzDropped(f *testing.F) {
	s := full()
	for _, m := range messages() {
		f.Add(encodeMessage(m), false)
	}
	older, newer := s, s
	older.Seq, newer.Seq = s.Seq-1, s.Seq+1
	for i, s := range []lb.Speaker{older, newer} {
		f.Add(encodeStateMessage(message{node: s.Node, boot: s.Boot, serial: 99 + 2*uint64(i)}, packed(s)), false)
		f.Add(appendExchange(s), true)
	}
	f.Add(make([]byte, maxPacket+1), false)
	f.Add([]byte{stateVersion + 1}, true)
	f.Add([]byte{stateVersion, 2, 0, 0}, true)
	ring, err := New(Config{Node: "n0", Bind: netip.MustParseAddrPort("10.0.0.9:7946"), Log: logr.Discard()})
	if err != nil {
		f.Fatal(err)
	}
	d := delegate{ring}
	f.Fuzz(func(t *testing.T, raw []byte, exchange bool) {
		ring.book = newBook("n0", Fast(), time.Now())
		before := droppedAs(ring, "malformed", "oversized", "version")
		d.NotifyMsg(encodeStateMessage(message{node: s.Node, boot: s.Boot, serial: 100}, packed(s)))
		known := ring.Speakers()
		changed := func() string { // comparing in full is slow
			if now := ring.Speakers(); !reflect.DeepEqual(known, now) {
				return cmp.Diff(known, now, values)
			}
			return ""
		}
		take := func() error {
			if exchange {
				d.MergeRemoteState(raw, false)
				_, err := decodeExchange(raw)
				return err
			}
			d.NotifyMsg(raw)
			_, err := decodeMessage(raw)
			return err
		}
		refused := take()
		if n := droppedAs(ring, "malformed", "oversized", "version") - before; (refused != nil) != (n == 1) || n > 1 {
			t.Fatalf("%v: counted %v times", refused, n)
		}
		if diff := changed(); refused != nil && !exchange && (diff != "" || len(ring.book.peers) != len(known)) {
			t.Fatalf("%v, and it changes what is known of %v:\n%s", refused, ring.book.sorted(), diff)
		}
		known = ring.Speakers()
		_ = take() // as before
		if diff := changed(); diff != "" {
			t.Fatalf("a replay changes what is known:\n%s", diff)
		}
	})
}

// droppedAs returns how many messages were dropped for these reasons.
func droppedAs(r *Ring, reasons ...string) float64 {
	n := 0.0
	for _, reason := range reasons {
		n += testutil.ToFloat64(r.metrics.dropped.WithLabelValues(reason))
	}
	return n
}
