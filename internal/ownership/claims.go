package ownership

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// claimant is a speaker that claims an address.
type claimant struct {
	lb.Claim
	node      string
	condition Condition
}

// claimants returns the others that claim each address; who is gone is still in it.
func claimants(v View) map[netip.Addr][]claimant {
	out := map[netip.Addr][]claimant{}
	for _, s := range v.Speakers {
		if s.Node == v.Self {
			continue
		}
		for _, c := range s.Claims {
			out[c.Addr] = append(out[c.Addr], claimant{Claim: c, node: s.Node})
		}
	}
	return out
}

// sortClaims orders claims on one address, the best first: by evidence (the more live speakers its owner has heard all the time),
// then incumbency, then rank. There is no counter that the later claimant could win by: it would reward the isolated node that has
// declared everybody else dead.
func sortClaims(list []claimant, rank func(node string) int) {
	if len(list) < 2 {
		return
	}
	all := slices.Clone(list) // list is in no order while it is being sorted
	late := func(c claimant) int { return lateness(c, all) }
	slices.SortFunc(list, func(a, b claimant) int {
		return cmp.Or(-cmp.Compare(a.Evidence, b.Evidence), cmp.Compare(late(a), late(b)), cmp.Compare(rank(a.node), rank(b.node)), cmp.Compare(a.node, b.node))
	})
}

// lateness says how little of an incumbent a claimant is:
//
//	0    its claim is no takeover
//	1    it took over from one that claims the address no more
//	2    it took over from one that claims it still, and so was not gone
func lateness(c claimant, list []claimant) int {
	switch {
	case !c.Cause.Takeover():
		return 0
	case !slices.ContainsFunc(list, func(o claimant) bool { return o.node == c.From }):
		return 1
	}
	return 2
}

// ceded says whether a handed its claim over to b: a planned move of which both claims are still about.
func ceded(a, b claimant) bool { return a.HandTo == b.node && b.From == a.node }

// split parts the claims on an address into those that hold, the best first, and those of nodes that are gone, the best first.
// A claim that was handed over does not hold any more.
func split(all []claimant, conditions map[string]Condition, rank func(string) int) (hold, void []claimant) {
	for _, c := range all {
		c.condition = conditions[c.node]
		switch {
		case c.condition == Gone:
			void = append(void, c)
		case slices.ContainsFunc(all, func(o claimant) bool { return ceded(c, o) && conditions[o.node] != Gone }):
		default:
			hold = append(hold, c)
		}
	}
	sortClaims(hold, rank)
	sortClaims(void, rank)
	return hold, void
}
