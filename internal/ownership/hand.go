package ownership

import (
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// hand asks the first of the targets that has not refused to take the address; one that does not within handWait has refused.
// When all have, they are asked again, from the first. Who is asked counts as having the address, so that one node that hands all over does
// not give the next more than its share.
func (d *decider) hand(own *holding, targets []string, cause lb.Cause) {
	defer func() {
		if own.HandTo != "" {
			d.loads.count[own.HandTo]++
		}
	}()
	if own.HandTo != "" && slices.Contains(targets, own.HandTo) && d.Now.Sub(own.asked) < handWait {
		d.wake(own.asked.Add(handWait))
		return
	}
	if own.HandTo != "" {
		own.refused = append(slices.Clone(own.refused), own.HandTo)
	}
	own.HandTo, own.HandCause = "", 0
	left := slices.DeleteFunc(slices.Clone(targets), func(n string) bool { return slices.Contains(own.refused, n) })
	if len(left) == 0 {
		own.refused = nil
		d.wake(d.Now.Add(handWait))
		return
	}
	own.HandTo, own.HandCause, own.asked = left[0], cause, d.Now
	d.wake(d.Now.Add(handWait))
}

// givenTo returns who is to be given the address, the first choice first: by load, unless failback would bring it to the first in
// rank all the same.
func (d *decider) givenTo(l *lot) []string {
	if l.failback {
		return names(l.takers())
	}
	return names(d.loads.byLoad(l.takers()))
}

// taken returns the node that has taken the address because we asked it to; none when there is none.
func (d *decider) taken(l *lot, own holding) string {
	i := slices.IndexFunc(l.hold, func(o claimant) bool { return own.askedOf(o.node) && o.From == d.Self && !own.overtook(o) })
	if i < 0 {
		return ""
	}
	return l.hold[i].node
}

// askedOf says whether the node was asked to take the address.
func (h holding) askedOf(node string) bool {
	return h.HandTo == node || slices.Contains(h.refused, node)
}

// cede gives the address to the node that has taken it. For a while we still answer that node, and it only.
func (d *decider) cede(l *lot, own holding, to string) {
	delete(d.memory.holdings, l.Addr)
	d.memory.trails[l.Addr] = trail{to: to, until: d.Now.Add(d.timing.Tail), interfaces: own.interfaces}
}

// trailing answers the new owner of an address that we gave away.
func (d *decider) trailing(addr netip.Addr) {
	t, ok := d.memory.trails[addr]
	if !ok {
		return
	}
	d.wake(t.until)
	d.answer(addr, t.interfaces, neighbor.Trail, t.to)
}
