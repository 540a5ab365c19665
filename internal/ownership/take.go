package ownership

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// follow decides on an address that another has: we take it when its owner asks us to, and answer in its name while it is stalled
// and we are its heir.
func (d *decider) follow(l *lot) {
	owner := l.hold[0]
	if owner.HandTo == d.Self && d.mayTake(l) && d.couldKeep(l, owner) {
		d.take(l, owner.HandCause, owner.node)
		return
	}
	if owner.condition != Stalled || d.Stalled {
		return
	}
	if heirs := l.heirs(owner); len(heirs) > 0 && heirs[0] == d.Self {
		l.StandIn = d.Self
		d.answer(l.Addr, l.candidate(d.Self).Interfaces, neighbor.StandIn, owner.node)
	}
}

// couldKeep says whether the claim by which we would take the address from its owner were better than all others on it. Else we
// should give it up at once, be asked again, take it again, and so on until gossip brings news.
func (d *decider) couldKeep(l *lot, owner claimant) bool {
	ours := claimant{Claim: lb.Claim{Evidence: d.memory.heard, Cause: owner.HandCause, From: owner.node}, node: d.Self}
	return !slices.ContainsFunc(l.hold[1:], func(o claimant) bool {
		pair := []claimant{ours, o}
		sortClaims(pair, l.rank)
		return o.condition != Cut && pair[0].node != d.Self
	})
}

// mayTake says whether we may be given an address at all.
func (d *decider) mayTake(l *lot) bool {
	return !d.Stalled && slices.ContainsFunc(l.takers(), func(c Candidate) bool { return c.Node == d.Self })
}

// inherit takes an address whose owner is gone, when it is our turn. Nobody is asked and the LAN is not probed: clients wait.
func (d *decider) inherit(l *lot) {
	dead := l.void[0]
	if !d.turn(l, l.heirs(dead)) {
		return
	}
	cause := lb.CauseDeath
	if i := slices.IndexFunc(d.Peers, func(p lb.Peer) bool { return p.Node == dead.node }); i >= 0 {
		p := d.Peers[i]
		if judge(p, d.said[p.Node].Restarting, hostLife(p, d.linksOf(l))) == Stalled {
			cause = lb.CauseHold
		}
	}
	d.take(l, cause, dead.node)
}

// linksOf returns our interfaces on the segment of an address.
func (d *decider) linksOf(l *lot) []string {
	if c := l.candidate(d.Self); c != nil {
		return c.Interfaces
	}
	return nil
}

// turn says whether it is our turn: at once for the first in the order, RankDelay later for each next one, and later by claimWait for
// all but the first when another is heard to answer.
func (d *decider) turn(l *lot, order []string) bool {
	since, known := d.memory.orphaned[l.Addr]
	if !known {
		since = d.Now
		d.memory.orphaned[l.Addr] = since
	}
	k := slices.Index(order, d.Self)
	if k < 0 || d.Stalled {
		return false
	}
	due := since.Add(time.Duration(k) * d.timing.RankDelay)
	if k > 0 && d.answeredSince(l.Addr, since, l.seg.conditions) {
		due = due.Add(claimWait)
	}
	if d.Now.Before(due) {
		d.wake(due)
		return false
	}
	return true
}

// answeredSince says whether another speaker that works was heard to answer for an address, or to announce it, after it had lost its
// owner: it has taken the address, and its claim is on its way.
func (d *decider) answeredSince(addr netip.Addr, orphaned time.Time, conditions map[string]Condition) bool {
	return slices.ContainsFunc(d.foreign[addr], func(f Foreign) bool { return f.At.After(orphaned) && conditions[f.Node] == Working })
}

// free decides on an address that nobody has: who ranks first and has room asks the LAN whether somebody uses it, and takes it when
// nobody does.
func (d *decider) free(l *lot) {
	order := d.givenTo(l)
	if wanted := l.wanted(); slices.Contains(order, wanted) {
		order = append([]string{wanted}, slices.DeleteFunc(order, func(n string) bool { return n == wanted })...)
	}
	if len(order) > 0 {
		d.loads.count[order[0]]++
	}
	if !slices.Contains(order, d.Self) {
		return
	}
	p, asked := d.Probed[l.Addr]
	free := asked && d.unused(l, p)
	if asked && !free {
		d.inUse(l, p)
		return
	}
	if since := d.memory.orphaned[l.Addr]; free && since.After(d.Now) {
		d.memory.orphaned[l.Addr] = d.Now // what spoke against it was a router
	}
	if !d.turn(l, order) {
		return
	}
	d.check(l) // also with a result: it is kept until the address is ours
	if free {
		d.take(l, lb.CauseFree, "")
	}
}

// check has the LAN asked about the address. A result is in the View for as long as the check is wanted.
func (d *decider) check(l *lot) {
	d.out.Check = append(d.out.Check, Check{l.Addr, l.candidate(d.Self).Interfaces})
}

// unused says whether what the LAN said is no reason to leave the address alone: nobody answered, or a router with proxy ARP did,
// or the kernel of a working speaker that does not claim it, as with kube-proxy in IPVS mode without strictARP.
func (d *decider) unused(l *lot, p Probed) bool {
	return p.Clear || !d.speaks(l.Addr, p) && d.proxies(p.By) || l.seg.conditions[d.nodeWith(p.By)] == Working
}

