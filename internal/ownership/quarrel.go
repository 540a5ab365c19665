package ownership

import (
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

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

// since says whether a speaker was seen to answer after gossip had lost it. One that gossip has never lost or known was.
func (d *decider) since(f Foreign) bool {
	i := slices.IndexFunc(d.Peers, func(p lb.Peer) bool { return p.Node == f.Node })
	return i < 0 || f.At.After(d.Peers[i].Silent)
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

// overtook says whether we took the address over from just this claim. Until its speaker says something new, it does not know of
// ours: it has been away, and what it said last is about what was before.
func (h holding) overtook(o claimant) bool { return o.node == h.From && o.Since.Equal(h.over) }
