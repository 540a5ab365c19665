package gossip

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestWhatDoesNotBelongIsDroppedAndCounted(t *testing.T) {
	ring, err := New(Config{Node: "n0", Bind: netip.MustParseAddrPort("10.0.0.9:7946"), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	d := delegate{ring}
	s := full()
	told := func(serial uint64, s lb.Speaker) []byte {
		return encodeStateMessage(message{node: s.Node, boot: s.Boot, serial: serial}, packed(s))
	}
	d.NotifyMsg(told(100, s))
	if got := ring.Speakers(); len(got) != 1 || len(got[0].Claims) != 3 {
		t.Fatalf("knows %+v", got)
	}
	older, elder, forged := s, s, s
	older.Seq, older.Claims = 41, nil
	elder.Boot, elder.Seq, elder.Claims = s.Boot-1, 99, nil
	forged.Node, forged.Claims = "n7", nil
	for _, c := range []struct {
		name, reason string
		raw          []byte
	}{
		{"nothing", "malformed", nil},
		{"noise", "malformed", bytes.Repeat([]byte{messageVersion}, 40)},
		{"a message of another version", "version", append([]byte{messageVersion + 1}, told(101, s)[1:]...)},
		{"a datagram longer than any", "oversized", append(encodeMessage(messages()[0]), make([]byte, maxPacket)...)},
		{"a state longer than any", "oversized", append(told(101, s), make([]byte, maxState)...)},
		{"an old message again", "stale", told(99, older)},
		{"a message of an earlier life", "stale", told(200, elder)},
		{"a message of our own", "stale", encodeMessage(message{kind: beat, node: "n0", boot: 1, serial: 1})},
		{"a state of somebody else", "malformed", encodeStateMessage(message{node: s.Node, boot: s.Boot, serial: 102}, packed(forged))},
	} {
		count := ring.metrics.dropped.WithLabelValues(c.reason)
		before := testutil.ToFloat64(count)
		d.NotifyMsg(c.raw)
		if got := testutil.ToFloat64(count) - before; got != 1 {
			t.Errorf("%s: counted %v times as %s, want once", c.name, got, c.reason)
		}
	}
	d.NotifyMsg(told(100, s)) // a repetition of the latest is no news, and no crime
	if diff := cmp.Diff([]lb.Speaker{s}, ring.Speakers(), values); diff != "" {
		t.Errorf("after all that (-want +got):\n%s", diff)
	}
}

func TestOldHearsayIsDroppedAndCounted(t *testing.T) {
	ring, err := New(Config{Node: "n0", Bind: netip.MustParseAddrPort("10.0.0.9:7946"), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	d := delegate{ring}
	d.NotifyMsg(encodeMessage(message{kind: beat, node: "n2", boot: 1, serial: 1})) // who is spoken of
	stale := ring.metrics.dropped.WithLabelValues("stale")
	for _, c := range []struct {
		name         string
		boot, serial uint64
		counted      float64
	}{{"the first", 7, 100, 0}, {"the same again, as each comes twice", 7, 100, 0}, {"a newer one", 7, 101, 0}, {"the first again", 7, 100, 1},
		{"one of an earlier life", 6, 999, 1}, {"one of a later life", 8, 1, 0}} {
		before := testutil.ToFloat64(stale)
		d.NotifyMsg(encodeMessage(message{kind: missed, node: "n1", boot: c.boot, serial: c.serial, subject: "n2"}))
		if got := testutil.ToFloat64(stale) - before; got != c.counted {
			t.Errorf("%s: counted %v times as stale, want %v", c.name, got, c.counted)
		}
	}
}

func TestExchangesKeepTheLatestWord(t *testing.T) {
	now := time.Unix(1700000000, 0)
	b := newBook("n9", Fast(), now)
	at := func(boot, seq uint64) lb.Speaker { return lb.Speaker{Node: "n1", Boot: boot, Seq: seq} }
	for _, c := range []struct {
		boot, seq uint64
		taken     bool
	}{{5, 5, true}, {5, 4, false}, {5, 5, false}, {4, 9, false}, {5, 6, true}, {6, 1, true}, {5, 7, false}} {
		list, err := decodeExchange(appendExchange(at(c.boot, c.seq)))
		if err != nil {
			t.Fatal(err)
		}
		if got := b.merge(list, now); got != c.taken {
			t.Errorf("boot %d seq %d: taken = %v, want %v", c.boot, c.seq, got, c.taken)
		}
	}
	if got := b.peers["n1"].state; got.Boot != 6 || got.Seq != 1 {
		t.Errorf("kept %+v", got)
	}
}

// appendExchange packs states as a peer that knows them would.
func appendExchange(list ...lb.Speaker) []byte {
	b := newBook("asked", Fast(), time.Unix(1, 0))
	b.merge(list, time.Unix(1, 0))
	return b.exchange(true)
}
