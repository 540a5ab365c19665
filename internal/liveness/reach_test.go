package liveness

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// itf returns an interface that is up, with these addresses; those that are not link-local with their prefix.
func itf(name string, m lb.MAC, addrs ...string) lb.Interface {
	out := lb.Interface{Name: name, Up: true, MACs: []lb.MAC{m}}
	for _, s := range addrs {
		p := netip.MustParsePrefix(s)
		out.Addrs = append(out.Addrs, p.Addr())
		if !p.Addr().IsLinkLocalUnicast() {
			out.Prefixes = append(out.Prefixes, p.Masked())
		}
	}
	return out
}

func TestWhereAPeerCanBeAsked(t *testing.T) {
	ours := itf("eth0", mac(1), "192.0.2.1/24", "fe80::1/64", "2001:db8::1/64")
	down := itf("lan", mac(2), "192.0.2.2/24")
	down.Up = false
	bare := itf("lan", mac(2), "192.0.2.2/24")
	bare.MACs = nil
	for _, c := range []struct {
		name   string
		ours   lb.Interface
		theirs []lb.Interface
		owns   []string
		want   string // empty: nowhere
		to     lb.MAC
	}{
		{"in our IPv4 subnet", ours, []lb.Interface{itf("lan", mac(2), "192.0.2.2/24")}, nil, "192.0.2.2", mac(2)},
		{"IPv4 before IPv6", ours, []lb.Interface{itf("a", mac(3), "fe80::2/64", "2001:db8::2/64"), itf("b", mac(2), "192.0.2.2/24")}, nil, "192.0.2.2", mac(2)},
		{"the interface in our subnet, not the first", ours, []lb.Interface{itf("a", mac(3), "10.0.0.2/8"), itf("b", mac(2), "192.0.2.2/24")}, nil, "192.0.2.2", mac(2)},
		{"IPv6 only: by its link-local address", ours, []lb.Interface{itf("lan", mac(2), "2001:db8::2/64", "fe80::2/64")}, nil, "fe80::2", mac(2)},
		{"another IPv4 subnet, IPv6 in common", ours, []lb.Interface{itf("lan", mac(2), "10.0.0.2/8", "2001:db8::2/64", "fe80::2/64")}, nil, "fe80::2", mac(2)},
		{"link-local without a prefix in common: it may be anywhere", ours, []lb.Interface{itf("lan", mac(2), "2001:db8:1::2/64", "fe80::2/64")}, nil, "", lb.MAC{}},
		{"IPv6 without a link-local address there", ours, []lb.Interface{itf("lan", mac(2), "2001:db8::2/64")}, nil, "", lb.MAC{}},
		{"IPv6 without a link-local address here", itf("eth0", mac(1), "2001:db8::1/64"), []lb.Interface{itf("lan", mac(2), "2001:db8::2/64", "fe80::2/64")}, nil, "", lb.MAC{}},
		{"its interface is down", ours, []lb.Interface{down}, nil, "", lb.MAC{}},
		{"its MAC is not known", ours, []lb.Interface{bare}, nil, "", lb.MAC{}},
		{"an address that every node has on a bridge of its own", itf("docker0", mac(1), "172.17.0.1/16"), []lb.Interface{itf("docker0", mac(2), "172.17.0.1/16")}, nil, "", lb.MAC{}},
		{"a service address on its interface is not its own", ours, []lb.Interface{itf("lan", mac(2), "192.0.2.9/24", "192.0.2.20/24")}, []string{"192.0.2.9"}, "192.0.2.20", mac(2)},
		{"no interface", ours, nil, nil, "", lb.MAC{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Peer{Interfaces: c.theirs}
			for _, a := range c.owns {
				p.Owns = append(p.Owns, netip.MustParseAddr(a))
			}
			target, to, ok := reach(c.ours, p)
			if ok != (c.want != "") || ok && target.String() != c.want || to != c.to {
				t.Errorf("got %v at %v, %v", target, to, ok)
			}
		})
	}
}

func TestWhichAddressTheSpeakerIsAskedFor(t *testing.T) {
	addrs := func(list ...string) (out []netip.Addr) {
		for _, a := range list {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	lan := itf("lan", mac(1), "192.0.2.1/24")
	dual := itf("dmz", mac(3), "198.51.100.1/24", "fe80::1/64", "2001:db8::1/64")
	theirLAN, theirDMZ := itf("lan", mac(2), "192.0.2.2/24"), itf("dmz", mac(4), "198.51.100.2/24")
	for _, c := range []struct {
		name string
		ours []lb.Interface
		owns []netip.Addr
		want [][]string // of four questions in a row
	}{
		{"each in its turn", []lb.Interface{lan}, addrs("192.0.2.10", "192.0.2.11", "192.0.2.12"),
			[][]string{{"lan 192.0.2.10"}, {"lan 192.0.2.11"}, {"lan 192.0.2.12"}, {"lan 192.0.2.10"}}},
		{"where it is on-link", []lb.Interface{lan, dual}, addrs("198.51.100.9"), [][]string{{"dmz 198.51.100.9"}, {"dmz 198.51.100.9"}, {"dmz 198.51.100.9"}, {"dmz 198.51.100.9"}}},
		{"one that is on-link before one that is not", []lb.Interface{lan}, addrs("192.0.2.10", "203.0.113.1"),
			[][]string{{"lan 192.0.2.10"}, {"lan 192.0.2.10"}, {"lan 192.0.2.10"}, {"lan 192.0.2.10"}}},
		{"one that is on-link nowhere, everywhere", []lb.Interface{lan, dual}, addrs("203.0.113.1"),
			[][]string{{"dmz 203.0.113.1", "lan 203.0.113.1"}, {"dmz 203.0.113.1", "lan 203.0.113.1"}, {"dmz 203.0.113.1", "lan 203.0.113.1"}, {"dmz 203.0.113.1", "lan 203.0.113.1"}}},
		{"IPv6 only where we have an address to ask from", []lb.Interface{lan, dual}, addrs("2001:db8:9::1"),
			[][]string{{"dmz 2001:db8:9::1"}, {"dmz 2001:db8:9::1"}, {"dmz 2001:db8:9::1"}, {"dmz 2001:db8:9::1"}}},
		{"nowhere to ask from", []lb.Interface{lan}, addrs("2001:db8::9"), make([][]string, 4)},
		{"it owns nothing", []lb.Interface{lan}, nil, make([][]string, 4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := New("n1", notice)
			var links []Link
			for _, o := range c.ours {
				links = append(links, Link{Interface: o, UpSince: epoch()})
			}
			now := epoch()
			w.Set(now, links, []Peer{{Node: "n2", Gossip: lb.Unknown, Interfaces: []lb.Interface{theirLAN, theirDMZ}, Owns: c.owns}})
			w.Next(now)
			for _, o := range c.ours {
				m, a := theirLAN.MACs[0], theirLAN.Addrs[0]
				if o.Name == "dmz" {
					m, a = theirDMZ.MACs[0], theirDMZ.Addrs[0]
				}
				w.Heard(now, neighbor.Sighting{Interface: o.Name, MAC: m, Source: m, Addr: a, Kind: neighbor.SawReply})
			}
			var got [][]string
			for range c.want {
				probes, _ := w.Next(now)
				var asked []string
				for _, p := range probes {
					if p.Kind == neighbor.AnswerProbe {
						asked = append(asked, p.Interface+" "+p.Target.String())
					}
				}
				got = append(got, asked)
				now = now.Add(repeat)
				w.wake = now // it is not late
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