// inUse leaves an address alone that somebody answers for; the LAN is asked again later, by the candidates in turn.
func (d *decider) inUse(l *lot, p Probed) {
	d.check(l)
	again := p.At.Add(CheckAgain)
	d.memory.orphaned[l.Addr] = again
	d.wake(again)
	if d.speaks(l.Addr, p) {
		return
	}
	d.out.Strangers = append(d.out.Strangers, Foreign{Addr: l.Addr, MAC: p.By, At: p.At})
	l.Problem = &lb.Problem{Reason: InUse, Message: "a station with the hardware address " + p.By.String() + ", which is no speaker, answers for the address"}
	d.decoys(l)
}

// take claims an address and answers for it from now on.
func (d *decider) take(l *lot, cause lb.Cause, from string) {
	d.own(l.Addr, holding{
		Claim: lb.Claim{Addr: l.Addr, Standby: best(l.heirsOf(d.Self)), Evidence: d.memory.heard, Cause: cause, From: from, Since: d.Now},
		at:    d.Now, over: d.sinceOf(l.Addr, from), interfaces: l.candidate(d.Self).Interfaces,
	})
}

// decoys has the LAN asked about addresses of our pools that no Service has, beside one that a stranger answers for. Who answers
// for those too is a router with proxy ARP, and does not use the address. Only pools are asked about: a question for any other
// address could disturb a host that is just taking it (RFC 5227 §2.1.1).
func (d *decider) decoys(l *lot) {
	left := manyAddresses - 1
	for i := range d.pools {
		for _, r := range d.pools[i].Ranges {
			for a := r.From(); left > 0 && r.Contains(a) && lb.FamilyOf(a) == lb.FamilyOf(l.Addr); a = a.Next() {
				if a == l.Addr || d.held[a] != nil {
					continue
				}
				d.bait[a] = l.candidate(d.Self).Interfaces
				left--
			}
		}
	}
}

// sinceOf returns when a node claimed an address, by its own word.
func (d *decider) sinceOf(addr netip.Addr, node string) time.Time {
	for _, c := range d.claimed[addr] {
		if c.node == node {
			return c.Since
		}
	}
	return time.Time{}
}

// speaks says whether it is a speaker that answered for an address.
func (d *decider) speaks(addr netip.Addr, p Probed) bool {
	return p.Node != "" || d.nodeWith(p.By) != "" || d.memory.yielded[addr] == p.By
}

// nodeWith returns the node that has a hardware address, or none.
func (d *decider) nodeWith(mac lb.MAC) string {
	for _, s := range d.Speakers {
		for _, itf := range s.Interfaces {
			if slices.Contains(itf.MACs, mac) {
				return s.Node
			}
		}
	}
	return ""
}

// manyAddresses is for how many of our addresses a station answers that is taken for a router with proxy ARP.
const manyAddresses = 3

// proxies says whether a station answers for so many addresses that it must be a router with proxy ARP: it does not want any one
// of them for itself.
func (d *decider) proxies(mac lb.MAC) bool {
	addrs := map[netip.Addr]bool{}
	for addr, p := range d.Probed {
		if p.By == mac {
			addrs[addr] = true
		}
	}
	for _, f := range d.Foreign {
		if f.MAC == mac {
			addrs[f.Addr] = true
		}
	}
	return len(addrs) >= manyAddresses
}

// rebalance gives one address away when we have more than our share, and again after a while: of those that nothing else is wished
// for, the one for which the best other node with room ranks best.
func (d *decider) rebalance() {
	over := len(d.memory.holdings) > d.loads.bound
	if !over || d.timing.Rebalance == 0 {
		d.memory.rebalanced = time.Time{}
		return
	}
	if d.memory.rebalanced.IsZero() {
		d.memory.rebalanced = d.Now
	}
	if due := d.memory.rebalanced.Add(d.timing.Rebalance); d.Now.Before(due) {
		d.wake(due)
		return
	}
	best, bestRank := -1, 0
	for i, a := range d.out.Addresses {
		own, ours := d.memory.holdings[a.Addr]
		if !ours || own.HandTo != "" || own.wish != "" || d.bound(a) {
			continue
		}
		if at := slices.IndexFunc(a.Ranked(), d.hasRoom); at >= 0 && (best < 0 || at < bestRank) {
			best, bestRank = i, at
		}
	}
	if best < 0 {
		return
	}
	a := d.out.Addresses[best]
	own := d.memory.holdings[a.Addr]
	own.HandTo, own.HandCause, own.asked = a.Ranked()[bestRank].Node, lb.CauseRebalance, d.Now
	d.memory.holdings[a.Addr], d.memory.rebalanced = own, d.Now
	d.wake(d.Now.Add(handWait))
}

// bound says whether the address must not be given away for balance: its Service asks for us, or a preference or failback would
// bring it back.
func (d *decider) bound(a Address) bool {
	at := slices.IndexFunc(a.Candidates, func(c Candidate) bool { return c.Node == d.Self })
	if at < 0 || d.fixed[a.Addr] {
		return true
	}
	return !slices.ContainsFunc(a.Candidates, func(c Candidate) bool { return c.Weight >= a.Candidates[at].Weight && d.hasRoom(c) })
}

func (d *decider) hasRoom(c Candidate) bool {
	return c.Node != d.Self && c.Condition == Working && !d.loads.full(c.Node)
}
