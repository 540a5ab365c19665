package allocate

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// result reads the finished plan.
func (p *planner) result() Result {
	r := Result{Services: make([]Assignment, 0, len(p.services))}
	releasedBy := map[netip.Addr][]lb.Name{}
	for _, s := range p.services {
		a := p.assignment(s)
		for _, rel := range a.Released {
			releasedBy[rel.Address] = append(releasedBy[rel.Address], a.Service)
		}
		r.Services = append(r.Services, a)
	}
	slices.SortFunc(r.Services, func(a, b Assignment) int { return a.Service.Compare(b.Service) })
	for i := range r.Services {
		a := &r.Services[i]
		for _, addr := range a.Assigned {
			a.After = append(a.After, releasedBy[addr]...)
		}
		slices.SortFunc(a.After, lb.Name.Compare)
		a.After = slices.Compact(a.After)
	}
	for _, pool := range p.pools {
		u := pool.usage()
		u.Retained = p.unclaimed(pool)
		r.Pools = append(r.Pools, u)
	}
	return r
}

func (p *planner) assignment(s *service) Assignment {
	a := Assignment{Service: s.Name, UID: s.UID, Addresses: s.ingress(), Released: s.released}
	a.Complete, a.Problem, a.Now = p.explain(s)
	var pools []string
	for _, addr := range a.Addresses {
		if name := s.at[slotOf(lb.FamilyOf(addr))].span.pool.Name; !slices.Contains(pools, name) {
			pools = append(pools, name)
		}
		if !slices.Contains(s.Held, addr) {
			a.Assigned = append(a.Assigned, addr)
		}
	}
	a.Pool = strings.Join(pools, ",")
	return a
}

// ingress returns the addresses in the order of status.loadBalancer.ingress: those that are held stay where they are, one
// that replaces another of its family takes its position, and one of a new family comes last. When nothing held is kept
// they follow the Service's families.
func (s *service) ingress() []netip.Addr {
	var order []int
	kept := false
	for _, h := range s.Held {
		f := slotOf(lb.FamilyOf(h))
		if !slices.Contains(order, f) {
			order = append(order, f)
		}
		kept = kept || s.at[f].addr == h
	}
	if !kept {
		order = nil
	}
	for _, fam := range s.Families {
		if f := slotOf(fam); !slices.Contains(order, f) {
			order = append(order, f)
		}
	}
	var out []netip.Addr
	for _, f := range order {
		if s.at[f].ok() {
			out = append(out, s.at[f].addr)
		}
	}
	return out
}
