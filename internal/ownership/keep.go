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
//	who was asked to take it has                             it is his; we trail
//	another claims it with the better claim                  dropped; he announces
//	a speaker that gossip does not reach answers for it,
//	    answers us too, and ranks before us                  dropped
//	we took it over and turn out to be deaf                  dropped: it was not the owner that was gone
//	we are mute, and a moment ago everybody was              kept: others may have found each other a little sooner
//	our link is down, or we are deaf or mute                 handed over, and not answered meanwhile: nobody would hear it
//	we may not have it any more                              handed over, answered until somebody has taken it
//	a wish: the Service's, a preference, failback            handed over
//	otherwise                                                kept
func (d *decider) keep(l *lot, own holding) {
	own.Evidence = d.evidence(own.Evidence)
	taken := func(o claimant) bool { return own.askedOf(o.node) && o.From == d.Self && !own.overtook(o) }
	if i := slices.IndexFunc(l.hold, taken); i >= 0 {
		d.cede(l, own, l.hold[i].node)
		return
	}
	if d.loses(l, &own) || d.yields(l, &own) {
		delete(d.memory.holdings, l.Addr)
		return
	}
	c := l.candidate(d.Self)
	switch {
	case d.misheard(l, own):
		delete(d.memory.holdings, l.Addr)
		return
	case c != nil:
		own.interfaces = c.Interfaces
		if l.desperate {
			own.clung = d.Now
		}
		d.wish(l, &own, *c)
	case d.reprieved(l, own):
		d.wake(own.clung.Add(reprieve))
	case d.helpless(l):
		takers := names(l.takers())
		if len(takers) == 0 {
			delete(d.memory.holdings, l.Addr)
			return
		}
		own.interfaces = nil
		d.hand(&own, takers, lb.CauseIneligible)
	default:
		d.hand(&own, names(l.takers()), d.whyIneligible(l))
	}
	d.nameStandby(l, &own)
	d.own(l.Addr, own)
}

// misheard says whether we took the address over because we had begun to hear nobody.
func (d *decider) misheard(l *lot, own holding) bool {
	return own.Cause.Takeover() && d.Now.Sub(own.at) < hindsight && d.rejection(l).Reason == Deaf
}

// askedOf says whether the node was asked to take the address.
func (h holding) askedOf(node string) bool {
	return h.HandTo == node || slices.Contains(h.refused, node)
}

// overtook says whether we took the address over from just this claim. Until its speaker says something new, it does not know of
// ours: it has been away, and what it said last is about what was before.
func (h holding) overtook(o claimant) bool { return o.node == h.From && o.Since.Equal(h.over) }

// own keeps or takes an address, and answers for it. After a planned move the owner before is not answered, for as long as it
// trails, and until our kernel has forgotten that it did: it sends us packets that it does not know, and must not be told that the address is here by its own question.
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

// loses compares our claim with those of the others. Where ours is the better, it is announced once more. These are no rivals: who
// has asked us to take the address; one that is cut off from gossip, of whom the wire tells what it does; and who had the address
// before, as long as its claim is still the one that we took over: it does not know of ours yet. Should it know, and have the better
// claim all the same, it claims anew.
func (d *decider) loses(l *lot, own *holding) bool {
	me := claimant{Claim: own.Claim, node: d.Self}
	for _, o := range l.hold {
		if o.condition == Cut || ceded(o, me) || own.overtook(o) {
			continue
		}
		pair := []claimant{me, o}
		if sortClaims(pair, l.rank); pair[0].node != d.Self {
			return true
		}
		if o.From == d.Self && !slices.ContainsFunc(own.answered, o.Since.Equal) {
			own.answered, own.Since = append(slices.Clone(own.answered), o.Since), d.Now
		}
		if due := own.announced.Add(announceAgain); d.Now.Before(due) {
			d.wake(due)
			continue
		}
		own.announced = d.Now
		d.out.Defend = append(d.out.Defend, l.Addr)
	}
	return false
}

// yields looks at who else answers for our address on the wire:
//
//	a stranger                                    defended (RFC 5227 §2.4), and told
//	a station that answers for many (proxy ARP)   ignored, and told
//	a speaker that gossip hears, or did then      nothing: gossip says what it claims
//	one whose host does not answer us             announced once more: it hears nothing, so it must not win
//	any other speaker                             who ranks first keeps it, if gossip has not found that speaker for rivalWait
func (d *decider) yields(l *lot, own *holding) bool {
	var rival lb.MAC
	for _, f := range d.foreign[l.Addr] {
		switch {
		case f.Node == "" && d.proxies(f.MAC):
			d.out.Proxies = append(d.out.Proxies, f)
		case f.Node == "":
			d.out.Strangers = append(d.out.Strangers, f)
			if d.Now.Sub(own.defended) >= defendAgain {
				own.defended = d.Now
				d.out.Defend = append(d.out.Defend, l.Addr)
			}
		case l.seg.conditions[f.Node] == Working, !d.since(f):
		case !d.lost(l, f.Node) && l.before(f.Node, d.Self):
			rival = f.MAC
		case d.Now.Sub(own.announced) >= announceAgain:
			own.announced = d.Now
			d.out.Defend = append(d.out.Defend, l.Addr)
		}
	}
	switch {
	case rival == lb.MAC{}:
		own.rival = time.Time{}
		return false
	case own.rival.IsZero():
		own.rival = d.Now
	}
	if due := own.rival.Add(rivalWait); d.Now.Before(due) {
		d.wake(due)
		return false
	}
	d.memory.yielded[l.Addr] = rival
	return true
}

