package gossip

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// full is a state with everything that there is.
func full() lb.Speaker {
	return lb.Speaker{
		Node: "n1.example", Boot: 1700000000123456789, Seq: 42, Restarting: true, KubeProxy: lb.Dead,
		Interfaces: []lb.Interface{
			{Name: "bond0", Up: true, MACs: []lb.MAC{{2, 0, 0, 0, 0, 9}, {2, 0, 0, 0, 0, 1}},
				Addrs:    []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")},
				Prefixes: prefixes("192.0.2.0/24", "2001:db8::/64")},
			{Name: "eth1", Up: true, Deaf: true},
			{Name: "eth2"},
		},
		Claims: []lb.Claim{
			{Addr: netip.MustParseAddr("192.0.2.10"), Standby: "n2", Evidence: 3, Cause: lb.CauseFree, Since: time.UnixMilli(1700000000001).UTC()},
			{Addr: netip.MustParseAddr("192.0.2.11"), HandTo: "n3", HandCause: lb.CauseShutdown, Evidence: 255, Cause: lb.CauseDeath, From: "n2"},
			{Addr: netip.MustParseAddr("2001:db8::10"), Standby: "n3"},
		},
		Lost: []lb.Loss{{Node: "n2", Interface: "bond0"}, {Node: "n2", Interface: "eth1"}, {Node: "n4", Interface: "bond0"}},
	}
}

func messages() []message {
	at := message{node: "n1", boot: 1700000000123456789, serial: 5e9}
	with := func(change func(*message)) message { m := at; change(&m); return m }
	return []message{
		with(func(m *message) { m.kind, m.seq, m.echo, m.ask = beat, 7, 4e9, true }),
		with(func(m *message) { m.kind = beat }),
		with(func(m *message) { m.kind, m.reply = beat, true }),
		with(func(m *message) { m.kind, m.subject, m.life, m.seq = have, "n2", 1700000000000000000, 9 }),
		with(func(m *message) { m.kind, m.subject, m.silent = missed, "n3", 257*time.Millisecond }),
		with(func(m *message) { m.kind, m.subject = back, "n3" }),
		with(func(m *message) { m.kind = bye }),
	}
}

var unexported = cmp.AllowUnexported(message{})

func TestAStateSurvivesTheWire(t *testing.T) {
	for _, s := range []lb.Speaker{full(), {Node: "a", Boot: 1, Seq: 1}, {Node: "a", Boot: 1, Seq: 1, KubeProxy: lb.Alive}} {
		raw, err := encodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeState(raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, got, values); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestMessagesSurviveTheWire(t *testing.T) {
	for _, m := range messages() {
		raw := encodeMessage(m)
		got, err := decodeMessage(raw)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if diff := cmp.Diff(m, got, values, unexported); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for n := range raw {
			if got, err := decodeMessage(raw[:n]); err == nil {
				t.Errorf("cut to %d of %d bytes it decodes to %+v, want an error", n, len(raw), got)
			}
		}
		if _, err := decodeMessage(append(raw, 0)); err == nil {
			t.Error("a byte too many is let through")
		}
	}
	s := full()
	raw := encodeStateMessage(message{node: s.Node, boot: s.Boot, serial: 1}, packed(s))
	if got, err := decodeMessage(raw); err != nil || got.kind != state || cmp.Diff(s, got.state, values) != "" {
		t.Errorf("a state in a message: %v, %+v", err, got)
	}
}

func TestClaimsAreSmall(t *testing.T) {
	v6 := lb.Speaker{Node: "n1", Boot: 1, Seq: 1}
	for i := range 1000 {
		v6.Claims = append(v6.Claims, lb.Claim{Addr: netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)}),
			Standby: "a-long-name-of-a-node.example.org", From: "another-long-name.example.org", Evidence: 3, Cause: lb.CauseDeath,
			Since: time.UnixMilli(1700000000000)})
	}
	if got := float64(len(packed(v6))) / 1000; got > 30 {
		t.Errorf("%.1f bytes for an IPv6 claim, want at most 30", got)
	}
	v4 := claiming(1000)
	v4.Node, v4.Boot, v4.Seq = "n1", 1, 1
	if got := float64(len(packed(v4))) / 1000; got > 18 {
		t.Errorf("%.1f bytes for an IPv4 claim, want at most 18", got)
	}
}

func TestStatesThatAreNotAsPromisedAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*lb.Speaker)
		says   string
	}{
		{"no node", func(s *lb.Speaker) { s.Node = "" }, "node name"},
		{"a node name with a line break", func(s *lb.Speaker) { s.Node = "n1\nn2" }, "node name"},
		{"a node name too long", func(s *lb.Speaker) { s.Node = strings.Repeat("x", 254) }, "a text of 254 bytes"},
		{"no boot", func(s *lb.Speaker) { s.Boot = 0 }, "boot or seq"},
		{"a kube-proxy neither alive nor dead", func(s *lb.Speaker) { s.KubeProxy = 3 }, "kube-proxy is 3"},
		{"no seq", func(s *lb.Speaker) { s.Seq = 0 }, "boot or seq"},
		{"a claim twice", func(s *lb.Speaker) { s.Claims[1] = s.Claims[0] }, "out of order"},
		{"claims unsorted", func(s *lb.Speaker) { s.Claims[0], s.Claims[1] = s.Claims[1], s.Claims[0] }, "out of order"},
		{"an IPv4-mapped claim", func(s *lb.Speaker) { s.Claims[2].Addr = netip.MustParseAddr("::ffff:192.0.2.1") }, "address"},
		{"interfaces unsorted", func(s *lb.Speaker) { s.Interfaces[0].Name = "z" }, "out of order"},
		{"an interface name with a slash", func(s *lb.Speaker) { s.Interfaces[2].Name = "eth/2" }, "interface name"},
		{"an interface name too long", func(s *lb.Speaker) { s.Interfaces[2].Name = "eth2345678901234" }, "a text of 16 bytes"},
		{"a group address as MAC", func(s *lb.Speaker) { s.Interfaces[0].MACs[1][0] = 3 }, "hardware address"},
		{"a prefix with host bits", func(s *lb.Speaker) {
			s.Interfaces[0].Prefixes[0] = netip.PrefixFrom(netip.MustParseAddr("192.0.2.7"), 24)
		}, "prefix"},
		{"losses unsorted", func(s *lb.Speaker) { s.Lost[0], s.Lost[2] = s.Lost[2], s.Lost[0] }, "out of order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := full()
			c.change(&s)
			if got, err := decodeState(packed(s)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("decoded to %+v, error %v, want one that says %q", got, err, c.says)
			}
		})
	}
}

func TestBytesThatAreNoStateAreRefused(t *testing.T) {
	good := packed(full())
	for n := range good {
		if got, err := decodeState(good[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes it decodes to %+v", n, len(good), got)
		}
	}
	for _, c := range []struct {
		name string
		raw  []byte
		is   error
	}{
		{"another version", append([]byte{9}, good[1:]...), errVersion},
		{"too large", make([]byte, maxState+1), errOversized},
	} {
		if _, err := decodeState(c.raw); !errors.Is(err, c.is) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.is)
		}
	}
	// Says that there are 2^60 names. Memory for them must not be taken.
	if _, err := decodeState([]byte{stateVersion, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0}); err == nil {
		t.Error("a list longer than its bytes is let through")
	}
}

func TestPublishPutsAStateInOrder(t *testing.T) {
	b := newBook("n1", Fast(), time.Unix(1700000000, 0))
	in := lb.Speaker{
		Interfaces: []lb.Interface{
			{Name: "eth1", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%eth1")}},
			{Name: "eth0", MACs: []lb.MAC{{}, {2}}, Prefixes: prefixes("198.51.100.0/24", "192.0.2.0/24", "192.0.2.0/24")},
			{Name: "a name that Linux does not know"},
		},
		Claims: []lb.Claim{{Addr: netip.MustParseAddr("192.0.2.11"), Since: time.Unix(-5, 0)}, {Addr: netip.MustParseAddr("192.0.2.10"), Since: time.Unix(1700000000, 1234567)}},
		Lost:   []lb.Loss{{Node: "b", Interface: "eth0"}, {Node: "a", Interface: "eth0"}},
	}
	if changed, err := b.publish(in); err != nil || !changed {
		t.Fatal(changed, err)
	}
	want := lb.Speaker{
		Node: "n1", Boot: 1700000000e9, Seq: 1,
		Interfaces: []lb.Interface{
			{Name: "eth0", MACs: []lb.MAC{{2}}, Prefixes: prefixes("192.0.2.0/24", "198.51.100.0/24")},
			{Name: "eth1", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")}},
		},
		Claims: []lb.Claim{{Addr: netip.MustParseAddr("192.0.2.10"), Since: time.UnixMilli(1700000000001).UTC()}, {Addr: netip.MustParseAddr("192.0.2.11")}},
		Lost:   []lb.Loss{{Node: "a", Interface: "eth0"}, {Node: "b", Interface: "eth0"}},
	}
	if diff := cmp.Diff(want, b.mine, values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if in.Interfaces[0].Name != "eth1" || in.Claims[0].Addr != netip.MustParseAddr("192.0.2.11") {
		t.Error("the caller's slices were sorted in place")
	}
}

// packed encodes a state without looking at its names, as somebody else might.
func packed(s lb.Speaker) []byte {
	names := &nameTable{places: map[string]uint64{}}
	body := appendState(nil, s, names)
	out := binary.AppendUvarint([]byte{stateVersion}, uint64(len(names.list)))
	for _, name := range names.list {
		out = appendText(out, name)
	}
	return append(out, body...)
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}
