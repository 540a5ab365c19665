package ownership

import (
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

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
