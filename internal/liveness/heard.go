package liveness

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// Heard takes a frame as evidence; now is when it is handed over, and what counts is when it came. Whatever it says, we are not
// deaf on the interface. Only a reply makes somebody Alive, and only if its Ethernet source and its sender hardware address are the
// same and one of the peer's:
//
//	a reply for                       makes Alive
//	an address of the peer's own      its host, on the interface on which the reply came
//	an address that the peer owns     its speaker, if that was asked
//	anything else                     nobody
//
// A reply of the speaker is no evidence for its host: a filter in the kernel, or one that answers nothing, does not hold it up.
func (w *Watch) Heard(now time.Time, s neighbor.Sighting) {
	i := slices.IndexFunc(w.links, func(l *link) bool { return l.Name == s.Interface })
	if i < 0 || !w.links[i].Up || !s.Source.IsUnicast() || w.ours(s.Source) {
		return
	}
	at := s.At
	if at.IsZero() || at.After(now) {
		at = now
	}
	l := w.links[i]
	if at.Before(l.UpSince) {
		return
	}
	l.hear(at)
	if s.Kind != neighbor.SawReply || s.MAC != s.Source {
		return
	}
	for _, p := range w.peers {
		if slices.Contains(p.macs, s.MAC) {
			p.replied(at, l, s.Addr)
		}
	}
}

// ours says whether a MAC is one of our own, whose frames a switch or a bridge has sent back.
func (w *Watch) ours(mac lb.MAC) bool {
	return slices.ContainsFunc(w.links, func(l *link) bool { return slices.Contains(l.MACs, mac) })
}

// replied takes a reply of the peer for an address.
func (p *peer) replied(at time.Time, l *link, a netip.Addr) {
	if _, owns := slices.BinarySearchFunc(p.Owns, a, netip.Addr.Compare); owns {
		if hosts := p.confirmed(); len(hosts) > 0 {
			p.answer.heard(at, hosts[0].interval(speakerSpacing, p.answer.again))
		}
		return
	}
	i := slices.IndexFunc(p.hosts, func(h *host) bool { return h.link == l })
	if i >= 0 && slices.ContainsFunc(p.Interfaces, func(itf lb.Interface) bool { return slices.Contains(itf.Addrs, a) }) {
		p.hosts[i].heard(at, p.hosts[i].wait())
	}
}
