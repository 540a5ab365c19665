package ownership

import (
	"slices"
	"time"
)

// heirs returns who is to answer instead of an owner, the first to act first: who it was handing the address to, its standby, then
// the others as they rank.
func (l *lot) heirs(owner claimant) []string {
	takers := l.heirsOf(owner.node)
	var named []string
	for _, n := range []string{owner.HandTo, owner.Standby} {
		if slices.Contains(takers, n) && !slices.Contains(named, n) {
			named = append(named, n)
		}
	}
	return append(named, slices.DeleteFunc(takers, func(n string) bool { return slices.Contains(named, n) })...)
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
