package wire

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// The client's own addresses, as newLAN and plug make them.
const (
	client4  = "192.0.2.100"
	client6  = "2001:db8::100"
	clientLL = "fe80::ff:fe00:202"
)

func clientMAC() neighbor.MAC { return neighbor.MAC{2, 0, 0, 0, 2, 2} }

// nextSighting returns the next sighting that wanted accepts; ok is false when none came in time.
func nextSighting(w *Wire, patience time.Duration, wanted func(neighbor.Sighting) bool) (s neighbor.Sighting, ok bool) {
	for timeout := time.After(patience); ; {
		select {
		case s := <-w.Sightings():
			if wanted(s) {
				return s, true
			}
		case <-timeout:
			return s, false
		}
	}
}

// sightingOf accepts sightings of this kind that are about addr.
func sightingOf(kind neighbor.Saw, addr string) func(neighbor.Sighting) bool {
	return func(s neighbor.Sighting) bool { return s.Kind == kind && s.Addr == netip.MustParseAddr(addr) }
}

// probe asks on lan0.
func probe(kind neighbor.ProbeKind, to neighbor.MAC, target string) neighbor.Probe {
	return neighbor.Probe{Kind: kind, Interface: "lan0", To: to, Target: netip.MustParseAddr(target)}
}

func TestAKernelAnswersProbes(t *testing.T) {
	l := newLAN(t)
	w, registry := start(t)
	linkLocalReady(t, w)
	for _, c := range []struct {
		name, family string
		probe        neighbor.Probe
	}{
		{"for its own IPv4 address", "IPv4", probe(neighbor.HostProbe, clientMAC(), client4)},
		{"for its own IPv6 address", "IPv6", probe(neighbor.HostProbe, clientMAC(), client6)},
		{"for its link-local address", "IPv6", probe(neighbor.HostProbe, clientMAC(), clientLL)},
		{"for a service address, were it one", "IPv4", probe(neighbor.AnswerProbe, clientMAC(), client4)},
		{"to all for an address that it uses", "IPv4", probe(neighbor.FirstProbe, neighbor.MAC{}, client4)},
		{"to the group for an address that it uses", "IPv6", probe(neighbor.FirstProbe, neighbor.MAC{}, client6)},
	} {
		t.Run(c.name, func(t *testing.T) {
			eventually(t, "the client's address is ready", func() bool { return l.clientHas(c.probe.Target) })
			kind := c.probe.Kind.String()
			before := counted(t, registry, "steelyard_wire_probe_answers_total", c.family, kind)
			asked := time.Now()
			w.Probe([]neighbor.Probe{c.probe})
			s, ok := nextSighting(w, patience, sightingOf(neighbor.SawReply, c.probe.Target.String()))
			if !ok {
				t.Fatal("no reply was seen")
			}
			if s.MAC != clientMAC() || s.Source != clientMAC() || s.Interface != "lan0" || s.At.Before(asked) || s.At.After(time.Now()) {
				t.Errorf("sighting = %+v, asked at %v", s, asked)
			}
			if n := counted(t, registry, "steelyard_wire_probe_answers_total", c.family, kind); n != before+1 {
				t.Errorf("%d answers to a %s counted, want %d", n, kind, before+1)
			}
		})
	}
	if n := counted(t, registry, "steelyard_wire_frames_sent_total", "IPv6", "host_probe"); n != 2 {
		t.Errorf("%d solicitations counted as host probes, want 2", n)
	}
}

// linkLocalReady waits until our own link-local address is past its duplicate address detection, which takes a second.
func linkLocalReady(t *testing.T, w *Wire) {
	t.Helper()
	eventually(t, "our link-local address is usable", func() bool {
		for _, i := range w.Interfaces() {
			for _, a := range i.Addrs {
				if a.IsLinkLocalUnicast() && a.Is6() {
					return true
				}
			}
		}
		return false
	})
}

// clientHas says whether the client has the address and is sure that nobody else has.
func (l *lan) clientHas(addr netip.Addr) bool {
	all, err := l.nl.AddrList(linkNamed(l.t, l.nl, "eth0"), netlink.FAMILY_ALL)
	check(l.t, err)
	for _, p := range own(all) {
		if p.Addr() == addr {
			return true
		}
	}
	return false
}

func TestNobodyAnswersAProbeForAFreeAddress(t *testing.T) {
	newLAN(t)
	w, _ := start(t)
	w.Probe([]neighbor.Probe{probe(neighbor.FirstProbe, neighbor.MAC{}, vip4), probe(neighbor.FirstProbe, neighbor.MAC{}, vip6)})
	about := func(s neighbor.Sighting) bool {
		return s.Kind != neighbor.SawRequest && (s.Addr == netip.MustParseAddr(vip4) || s.Addr == netip.MustParseAddr(vip6))
	}
	if s, ok := nextSighting(w, soon, about); ok {
		t.Errorf("seen: %+v", s)
	}
}

