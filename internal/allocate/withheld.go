package allocate

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// withheld is what keeps free addresses from being handed out like others:
//
//	recent     in use until lately          last, the one that was freed first coming first
//	conflict   a stranger answers for it    only to who asks for it by number
//	retained   a Service was deleted        only to a Service of that name, to others not even by number
//	reserved   the pool says so             only to who asks for it by number (see span.reserved)
type withheld struct {
	recent   map[netip.Addr]bool
	conflict map[netip.Addr]bool
	retained map[netip.Addr][]lb.Retention // those that nobody has claimed
	comeback map[lb.Name][]netip.Addr      // what is kept for a Service, in the order of addresses
}

// withhold reads the world. Retentions of addresses that no pool keeps are dropped.
func (p *planner) withhold(w World) {
	p.recent = make(map[netip.Addr]bool, len(w.Recent))
	p.conflict = make(map[netip.Addr]bool, len(w.Conflicts))
	p.retained, p.comeback = map[netip.Addr][]lb.Retention{}, map[lb.Name][]netip.Addr{}
	for _, a := range w.Recent {
		if span := spanOf(p.index, a); span != nil && !span.reserved && !p.recent[a] {
			p.recent[a] = true
			f := slotOf(lb.FamilyOf(a))
			span.pool.recent[f] = append(span.pool.recent[f], place{a, span})
		}
	}
	for _, c := range w.Conflicts {
		if span := spanOf(p.index, c.Address); span != nil {
			p.conflict[c.Address] = true
			span.pool.conflicts = append(span.pool.conflicts, c)
		}
	}
	for _, r := range latest(w.Retained) {
		if span := spanOf(p.index, r.Address); span != nil && span.pool.RetainFor > 0 {
			span.pool.kept = append(span.pool.kept, r)
		}
	}
	for _, pool := range p.pools {
		slices.SortFunc(pool.conflicts, func(a, b lb.Conflict) int {
			return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Node, b.Node), cmp.Compare(a.MAC, b.MAC), a.Until.Compare(b.Until))
		})
		for _, r := range pool.capRetained() {
			p.retained[r.Address] = append(p.retained[r.Address], r)
			p.comeback[r.For] = append(p.comeback[r.For], r.Address)
		}
	}
}

// latest returns, by address and name, of several retentions of one address for one Service the one that ends last.
func latest(in []lb.Retention) []lb.Retention {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b lb.Retention) int {
		return cmp.Or(a.Address.Compare(b.Address), a.For.Compare(b.For), b.Until.Compare(a.Until))
	})
	return slices.CompactFunc(out, func(a, b lb.Retention) bool { return a.Address == b.Address && a.For == b.For })
}

// capRetained keeps the MaxRetained that end last, sorted by address and name.
func (p *pool) capRetained() []lb.Retention {
	if len(p.kept) <= MaxRetained {
		return p.kept
	}
	slices.SortStableFunc(p.kept, func(a, b lb.Retention) int { return b.Until.Compare(a.Until) })
	p.kept = latest(p.kept[:MaxRetained])
	return p.kept
}

// claimed notes that s has the address: nothing needs to be kept for it any more.
func (p *planner) claimed(s *service, a netip.Addr) {
	list := p.retained[a]
	i := slices.IndexFunc(list, func(r lb.Retention) bool { return r.For == s.Name })
	if i < 0 {
		return
	}
	if list = slices.Delete(slices.Clone(list), i, i+1); len(list) > 0 {
		p.retained[a] = list
	} else {
		delete(p.retained, a)
	}
	p.cameBack = true
}

// keptFor returns the retention that forbids s the address, or nil. Of several, one for s itself opens it.
func (p *planner) keptFor(s *service, a netip.Addr) *lb.Retention {
	list := p.retained[a]
	if len(list) == 0 || slices.ContainsFunc(list, func(r lb.Retention) bool { return r.For == s.Name }) {
		return nil
	}
	return &list[0]
}

// idle says that an address which nobody has may be handed out before any that was in use lately.
func (p *planner) idle(a netip.Addr) bool {
	return p.used[a] == nil && !p.leaving[a] && !p.recent[a] && !p.barred(a)
}

// barred says that an address is given to nobody who has no special right to it.
func (p *planner) barred(a netip.Addr) bool { return p.conflict[a] || len(p.retained[a]) > 0 }

// returning returns the place in one of pools that is kept for s in family f and that it can have, or none.
func (p *planner) returning(s *service, pools []*pool, f int, found [2]place) place {
	for _, a := range p.comeback[s.Name] {
		pl := place{a, spanOf(p.index, a)}
		if slotOf(lb.FamilyOf(a)) != f || pl.span.reserved || p.conflict[a] || !slices.Contains(pools, pl.span.pool) {
			continue
		}
		found[f] = pl
		if p.keptFor(s, a) == nil && p.used[a].admits(s) && p.exceeds(s, pl.span.pool, found) == nil {
			return pl
		}
	}
	return place{}
}

// unclaimed returns the retentions of pool that nobody has claimed.
func (p *planner) unclaimed(pool *pool) []lb.Retention {
	var out []lb.Retention
	for _, r := range pool.kept {
		if slices.Contains(p.retained[r.Address], r) {
			out = append(out, r)
		}
	}
	return out
}

// tally counts, when the plan is finished, the free addresses of each pool that are withheld.
func (p *planner) tally() {
	for a := range p.retained {
		if span := spanOf(p.index, a); p.used[a] == nil && !span.reserved {
			span.pool.retaining[slotOf(lb.FamilyOf(a))]++
		}
	}
	for a := range p.conflict {
		if span := spanOf(p.index, a); p.used[a] == nil && !span.reserved && len(p.retained[a]) == 0 {
			span.pool.avoiding[slotOf(lb.FamilyOf(a))]++
		}
	}
}
