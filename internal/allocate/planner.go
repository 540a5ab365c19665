package allocate

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// planner is a plan in the making.
type planner struct {
	pools      []*pool // by name
	tryOrder   []*pool // see inOrder
	byName     map[string]*pool
	index      []*span // of all pools, by address
	services   []*service
	namespaces map[string]map[string]string
	used       map[netip.Addr]*holding
	// wantedBy are the Services that ask for an address by its number, to be asked again when somebody gives it up.
	wantedBy map[netip.Addr][]*service
	givenUp  []netip.Addr        // addresses left since the requests were looked at
	leaving  map[netip.Addr]bool // addresses that were held when the plan began and are given up in it
	withheld
	told     map[wait]answer
	steps    int  // addresses looked at in search of a free one
	cameBack bool // a retained address was claimed since the requests were looked at
}

// service is an lb.Service with the places that the plan has for it.
type service struct {
	*lb.Service
	at       [2]place // by family
	released []Release
	alike    string
}

// place is an address and where it comes from; the zero place is none.
type place struct {
	addr netip.Addr
	span *span
}

func (pl place) ok() bool { return pl.span != nil }

// finishedPlan is the plan of w made, with everything counted; what reads it gives the same words for the same world.
func finishedPlan(w World) *planner {
	p := newPlanner(w)
	p.keepHeld()
	p.serveAll()
	p.tally()
	return p
}

func newPlanner(w World) *planner {
	p := &planner{
		namespaces: w.Namespaces,
		used:       make(map[netip.Addr]*holding, len(w.Services)),
		byName:     make(map[string]*pool, len(w.Pools)),
		wantedBy:   map[netip.Addr][]*service{},
		leaving:    map[netip.Addr]bool{},
		told:       map[wait]answer{},
	}
	p.pools, p.index = newPools(w.Pools)
	p.tryOrder = inOrder(p.pools)
	for _, pool := range p.pools {
		p.byName[pool.Name] = pool
	}
	p.withhold(w)
	all := make([]service, len(w.Services))
	p.services = make([]*service, len(w.Services))
	for i := range w.Services {
		all[i].Service, p.services[i] = &w.Services[i], &all[i]
	}
	slices.SortFunc(p.services, func(a, b *service) int {
		return cmp.Or(a.Created.Compare(b.Created), a.Name.Compare(b.Name))
	})
	return p
}

// keepHeld gives every Service what it already holds and may hold. When two claim one address and may not share it, the
// older keeps it, by creation time and then UID; the speakers apply the same rule.
func (p *planner) keepHeld() {
	order := slices.Clone(p.services)
	slices.SortFunc(order, byAge)
	for _, s := range order {
		for _, a := range s.Held {
			if why := p.claim(s, a); why != nil {
				s.released = append(s.released, Release{Address: a, Why: *why})
			}
		}
	}
	for _, s := range order {
		for _, r := range s.released {
			if span := spanOf(p.index, r.Address); span != nil {
				p.vacate(span, r.Address)
			}
		}
	}
}

// byAge orders those who claim one address: the first has the better right.
func byAge(a, b *service) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.UID, b.UID), a.Name.Compare(b.Name))
}

// claim keeps a for s, or says why s must give it up. What the pool's selectors or a request say does not matter here: an
// address in use is not taken away for that, see allowed and wants.
func (p *planner) claim(s *service, a netip.Addr) *lb.Problem {
	f := slotOf(lb.FamilyOf(a))
	span := spanOf(p.index, a)
	switch {
	case !s.Managed:
		return problem(ReasonNotManaged, "the Service is not of type LoadBalancer any more")
	case !slices.Contains(s.Families, familyOf(f)):
		return problem(ReasonWrongFamily, "the Service has no %v cluster IP", familyOf(f))
	case s.at[f].ok():
		return problem(ReasonOnePerFamily, "the Service holds %v already", s.at[f].addr)
	case span == nil:
		if pool := avoiding(p.index, a); pool != nil {
			return problem(ReasonNotInPool, "pool %s leaves out %v (avoidBuggyIPs)", pool.Name, a)
		}
		return problem(ReasonNotInPool, "no pool contains %v", a)
	}
	if with, why := p.used[a].conflict(s); with != nil {
		return problem(ReasonAddressInUse, "%v is held by %v%s", a, with.Name, why)
	}
	if al := span.pool.Allocation; al != nil && al.Evict && !s.Deleting {
		if why := span.pool.refuses(s.Service, p.namespaces); why != "" {
			return problem(ReasonPoolNotAllowed, "pool %s %s, and evicts for that", span.pool.Name, why)
		}
	}
	p.take(s, place{a, span})
	return nil
}

// take gives s an address that nobody has, or that it may share.
func (p *planner) take(s *service, pl place) {
	f := slotOf(lb.FamilyOf(pl.addr))
	s.at[f] = pl
	h := p.used[pl.addr]
	if h == nil {
		h = &holding{}
		p.used[pl.addr] = h
		pl.span.pool.inUse[f]++
		if pl.span.reserved {
			pl.span.pool.apart[f]++
		}
	}
	h.add(s)
	p.count(s, pl, 1)
	p.claimed(s, pl.addr)
	if s.SharingKey == "" || len(h.by) > 1 {
		return
	}
	k := groupKey{f, s.SharingKey}
	g := pl.span.pool.groups[k]
	if g == nil {
		g = &group{tried: map[string]int{}}
		pl.span.pool.groups[k] = g
	}
	g.addrs = append(g.addrs, pl.addr)
}

// leave takes the address of family f from s, and notes it for those who wait for it.
func (p *planner) leave(s *service, f int) {
	pl := s.at[f]
	s.at[f] = place{}
	h := p.used[pl.addr]
	h.remove(s)
	p.count(s, pl, -1)
	g := pl.span.pool.groups[groupKey{f, s.SharingKey}]
	if g != nil {
		clear(g.tried) // its ports are free for others again
	}
	if len(h.by) == 0 {
		delete(p.used, pl.addr)
		pl.span.pool.inUse[f]--
		if pl.span.reserved {
			pl.span.pool.apart[f]--
		}
		p.vacate(pl.span, pl.addr)
		if g != nil {
			g.addrs = slices.DeleteFunc(g.addrs, func(a netip.Addr) bool { return a == pl.addr })
		}
	}
	p.givenUp = append(p.givenUp, pl.addr)
}

// vacate notes that a is given up in this plan. Such addresses are handed out last: their release must be written first,
// and a Service that cannot be written must not keep others waiting while there are addresses that nobody had.
func (p *planner) vacate(span *span, a netip.Addr) {
	p.leaving[a] = true
	i, there := slices.BinarySearchFunc(span.freed, a, netip.Addr.Compare)
	if !there {
		span.freed = slices.Insert(span.freed, i, a)
	}
}
