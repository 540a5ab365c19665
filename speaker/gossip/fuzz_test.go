package gossip

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	s := full()
	f.Add(encodeStateMessage(message{node: s.Node, boot: s.Boot, serial: 1}, packed(s)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeMessage(raw)
		if err != nil {
			return
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
