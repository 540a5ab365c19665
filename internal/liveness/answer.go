package liveness

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// askSpeaker asks a peer for an address that it owns, if that is due: only one whom gossip does not vouch for, and whose host has
// answered since then.
func (p *peer) askSpeaker(now time.Time) (probes []neighbor.Probe) {
	hosts := p.confirmed()
	switch {
	case len(hosts) == 0:
		p.answer = round{}
		return nil
	case p.answer.next.IsZero():
		p.answer.begin(now)
	}
	if !p.answer.due(now) {
		return nil
	}
	urgent, questions := p.answer.urgent(), p.address(hosts)
	if slices.ContainsFunc(questions, func(q question) bool { return now.Before(q.link.mayAt(urgent)) }) {
		return nil // all of them or none: it may be answered on one link only
	}
	for _, q := range questions {
		q.link.may(now, urgent, spare(urgent))
		q.link.sent(now)
		probes = append(probes, neighbor.Probe{Kind: neighbor.AnswerProbe, Interface: q.link.Name, To: q.to, Target: q.address, Node: p.Node})
	}
	if len(probes) > 0 {
		p.turn++
		p.answer.asked(now, quick, true)
	}
	return probes
}

// confirmed returns the hosts of a suspect that have answered since it is one.
func (p *peer) confirmed() (hosts []*host) {
	if !p.suspect() {
		return nil
	}
	for _, h := range p.hosts {
		if h.life == lb.Alive && !h.answered.Before(p.since) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// question is a service address to ask for, and of which host.
type question struct {
	*host
	address netip.Addr
}

// address chooses the service address to ask for, each in its turn, and where. One that is on-link somewhere is asked for there,
// before any that is not; the latter is asked for on every link, for it may be answered on some of them only.
func (p *peer) address(hosts []*host) []question {
	for _, test := range []func(lb.Interface, netip.Addr) bool{onLink, sameFamily} {
		for i := range p.Owns {
			var out []question
			a := p.Owns[(p.turn+i)%len(p.Owns)]
			for _, h := range hosts {
				if test(h.link.Interface, a) {
					out = append(out, question{h, a})
				}
			}
			if len(out) > 0 {
				return out
			}
		}
	}
	return nil
}

// onLink says whether an address is in one of the interface's prefixes.
func onLink(itf lb.Interface, a netip.Addr) bool {
	return slices.ContainsFunc(itf.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// sameFamily says whether the interface has an address from which to ask for a.
func sameFamily(itf lb.Interface, a netip.Addr) bool {
	return slices.ContainsFunc(itf.Addrs, func(own netip.Addr) bool { return own.BitLen() == a.BitLen() })
}
