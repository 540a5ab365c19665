package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Consideration is what one pool means for one Service.
type Consideration struct {
	Pool string
	// Addresses are those of the Service that come from this pool, those that Plan is about to give it included.
	Addresses []netip.Addr
	// Usable says that the pool may and can serve the Service.
	Usable bool
	// Why reads on from the pool's name: "is full", "does not admit namespace web". Now is what of that may change at any
	// time, and is often empty: "254 IPv4 in use, 2 reserved". To the Service itself only Why is told.
	Why, Now string
}

// Consider says of every pool why it serves the Service, or why not: first the pools in the order in which the Service tries them,
// then the others by name. It judges by the finished plan of the same World, and by the code that makes the plan. ok is false when
// the World has no such Service.
func Consider(w World, name lb.Name) (list []Consideration, ok bool) {
	p := finishedPlan(w)
	at := slices.IndexFunc(p.services, func(s *service) bool { return s.Name == name })
	if at < 0 {
		return nil, false
	}
	s := p.services[at]
	order := p.candidates(s)
	for _, pool := range p.pools {
		if !slices.Contains(order, pool) {
			order = append(order, pool)
		}
	}
	chosen := false
	for _, pool := range order {
		c := p.consider(s, pool, chosen)
		chosen = chosen || len(c.Addresses) > 0
		list = append(list, c)
	}
	return list, true
}

// consider judges one pool. later says that one before it in the order serves the Service already.
func (p *planner) consider(s *service, pool *pool, later bool) Consideration {
	c := Consideration{Pool: pool.Name}
	for _, fam := range s.Families {
		if pl := s.at[slotOf(fam)]; pl.ok() && pl.span.pool == pool {
			c.Addresses = append(c.Addresses, pl.addr)
		}
	}
	if len(c.Addresses) > 0 {
		c.Usable, c.Why = true, "gives it "+p.grounds(s, pool, c.Addresses)
		return c
	}
	if c.Why = p.unasked(s, pool); c.Why != "" || !s.Managed {
		return c
	}
	for _, a := range s.Requested {
		if why, now := p.refusal(s, a); why != nil {
			c.Why, c.Now = "gives nothing: "+why.Message, now
			return c
		}
	}
	if r, now := p.reject(s, pool, p.asking(s)); r.obstacle != noneFree || !p.hasFree(s, pool) {
		c.Why, c.Now = r.why, now
		return c
	}
	c.Usable = true
	switch {
	case s.at == [2]place{}:
		c.Why = "could serve it"
	case later:
		c.Why = "could serve it too, and comes later in the order"
	default:
		c.Why = "could serve it too; a Service keeps the address that it has"
	}
	return c
}

// grounds says which addresses a pool gives and for what reason.
func (p *planner) grounds(s *service, pool *pool, addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		how := "the first free one"
		switch {
		case slices.Contains(s.Requested, a):
			how = "which it asks for by number"
		case slices.Contains(s.Held, a):
			how = "which it has already"
		case s.RequestedPool == pool.Name:
			how = "as it asks for this pool"
		}
		out = append(out, fmt.Sprintf("%v, %s", a, how))
	}
	text := strings.Join(out, "; ")
	if why := pool.refuses(s.Service, p.namespaces); why != "" {
		text += ", although the pool now " + why
	}
	return text
}

// unasked says why a Service does not look at the pool at all, or "".
func (p *planner) unasked(s *service, pool *pool) string {
	if len(s.Families) == 0 {
		return "is for Services with a cluster IP, and this one has none"
	}
	if s.RequestedPool != "" && s.RequestedPool != pool.Name {
		return "is not the pool " + s.RequestedPool + " that the Service asks for"
	}
	for _, a := range s.Requested {
		if span := spanOf(p.index, a); span == nil || span.pool != pool {
			return fmt.Sprintf("does not contain %v, which the Service asks for", a)
		}
	}
	return ""
}

// asking are the families that the Service would ask a pool for if it had nothing.
func (p *planner) asking(s *service) []int {
	var out []int
	for _, fam := range s.Families {
		out = append(out, slotOf(fam))
	}
	return out
}

// hasFree says whether the pool has an address for the Service, of all its families when it requires both.
func (p *planner) hasFree(s *service, pool *pool) bool {
	n := 0
	for _, f := range p.asking(s) {
		if p.find(s, pool, f, [2]place{}).ok() {
			n++
		}
	}
	return n > 0 && (s.Policy != lb.RequireDualStack || n == 2)
}
