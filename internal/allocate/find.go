package allocate

import (
	"net/netip"
)

// lowestIdle returns the lowest address of the span that nobody has, had lately or has a special right to.
func (p *planner) lowestIdle(s *span) (netip.Addr, bool) {
	for s.next.IsValid() {
		p.steps++
		if p.idle(s.next) && !(s.pool.AvoidBuggyIPs && buggy(s.next)) {
			return s.next, true
		}
		if s.next == s.last {
			s.next = netip.Addr{}
			break
		}
		s.next = s.next.Next()
	}
	return netip.Addr{}, false
}

// lowestFreed returns the lowest address of the span that is given up in this plan and not taken since.
func (p *planner) lowestFreed(s *span) (netip.Addr, bool) {
	for len(s.freed) > 0 {
		p.steps++
		if a := s.freed[0]; p.used[a] == nil && !p.barred(a) {
			return a, true
		}
		s.freed = s.freed[1:]
	}
	return netip.Addr{}, false
}

// oldestRecent returns the address of pool that was freed first of those that were in use lately.
func (p *planner) oldestRecent(pool *pool, f int) place {
	for len(pool.recent[f]) > 0 {
		p.steps++
		pl := pool.recent[f][0]
		if p.used[pl.addr] == nil && !p.leaving[pl.addr] && !p.barred(pl.addr) {
			return pl
		}
		pool.recent[f] = pool.recent[f][1:]
	}
	return place{}
}

// find returns the place that pool has for s in family f, when found is what it has been given of the other: an address of
// its sharing group, or else the lowest idle one, or else the first that was freed before this plan, or else in it.
func (p *planner) find(s *service, pool *pool, f int, found [2]place) place {
	if pl := p.joinable(s, pool, f, found); pl.ok() {
		return pl
	}
	pl := p.free(pool, f)
	if found[f] = pl; !pl.ok() || p.exceeds(s, pool, found) != nil {
		return place{}
	}
	return pl
}

// free returns the address of pool that is handed out next.
func (p *planner) free(pool *pool, f int) place {
	for _, span := range pool.spans[f] {
		if a, ok := p.lowestIdle(span); ok {
			return place{a, span}
		}
	}
	if pl := p.oldestRecent(pool, f); pl.ok() {
		return pl
	}
	for _, span := range pool.spans[f] {
		if a, ok := p.lowestFreed(span); ok {
			return place{a, span}
		}
	}
	return place{}
}

// joinable returns the first address of s's sharing group in pool that s may join. Being together is what the key asks
// for, so it comes before a free address, and a conflict of an address that is in use is no reason to part. A reserved
// address is joined by request only.
func (p *planner) joinable(s *service, pool *pool, f int, found [2]place) place {
	g := pool.groups[groupKey{f, s.SharingKey}]
	if s.SharingKey == "" || g == nil {
		return place{}
	}
	i := g.tried[s.likeness()]
	for i < len(g.addrs) && !p.used[g.addrs[i]].admits(s) {
		p.steps++
		i++
	}
	g.tried[s.likeness()] = i
	for ; i < len(g.addrs); i++ {
		p.steps++
		pl := place{g.addrs[i], spanOf(p.index, g.addrs[i])}
		found[f] = pl
		if !pl.span.reserved && p.keptFor(s, pl.addr) == nil &&
			p.used[pl.addr].admits(s) && p.exceeds(s, pool, found) == nil {
			return pl
		}
	}
	return place{}
}
