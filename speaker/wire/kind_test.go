package wire

import (
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

func theOwner() neighbor.MAC  { return neighbor.MAC{2, 0, 0, 0, 3, 3} }
func theClient() neighbor.MAC { return neighbor.MAC{2, 0, 0, 0, 0, 9} }

func TestAStandInAnswersWithTheOwnersMACFromItsOwn(t *testing.T) {
	l := newLAN(t)
	w, registry := start(t)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	w.Answer(entriesOn("lan0", neighbor.Entry{Kind: neighbor.StandIn, As: theOwner()}, vip4, vip6))
	l.mustResolve(theOwner()) // by the client's kernel
	for _, c := range asks(t, arps, ndps, l.mac(), theClient()) {
		c.tap.send(c.question)
		frame := c.tap.next(patience, answerFor(c.vip, theClient()))
		if s, ok := hear(frame); !ok || s.mac != theOwner() || s.source != l.mac() {
			t.Errorf("%s: the answer is %+v", c.name, s)
		}
	}
	for _, c := range asks(t, arps, ndps, l.mac(), theOwner()) {
		c.tap.send(c.question)
		if frame := c.tap.next(soon, answerFor(c.vip, theOwner())); frame != nil {
			t.Errorf("%s by the owner itself was answered: %x", c.name, frame)
		}
	}
	mustNotAnnounce(t, arps, ndps)
	for _, family := range []string{"IPv4", "IPv6"} {
		if n := counted(t, registry, "steelyard_wire_frames_sent_total", family, "stand_in_answer"); n < 2 {
			t.Errorf("%s: %d answers counted as given for another", family, n)
		}
		if n := counted(t, registry, "steelyard_wire_frames_sent_total", family, "answer"); n != 0 {
			t.Errorf("%s: %d answers counted as for our own", family, n)
		}
	}
}

func TestAStandInDefendsTheOwnersAddressAgainstDuplicates(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	ndps := l.tap("eth0", unix.ETH_P_IPV6)
	w.Answer(entriesOn("lan0", neighbor.Entry{Kind: neighbor.StandIn, As: theOwner()}, vip6))
	eventually(t, "a duplicate address detection is answered with the owner's MAC, to all", func() bool {
		ndps.send(neighbor.Ask(neighbor.Link{MAC: theClient()}, neighbor.Probe{Kind: neighbor.FirstProbe, Target: netip.MustParseAddr(vip6)}, netip.Addr{}))
		s, ok := hear(ndps.next(soon, about(vip6)))
		return ok && s.mac == theOwner() && s.source == l.mac() && s.to == neighbor.MAC{0x33, 0x33, 0, 0, 0, 1} && !s.answer && s.override
	})
}

func TestATrailAnswersTheNewOwnerOnly(t *testing.T) {
	l := newLAN(t)
	w, registry := start(t)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	w.Answer(entriesOn("lan0", neighbor.Entry{Kind: neighbor.Trail, Only: []neighbor.MAC{theOwner()}}, vip4, vip6))
	eventually(t, "the group of the address is still joined", func() bool { return heldOn(t, "lan0", vip6) })
	l.mustNotResolve()
	for _, c := range asks(t, arps, ndps, l.mac(), theOwner()) {
		c.tap.send(c.question)
		frame := c.tap.next(patience, answerFor(c.vip, theOwner()))
		if s, ok := hear(frame); !ok || s.mac != l.mac() || s.source != l.mac() {
			t.Errorf("%s by the new owner: the answer is %+v", c.name, s)
		}
	}
	mustNotAnnounce(t, arps, ndps)
	for _, family := range []string{"IPv4", "IPv6"} {
		if n := counted(t, registry, "steelyard_wire_frames_sent_total", family, "trail_answer"); n != 2 {
			t.Errorf("%s: %d answers of the trail counted, want 2", family, n)
		}
		if n := counted(t, registry, "steelyard_wire_frames_received_total", family, "withheld"); n < 1 {
			t.Errorf("%s: no question of another counted as withheld", family)
		}
	}
}

func TestTheNodeBeforeDoesNotFindTheAddressAtUs(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	w.Answer(entriesOn("lan0", neighbor.Entry{Not: []neighbor.MAC{theOwner()}}, vip4, vip6))
	l.mustResolve(l.mac())
	for _, c := range asks(t, arps, ndps, l.mac(), theOwner()) {
		c.tap.send(c.question)
		frame := c.tap.next(soon, answerFor(c.vip, theOwner()))
		if answered := frame != nil; answered == c.toAll {
			t.Errorf("%s by the node before: answered %v", c.name, answered)
		}
	}
}

func TestWhoStoodInAnnouncesWhenItTakesOver(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	w.Answer(entriesOn("lan0", neighbor.Entry{Kind: neighbor.StandIn, As: theOwner()}, vip4, vip6))
	l.mustResolve(theOwner())
	w.Answer(wantOn("lan0", vip4, vip6))
	arps.mustAnnounceAgain(vip4, l.mac())
	ndps.mustAnnounceAgain(vip6, l.mac())
	l.mustResolve(l.mac())
}

// ask is a question of one client.
type ask struct {
	name, vip string
	tap       *tap
	question  []byte
	toAll     bool
}

// asks are the four questions of mac for both addresses: to all, and to us alone.
func asks(t *testing.T, arps, ndps *tap, us, mac neighbor.MAC) []ask {
	slla := &ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac[:]}
	group := neighbor.MAC{0x33, 0x33, 0xff, 0, 0, 0x10}
	return []ask{
		{"a broadcast request", vip4, arps, request(t, mac, broadcast(), vip4), true},
		{"a unicast request", vip4, arps, request(t, mac, us, vip4), false},
		{"a multicast solicitation", vip6, ndps, solicitation(t, mac, group, vip6, slla), true},
		{"a unicast solicitation", vip6, ndps, solicitation(t, mac, us, vip6, slla), false},
	}
}

// mustNotAnnounce fails when something that is no answer is said about our addresses within a second.
func mustNotAnnounce(t *testing.T, arps, ndps *tap) {
	t.Helper()
	for _, h := range append(arps.collect(vip4, 1200*time.Millisecond), ndps.collect(vip6, 100*time.Millisecond)...) {
		if !h.answer {
			t.Errorf("announced: %+v", h.said)
		}
	}
}

// heldOn says whether the kernel is in the solicited-node group of an address.
func heldOn(t *testing.T, name, addr string) bool {
	held, err := heldGroups()
	check(t, err)
	l, err := kernel{}.Links()
	check(t, err)
	for _, link := range l {
		if link.Name == name {
			return held[link.Index][neighbor.SolicitedNode(netip.MustParseAddr(addr))]
		}
	}
	return false
}
