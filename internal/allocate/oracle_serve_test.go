package allocate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// ask makes the oracle's plan.
func ask(w World) *oracle {
	o := newOracle(w)
	o.keep()
	var named, pooled, rest []*lb.Service
	for _, s := range o.services {
		switch {
		case len(s.Requested) > 0:
			named = append(named, s)
		case s.RequestedPool != "":
			pooled = append(pooled, s)
		default:
			rest = append(rest, s)
		}
	}
	for _, s := range named {
		o.serve(s, false)
		o.offerLeft(named)
	}
	for o.returned = true; o.returned; {
		o.returned = false
		for again := true; again; {
			again = false
			for _, s := range slices.Concat(named, pooled) {
				o.serve(s, true)
				again = o.offerLeft(named) || again
			}
		}
		for _, s := range rest {
			o.serve(s, true)
		}
	}
	return o
}

// offerLeft gives addresses that were left to who asked for them by number.
func (o *oracle) offerLeft(named []*lb.Service) (any bool) {
	for len(o.offer) > 0 {
		any = true
		a := o.offer[0]
		o.offer = o.offer[1:]
		for _, s := range named {
			if slices.Contains(s.Requested, a) {
				o.serve(s, false)
			}
		}
	}
	return any
}

func (o *oracle) keep() {
	byRight := slices.Clone(o.services)
	slices.SortFunc(byRight, func(a, b *lb.Service) int { return lb.CompareAge(*a, *b) })
	var lost []netip.Addr
	for _, s := range byRight {
		for _, a := range s.Held {
			p := o.pool(a)
			legal := s.Managed && slices.Contains(s.Families, lb.FamilyOf(a)) && !o.at[s][slotOf(lb.FamilyOf(a))].IsValid() &&
				p != nil && o.fits(s, a) && (s.Deleting || p.Allocation == nil || !p.Allocation.Evict || o.admits(p, s))
			if legal {
				o.set(s, a)
			} else {
				lost = append(lost, a)
			}
		}
	}
	o.left = lost
}

func (o *oracle) asAsked(s *lb.Service, f int) bool {
	a, want := o.at[s][f], wanted(s, f)
	return a.IsValid() && (!want.IsValid() || want == a) && (s.RequestedPool == "" || o.pool(a).Name == s.RequestedPool)
}

func wanted(s *lb.Service, f int) netip.Addr {
	for _, a := range s.Requested {
		if slotOf(lb.FamilyOf(a)) == f {
			return a
		}
	}
	return netip.Addr{}
}

// granted says whether s can have the address that it asks for.
func (o *oracle) granted(s *lb.Service, a netip.Addr) bool {
	p := o.pool(a)
	return slices.Contains(s.Families, lb.FamilyOf(a)) && p != nil && (s.RequestedPool == "" || s.RequestedPool == p.Name) &&
		o.admits(p, s) && o.fits(s, a) && !o.keptFromOthers(s, a) &&
		o.roomFor(s, p, [2]netip.Addr{wanted(s, v4), wanted(s, v6)})
}

func (o *oracle) serve(s *lb.Service, auto bool) {
	var want []int
	for _, fam := range s.Families {
		if f := slotOf(fam); !o.asAsked(s, f) {
			want = append(want, f)
		}
	}
	if !s.Managed || s.Deleting || len(s.Problems) > 0 || len(want) == 0 {
		return
	}
	for _, a := range s.Requested {
		if f := slotOf(lb.FamilyOf(a)); (o.at[s][f] != a || !o.asAsked(s, f)) && !o.granted(s, a) {
			return
		}
	}
	var found [2]netip.Addr
	for _, f := range want {
		found[f] = wanted(s, f)
	}
	if auto {
		found = o.pick(s, want, found)
	}
	has := func(f int) bool { return found[f].IsValid() || o.at[s][f].IsValid() }
	if s.Policy == lb.RequireDualStack && !(has(v4) && has(v6)) {
		return
	}
	for _, f := range want {
		if found[f].IsValid() {
			if o.at[s][f].IsValid() {
				o.unset(s, f)
			}
			o.set(s, found[f])
		}
	}
}

// usable returns the pools that s may use unasked or has named, best first.
func (o *oracle) usable(s *lb.Service) (out []*lb.Pool) {
	for i := range o.w.Pools {
		if p := &o.w.Pools[i]; o.admits(p, s) && (p.Name == s.RequestedPool || s.RequestedPool == "" && p.AutoAssign) {
			out = append(out, p)
		}
	}
	rank := func(p *lb.Pool) int {
		switch {
		case p.Allocation == nil:
			return 1 << 30
		case p.Allocation.Priority == 0:
			return 1 << 29
		}
		return p.Allocation.Priority
	}
	slices.SortFunc(out, func(a, b *lb.Pool) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name)) })
	return out
}