// since says whether a speaker was seen to answer after gossip had lost it. One that is not known to gossip at all was.
func (d *decider) since(f Foreign) bool {
	i := slices.IndexFunc(d.Peers, func(p lb.Peer) bool { return p.Node == f.Node })
	return i < 0 || d.Peers[i].Silent.IsZero() || f.At.After(d.Peers[i].Silent)
}

// lost says whether a node's host answers us on the segment no more.
func (d *decider) lost(l *lot, node string) bool {
	return slices.ContainsFunc(d.Peers, func(p lb.Peer) bool { return p.Node == node && hostLife(p, d.linksOf(l)) == lb.Dead })
}

// before says whether node a ranks before node b. One of whom nothing but the name is known is compared by the hash alone; so does
// the other side.
func (l *lot) before(a, b string) bool {
	if l.candidate(a) != nil && l.candidate(b) != nil {
		return l.rank(a) < l.rank(b)
	}
	return rank(l.Addr, []Candidate{{Node: a}, {Node: b}})[0].Node == a
}

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

// wish hands the address over when somebody else is to have it, and wished so for long enough:
//
//	who                                         how long
//	the node that the Service asks for          at once
//	a node that is preferred to us              wishWait
//	with failback: a node that ranks before us  failbackWait
func (d *decider) wish(l *lot, own *holding, c Candidate) {
	node, cause, wait := l.wished(c)
	d.fixed[l.Addr] = l.failback || l.wanted() == d.Self
	if node == "" && own.HandCause == lb.CauseRebalance && d.Now.Sub(own.asked) < handWait {
		d.wake(own.asked.Add(handWait))
		return // rebalance has asked
	}
	if node != own.wish {
		own.wish, own.wishSince, own.refused = node, d.Now, nil
	}
	if node == "" {
		own.HandTo, own.HandCause, own.refused = "", 0, nil
		return
	}
	if due := own.wishSince.Add(wait); d.Now.Before(due) {
		d.wake(due)
		return
	}
	if d.hand(own, []string{node}, cause); own.HandTo == "" {
		own.wishSince = d.Now // it did not take the address; ask again later
		d.wake(d.Now.Add(max(wait, wishWait)))
	}
}

// wished returns who should have the address instead of c, why, and for how long that must have been so.
func (l *lot) wished(c Candidate) (node string, cause lb.Cause, wait time.Duration) {
	takers := l.takers()
	if wanted := l.wanted(); wanted == c.Node {
		return "", 0, 0
	} else if slices.ContainsFunc(takers, func(t Candidate) bool { return t.Node == wanted }) {
		return wanted, lb.CauseRequested, 0
	}
	if len(takers) == 0 || l.rank(takers[0].Node) >= l.rank(c.Node) {
		return "", 0, 0
	}
	switch {
	case takers[0].Weight > c.Weight:
		return takers[0].Node, lb.CausePreferred, wishWait
	case l.failback:
		return takers[0].Node, lb.CausePreferred, failbackWait
	}
	return "", 0, 0
}

// wanted is the node that the oldest Service with such a wish asks for.
func (l *lot) wanted() string {
	for _, s := range l.services {
		if s.WantedNode != "" {
			return s.WantedNode
		}
	}
	return ""
}

// nameStandby names our heir: the best of those that may take the address. The one before stays until another has been better for a
// while, so that a node that comes and goes is not named again and again. A node that is back inherits its part in the end: else
// the next death would leave everything to those that had never died.
func (d *decider) nameStandby(l *lot, own *holding) {
	heirs := l.heirsOf(d.Self)
	if !slices.Contains(heirs, own.Standby) || heirs[0] == own.Standby {
		own.Standby, own.better = best(heirs), time.Time{}
		return
	}
	if own.better.IsZero() {
		own.better = d.Now
	}
	due := own.better.Add(steady)
	if d.Now.Before(due) {
		d.wake(due)
		return
	}
	own.Standby, own.better = heirs[0], time.Time{}
}

// heirsOf returns who may take the address from its owner, the best first.
func (l *lot) heirsOf(owner string) []string {
	return slices.DeleteFunc(names(l.takers()), func(n string) bool { return n == owner })
}

// best returns the first of ranked names; none when there is none.
func best(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func names(list []Candidate) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.Node
	}
	return out
}
