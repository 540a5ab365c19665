package allocate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// pool is an lb.Pool with the ranges that it really offers: what an older pool, or an earlier entry of its own, already
// has is cut out.
type pool struct {
	lb.Pool
	spans    [2][]*span // by family, in the user's order, without what is reserved
	total    [2]count   // addresses of spans
	inUse    [2]int     // distinct addresses, by family
	apart    [2]int     // of inUse, those that are reserved
	setAside [2]count   // addresses that are reserved
	overlaid [2]bool    // an older pool has some of its addresses
	groups   map[groupKey]*group
	quotas   []*quota
	problems []lb.Problem
	waiting  int
	// What is withheld: see there. recent is sorted by when it was freed, and shrinks from the front.
	recent              [2][]place
	conflicts           []lb.Conflict
	kept                []lb.Retention
	retaining, avoiding [2]int // free addresses that are retained, or else in conflict
}

// slot numbers of the families, for arrays.
const (
	v4 = iota
	v6
)

func slotOf(f lb.Family) int {
	if f == lb.IPv6 {
		return v6
	}
	return v4
}

func familyOf(slot int) lb.Family { return [2]lb.Family{lb.IPv4, lb.IPv6}[slot] }

// span is a range of addresses of one pool that no other span overlaps.
type span struct {
	first, last netip.Addr
	pool        *pool
	reserved    bool // never handed out but by request
	// next is a lower bound of the lowest free address; the zero Addr when there is none. It only moves up, over addresses
	// in use, so that a whole plan costs as many steps as there are used addresses.
	next netip.Addr
	// freed are the addresses that are given up in this plan, sorted; next passes over them.
	freed []netip.Addr
}

