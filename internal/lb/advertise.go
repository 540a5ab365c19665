package lb

import "slices"

// About says whether the advertisement names or selects the pool; one that does neither is about every pool.
func (a Advertisement) About(p *Pool) bool {
	if len(a.Pools) == 0 && len(a.PoolSelectors) == 0 {
		return true
	}
	return slices.Contains(a.Pools, p.Name) || AnyMatches(a.PoolSelectors, p.Labels)
}
