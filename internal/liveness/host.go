package liveness

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// link is one of our interfaces, and who can be asked there.
type link struct {
	Link
	hosts []*host // in ring order: sorted by node, beginning behind us
	slot  int64   // of the last question of the baseline, see slotAt
	quiet quiet
	heard bool // somebody was, since the link came up
	deaf  bool

	routine, urgent, alarms bucket
}

// peer is what is known of a Peer.
type peer struct {
	Peer
	macs   []lb.MAC  // all that its frames may come from
	alive  time.Time // when gossip said Alive last
	since  time.Time // when gossip stopped saying so
	hosts  []*host   // sorted by interface
	answer round     // of its speaker
	turn   int       // counts the questions to its speaker, to rotate through its addresses
}

// host is a peer on one of our links.
type host struct {
	round
	peer   *peer
	link   *link
	target netip.Addr
	to     lb.MAC
	place  int       // in the link's ring, from 0
	called time.Time // when an alarm asked it last
}

// suspect says that gossip does not vouch for the peer.
func (p *peer) suspect() bool { return p.Gossip != lb.Alive }

// watched says that the peer is asked again and again, outside the baseline.
func (h *host) watched() bool { return h.peer.suspect() || h.peer.Doubted || h.life == lb.Dead }

// again asks the peer everywhere at once.
func (p *peer) again(now time.Time) {
	for _, h := range p.hosts {
		h.begin(now)
	}
}

// calm returns a host to the baseline, or asks it at once whether it is back.
func (h *host) calm(now time.Time) {
	h.sent, h.fresh, h.next = 0, false, time.Time{}
	if h.life == lb.Dead {
		h.next = now
	}
}

// reach finds where a peer's kernel can be asked on our interface, and the hardware address to send it to:
//
//	it has an IPv4 address in one of our IPv4 prefixes there                       that address
//	it has none, but an IPv6 prefix in common with us, and both have a link-local   its link-local address
//	anything else                                                                  nowhere
//
// Of the peer only interfaces that are up and have a MAC count, and no address that it owns as a service's. An address that is
// our own too says nothing: it is that of a bridge which every node has for itself.
func reach(ours lb.Interface, p Peer) (netip.Addr, lb.MAC, bool) {
	for _, v4 := range []bool{true, false} {
		for _, theirs := range p.Interfaces {
			if !theirs.Up || len(theirs.MACs) == 0 || !theirs.MACs[0].IsUnicast() {
				continue
			}
			for _, a := range theirs.Addrs {
				_, service := slices.BinarySearchFunc(p.Owns, a, netip.Addr.Compare)
				if a.Is4() == v4 && !service && shared(ours, theirs, a) {
					return a, theirs.MACs[0], true
				}
			}
		}
	}
	return netip.Addr{}, lb.MAC{}, false
}

// shared says whether a, of their interface, can be asked for on ours.
func shared(ours, theirs lb.Interface, a netip.Addr) bool {
	if a.Is4() {
		return !slices.Contains(ours.Addrs, a) && onLink(ours, a)
	}
	return a.IsLinkLocalUnicast() && slices.ContainsFunc(ours.Addrs, func(o netip.Addr) bool { return o.Is6() && o.IsLinkLocalUnicast() }) &&
		slices.ContainsFunc(ours.Prefixes, func(o netip.Prefix) bool { return o.Addr().Is6() && slices.ContainsFunc(theirs.Prefixes, o.Overlaps) })
}