// newPools prepares the pools, sorted by name, and the index of all their spans, sorted by address.
func newPools(in []lb.Pool) (pools []*pool, index []*span) {
	for _, p := range in {
		pools = append(pools, &pool{Pool: p, groups: map[groupKey]*group{}, quotas: newQuotas(p), problems: slices.Clone(p.Problems)})
	}
	slices.SortFunc(pools, func(a, b *pool) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	for _, p := range pools {
		for _, r := range p.Ranges {
			var free []*span
			free, index = cut(p, r.From(), r.To(), index)
			for _, s := range free {
				f := slotOf(lb.FamilyOf(s.first))
				n := size(s.first, s.last, p.AvoidBuggyIPs)
				if s.reserved {
					p.setAside[f] = p.setAside[f].add(n)
					continue
				}
				p.spans[f] = append(p.spans[f], s)
				p.total[f] = p.total[f].add(n)
			}
		}
	}
	slices.SortFunc(pools, func(a, b *pool) int { return cmp.Compare(a.Name, b.Name) })
	return pools, index
}

// cut returns the parts of first-last that index does not have yet, and the index with them. What another pool has is a
// problem of p.
//
//	index      |--A--|    |-B-|
//	first-last    |--------------|
//	result           |---|    |--|
func cut(p *pool, first, last netip.Addr, index []*span) (free, all []*span) {
	at := sort(index, first) // the first span that ends at or after first
	var taken []*span
	next, full := first, false
	for i := at; i < len(index) && index[i].first.Compare(last) <= 0; i++ {
		if next.Less(index[i].first) {
			free = append(free, newSpan(p, next, index[i].first.Prev()))
		}
		taken = append(taken, index[i])
		next, full = index[i].last.Next(), index[i].last.Compare(last) >= 0
	}
	if !full {
		free = append(free, newSpan(p, next, last))
	}
	free = setApart(p, free)
	p.noteOverlaps(first, last, taken)
	merged := append(slices.Clone(free), taken...)
	slices.SortFunc(merged, func(a, b *span) int { return a.first.Compare(b.first) })
	return free, slices.Replace(index, at, at+len(taken), merged...)
}

func newSpan(p *pool, first, last netip.Addr) *span {
	return &span{first: first, last: last, pool: p, next: first}
}

// setApart splits spans where the pool's reserved ranges begin and end.
//
//	span       |---------------|
//	reserved      |--R--|
//	result     |--|--R--|------|
func setApart(p *pool, spans []*span) []*span {
	for _, r := range p.Reserved {
		var out []*span
		for _, s := range spans {
			if s.reserved || s.last.Less(r.From()) || r.To().Less(s.first) {
				out = append(out, s)
				continue
			}
			first, last := later(s.first, r.From()), earlier(s.last, r.To())
			if s.first.Less(first) {
				out = append(out, newSpan(p, s.first, first.Prev()))
			}
			middle := newSpan(p, first, last)
			middle.reserved = true
			out = append(out, middle)
			if last.Less(s.last) {
				out = append(out, newSpan(p, last.Next(), s.last))
			}
		}
		spans = out
	}
	return spans
}

// sort returns the position in index of the first span that ends at or after a.
func sort(index []*span, a netip.Addr) int {
	i, _ := slices.BinarySearchFunc(index, a, func(s *span, a netip.Addr) int { return s.last.Compare(a) })
	return i
}

func (p *pool) noteOverlaps(first, last netip.Addr, taken []*span) {
	var parts []string
	for _, s := range taken {
		if s.pool != p {
			p.overlaid[slotOf(lb.FamilyOf(first))] = true
			parts = append(parts, fmt.Sprintf("%s (%v-%v)", s.pool.Name, later(first, s.first), earlier(last, s.last)))
		}
	}
	if len(parts) > 0 {
		p.problems = append(p.problems, lb.Problem{
			Reason:  ReasonOverlap,
			Message: fmt.Sprintf("range %v-%v overlaps an older pool, which alone uses these addresses: %s", first, last, strings.Join(parts, ", ")),
		})
	}
}

func later(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func earlier(a, b netip.Addr) netip.Addr {
	if b.Less(a) {
		return b
	}
	return a
}

// spanOf returns the span that may give a away, or nil.
func spanOf(index []*span, a netip.Addr) *span {
	i := sort(index, a)
	if i == len(index) || a.Less(index[i].first) || (index[i].pool.AvoidBuggyIPs && buggy(a)) {
		return nil
	}
	return index[i]
}

// avoiding returns the pool that contains a and leaves it out because of avoidBuggyIPs, or nil.
func avoiding(index []*span, a netip.Addr) *pool {
	i := sort(index, a)
	if i == len(index) || a.Less(index[i].first) || !index[i].pool.AvoidBuggyIPs || !buggy(a) {
		return nil
	}
	return index[i].pool
}

// refuses returns why the pool's serviceAllocation does not admit s, in a few words, or "". Selectors that match no
// namespace admit nobody; a namespace that is not known matches none.
func (p *pool) refuses(s *lb.Service, namespaces map[string]map[string]string) string {
	a := p.Allocation
	if a == nil {
		return ""
	}
	if len(a.Namespaces) > 0 || len(a.NamespaceSelectors) > 0 {
		if !listed(a.Namespaces, a.NamespaceSelectors, s.Name.Namespace, namespaces) {
			return "does not admit namespace " + s.Name.Namespace
		}
	}
	if len(a.ServiceSelectors) > 0 && !lb.AnyMatches(a.ServiceSelectors, s.Labels) {
		return "does not admit the Service's labels"
	}
	return ""
}

// inOrder returns the pools in the order in which a Service without a request tries them: pinned ones by priority (1 first,
// 0 last), then those open to everybody; ties by name. Pools with autoAssign off are not among them.
func inOrder(pools []*pool) []*pool {
	var out []*pool
	for _, p := range pools {
		if p.AutoAssign {
			out = append(out, p)
		}
	}
	rank := func(p *pool) (int, int) {
		switch {
		case p.Allocation == nil:
			return 2, 0
		case p.Allocation.Priority <= 0:
			return 1, 0
		}
		return 0, p.Allocation.Priority
	}
	slices.SortFunc(out, func(a, b *pool) int {
		ac, ap := rank(a)
		bc, bp := rank(b)
		return cmp.Or(cmp.Compare(ac, bc), cmp.Compare(ap, bp), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// usage returns the state of the pool after the plan.
func (p *pool) usage() Usage {
	out := Usage{
		Pool:         p.Name,
		AssignedIPv4: int64(p.inUse[v4]), AvailableIPv4: p.available(v4),
		AssignedIPv6: int64(p.inUse[v6]), AvailableIPv6: p.available(v6),
		Problems: p.problems, Conflicts: p.conflicts, Waiting: p.waiting,
	}
	if p.waiting > 0 {
		var full []int
		for f := range p.total {
			if p.total[f] != (count{}) && p.available(f) == 0 {
				full = append(full, f)
			}
		}
		out.Full = p.occupants(full...)
	}
	return out
}

// available is how many addresses of a family anybody may still be given.
func (p *pool) available(f int) int64 {
	gone := p.inUse[f] - p.apart[f] + p.retaining[f] + p.avoiding[f]
	return p.total[f].sub(count{lo: uint64(gone)}).int64()
}