// Whoever starts has a link-local address that is tentative for a second; a user may have none. Then the question is a
// duplicate address detection, whose answer goes to all.
func TestAFirstProbeNeedsNoAddressOfOurs(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	lan0 := linkNamed(t, &netlink.Handle{}, "lan0")
	addrs, err := netlink.AddrList(lan0, netlink.FAMILY_V6)
	check(t, err)
	for _, a := range addrs {
		check(t, netlink.AddrDel(lan0, &a))
	}
	eventually(t, "no IPv6 address of ours is known", func() bool { return len(w.Interfaces()) == 1 && len(w.Interfaces()[0].Addrs) == 1 })
	eventually(t, "the client's address is ready", func() bool { return l.clientHas(netip.MustParseAddr(client6)) })
	ndps := l.tap("eth0", unix.ETH_P_IPV6)
	asked := func(b []byte) bool {
		return b[20] == 58 && b[54] == 135 && netip.AddrFrom16([16]byte(b[62:78])) == netip.MustParseAddr(client6)
	}
	eventually(t, "the client answers", func() bool {
		w.Probe([]neighbor.Probe{probe(neighbor.FirstProbe, neighbor.MAC{}, client6)})
		if frame := ndps.next(patience, asked); frame == nil || !netip.AddrFrom16([16]byte(frame[22:38])).IsUnspecified() {
			t.Fatalf("asked by %x", frame)
		}
		s, ok := nextSighting(w, soon, sightingOf(neighbor.SawAnnouncement, client6))
		return ok && s.MAC == clientMAC()
	})
}

func TestProbesComeFromOurOwnAddressAndNeverFromAServiceAddress(t *testing.T) {
	l := newLAN(t)
	addAddr(t, &netlink.Handle{}, "lan0", "198.51.100.1/24")
	w, registry := start(t)
	eventually(t, "both addresses are known", func() bool { return len(w.Interfaces()) == 1 && len(w.Interfaces()[0].Prefixes) == 3 })
	arps := l.tap("eth0", unix.ETH_P_ARP)
	peer := neighbor.MAC{2, 0, 0, 0, 0, 0x55}
	for _, c := range []struct {
		name, target, from string
		ours               []string
	}{
		{"in the first subnet", "192.0.2.55", "192.0.2.1", nil},
		{"in the second subnet", "198.51.100.55", "198.51.100.1", nil},
		{"in no subnet", "203.0.113.55", "192.0.2.1", nil},
		{"where our first address is a service address", "192.0.2.56", "198.51.100.1", []string{"192.0.2.1"}},
	} {
		w.Answer(wantOn("lan0", c.ours...))
		w.Probe([]neighbor.Probe{probe(neighbor.AnswerProbe, peer, c.target)})
		frame := arps.next(patience, func(b []byte) bool { return netip.AddrFrom4([4]byte(b[38:42])).String() == c.target })
		if frame == nil {
			t.Fatalf("%s: not asked", c.name)
		}
		if from := netip.AddrFrom4([4]byte(frame[28:32])).String(); from != c.from || binary.BigEndian.Uint16(frame[20:22]) != 1 ||
			neighbor.MAC(frame[0:6]) != peer || neighbor.MAC(frame[6:12]) != l.mac() || neighbor.MAC(frame[22:28]) != l.mac() {
			t.Errorf("%s: asked from %s by %x", c.name, from, frame)
		}
	}
	w.Answer(wantOn("lan0", "192.0.2.1", "198.51.100.1"))
	w.Probe([]neighbor.Probe{probe(neighbor.HostProbe, peer, "192.0.2.57"), {Kind: neighbor.HostProbe, Interface: "lan7", To: peer, Target: netip.MustParseAddr("192.0.2.57")}})
	if frame := arps.next(soon, func(b []byte) bool { return netip.AddrFrom4([4]byte(b[38:42])).String() == "192.0.2.57" }); frame != nil {
		t.Errorf("asked from a service address: %x", frame)
	}
	if n := counted(t, registry, "steelyard_wire_errors_total", "IPv4", "probe"); n != 1 {
		t.Errorf("%d probes counted that could not be asked, want 1", n)
	}
}

func TestProbesAreAskedWhileMute(t *testing.T) {
	newLAN(t)
	w, _ := start(t)
	w.Mute(true)
	w.Probe([]neighbor.Probe{probe(neighbor.HostProbe, clientMAC(), client4)})
	if _, ok := nextSighting(w, patience, sightingOf(neighbor.SawReply, client4)); !ok {
		t.Error("no reply was seen")
	}
}
