package ownership

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// keep decides on an address that we claim, by the first row that applies:
//
//	what is seen                                             what happens
//	who was asked to take it has                             it is his; we trail (hand.go)
//	another claims it with the better claim                  dropped; he announces (quarrel.go)
//	a speaker that gossip does not reach answers for it,
//	    answers us too, and ranks before us                  dropped (quarrel.go)
//	we took it over and turn out to be deaf                  dropped: it was not the owner that was gone
//	we may have it, or nobody is better off than we          kept, or handed over because of a wish (wish.go)
//	our kube-proxy died a moment ago, and others' did not    kept: they may be about to find out (kubeproxy.go)
//	we are mute, and a moment ago everybody was              kept: others may have found each other a little sooner
//	our link is down, or we are deaf or mute                 handed over, and not answered meanwhile: nobody would hear it;
//	                                                         dropped when nobody may take it
//	otherwise: we may not have it any more                   handed over, answered until somebody has taken it
func (d *decider) keep(l *lot, own holding) {
	own.Evidence = d.evidence(own.Evidence)
	if to := d.taken(l, own); to != "" {
		d.cede(l, own, to)
		return
	}
	if d.loses(l, &own) || d.yields(l, &own) || d.misheard(l, own) {
		delete(d.memory.holdings, l.Addr)
		return
	}
	switch c := l.candidate(d.Self); {
	case c != nil:
		own.interfaces, own.unproxied = c.Interfaces, time.Time{}
		if l.desperate {
			own.clung = d.Now
		}
		d.wish(l, &own, *c)
	case d.bides(l, &own):
	case d.reprieved(l, own):
		d.wake(own.clung.Add(reprieve))
	case d.helpless(l) && len(l.takers()) == 0:
		delete(d.memory.holdings, l.Addr)
		return
	case d.helpless(l):
		own.interfaces = nil
		d.hand(&own, d.givenTo(l), lb.CauseIneligible)
	default:
		d.hand(&own, d.givenTo(l), d.whyIneligible(l))
	}
	d.nameStandby(l, &own)
	d.own(l.Addr, own)
}

// misheard says whether we took the address over because we had begun to hear nobody.
func (d *decider) misheard(l *lot, own holding) bool {
	return own.Cause.Takeover() && d.Now.Sub(own.at) < hindsight && d.rejection(l).Reason == Deaf
}

// own keeps or takes an address, and answers for it. After a planned move the owner before is not answered, for as long as it
// trails, and until our kernel has forgotten that it did: it sends us packets that it does not know, and must not be told that the
// address is here by its own question.
func (d *decider) own(addr netip.Addr, own holding) {
	delete(d.memory.orphaned, addr)
	delete(d.memory.yielded, addr)
	delete(d.memory.trails, addr)
	d.memory.holdings[addr] = own
	not := ""
	if until := own.at.Add(d.timing.Tail + forgets); own.From != "" && planned(own.Cause) && d.Now.Before(until) {
		not = own.From
		d.wake(until)
	}
	d.answer(addr, own.interfaces, neighbor.Own, not)
}

// planned says whether the owner before agreed.
func planned(c lb.Cause) bool { return c != lb.CauseFree && !c.Takeover() }

// helpless says whether the node could not answer for the address if it wanted to.
func (d *decider) helpless(l *lot) bool {
	switch d.rejection(l).Reason {
	case InterfaceDown, Deaf, Mute, NoInterfaces:
		return true
	}
	return false
}

// reprieved says whether the node is mute, and so was everybody else a moment ago.
func (d *decider) reprieved(l *lot, own holding) bool {
	return d.rejection(l).Reason == Mute && d.Now.Before(own.clung.Add(reprieve))
}

// rejection is why this node is no candidate.
func (d *decider) rejection(l *lot) lb.Problem {
	if i := slices.IndexFunc(l.Rejected, func(r Rejection) bool { return r.Node == d.Self }); i >= 0 {
		return l.Rejected[i].Problem
	}
	return lb.Problem{}
}

func (d *decider) whyIneligible(l *lot) lb.Cause {
	if d.rejection(l).Reason == OutOfService {
		return lb.CauseShutdown
	}
	return lb.CauseIneligible
}