func (o *oracle) pick(s *lb.Service, want []int, found [2]netip.Addr) [2]netip.Addr {
	pools := o.usable(s)
	for _, f := range want {
		if !found[f].IsValid() {
			found[f] = o.back(s, pools, f, found)
		}
	}
	if len(want) == 2 && !found[v4].IsValid() && !found[v6].IsValid() {
		for _, p := range pools {
			both := found
			both[v4] = o.find(s, p, v4, both)
			if both[v6] = o.find(s, p, v6, both); both[v4].IsValid() && both[v6].IsValid() {
				return both
			}
		}
	}
	first := o.apart(s, pools, want, found)
	if len(want) == 2 && !(first[v4].IsValid() && first[v6].IsValid()) {
		if second := o.apart(s, pools, []int{want[1], want[0]}, found); second[v4].IsValid() && second[v6].IsValid() {
			return second
		}
	}
	return first
}

// back returns the lowest address of family f that was kept for s and that it can have.
func (o *oracle) back(s *lb.Service, pools []*lb.Pool, f int, found [2]netip.Addr) netip.Addr {
	var mine []netip.Addr
	for _, r := range o.w.Retained {
		p := o.pool(r.Address)
		if r.For == s.Name && slotOf(lb.FamilyOf(r.Address)) == f && p != nil && p.RetainFor > 0 && slices.Contains(pools, p) &&
			!contains(p.Reserved, r.Address) && !o.conflicting(r.Address) && o.fits(s, r.Address) && !o.keptFromOthers(s, r.Address) {
			mine = append(mine, r.Address)
		}
	}
	slices.SortFunc(mine, netip.Addr.Compare)
	for _, a := range mine {
		if found[f] = a; o.roomFor(s, o.pool(a), found) {
			return a
		}
	}
	return netip.Addr{}
}

// apart finds one family after the other, in the pool of the other family's address first.
func (o *oracle) apart(s *lb.Service, pools []*lb.Pool, want []int, found [2]netip.Addr) [2]netip.Addr {
	for _, f := range want {
		other := found[1-f]
		if !other.IsValid() {
			other = o.at[s][1-f]
		}
		order := slices.Clone(pools)
		if p := o.pool(other); other.IsValid() && (slices.Contains(pools, p) || slices.Contains(s.Requested, other) && o.admits(p, s)) {
			order = append([]*lb.Pool{p}, slices.DeleteFunc(order, func(q *lb.Pool) bool { return q == p })...)
		}
		for i := 0; i < len(order) && !found[f].IsValid(); i++ {
			found[f] = o.find(s, order[i], f, found)
		}
	}
	return found
}

// differs says how Plan's result is another one than the oracle's, in addresses and in what it counts.
func (o *oracle) differs(r Result) string {
	for _, s := range o.services {
		var want []netip.Addr
		for _, a := range o.at[s] {
			if a.IsValid() {
				want = append(want, a)
			}
		}
		got := slices.SortedFunc(slices.Values(find(r, s.Name).Addresses), netip.Addr.Compare)
		if !slices.Equal(got, want) {
			return fmt.Sprintf("%v gets %v, the oracle says %v", s.Name, got, want)
		}
	}
	for i := range o.w.Pools {
		p := &o.w.Pools[i]
		var assigned, free [2]int64
		for _, a := range o.came {
			if o.pool(a) == p {
				assigned[slotOf(lb.FamilyOf(a))]++
			}
		}
		for f := range free {
			for _, a := range o.walk(p, f) {
				waits := slices.ContainsFunc(o.kept, func(r lb.Retention) bool { return r.Address == a })
				if len(o.holders(a)) == 0 && !o.conflicting(a) && !waits {
					free[f]++
				}
			}
		}
		u := r.Pools[slices.IndexFunc(r.Pools, func(u Usage) bool { return u.Pool == p.Name })]
		if got := [2][2]int64{{u.AssignedIPv4, u.AssignedIPv6}, {u.AvailableIPv4, u.AvailableIPv6}}; got != [2][2]int64{assigned, free} {
			return fmt.Sprintf("pool %s: assigned and free %v, the oracle says %v", p.Name, got, [2][2]int64{assigned, free})
		}
	}
	return ""
}
