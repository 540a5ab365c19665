package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// serveAll gives addresses to those who lack one or hold another than they ask for: requests for an address first, then
// requests for a pool, then the rest. A Service that moves keeps its old address until it has the new one, so a request
// that cannot be met takes nothing away. What a mover leaves goes to those who wait, in this same plan: the first two
// groups are gone through again while somebody left an address. The rest hold nothing that they could leave.
func (p *planner) serveAll() {
	var named, pooled, rest []*service
	for _, s := range p.services {
		switch {
		case len(s.Requested) > 0:
			named = append(named, s)
			for _, a := range s.Requested {
				p.wantedBy[a] = append(p.wantedBy[a], s)
			}
		case s.RequestedPool != "":
			pooled = append(pooled, s)
		default:
			rest = append(rest, s)
		}
	}
	for _, s := range named {
		p.serve(s, false)
		p.settle()
	}
	asked := slices.Concat(named, pooled)
	p.cameBack = true
	for p.cameBack { // an address that its Service has claimed again may be shared again
		p.cameBack = false
		p.serveAsked(asked)
		for _, s := range rest {
			p.serve(s, true)
		}
	}
}

func (p *planner) serveAsked(asked []*service) {
	for again := true; again; {
		again = false
		for _, s := range asked {
			p.serve(s, true)
			again = p.settle() || again
		}
	}
}

// settle offers each address that was left to those who asked for it by its number, before anybody else can find it free.
// It says whether there was one.
func (p *planner) settle() bool {
	left := len(p.givenUp) > 0
	for len(p.givenUp) > 0 {
		a := p.givenUp[0]
		p.givenUp = p.givenUp[1:]
		for _, s := range p.wantedBy[a] {
			p.serve(s, false)
		}
	}
	return left
}

// wants returns the families, in the Service's order, in which it has no address or another than it asks for.
func (s *service) wants() []int {
	if !s.Managed || s.Deleting || len(s.Problems) > 0 {
		return nil
	}
	var out []int
	for _, fam := range s.Families {
		f := slotOf(fam)
		if !s.at[f].ok() || !s.asAsked(f) {
			out = append(out, f)
		}
	}
	return out
}

// asAsked says that the address of family f is the requested one, if there is one, and from the requested pool.
func (s *service) asAsked(f int) bool {
	want := s.requested(f)
	return (!want.IsValid() || want == s.at[f].addr) &&
		(s.RequestedPool == "" || s.RequestedPool == s.at[f].span.pool.Name)
}

// requested returns the address of family f that the Service asks for, or the zero Addr.
func (s *service) requested(f int) netip.Addr {
	for _, a := range s.Requested {
		if slotOf(lb.FamilyOf(a)) == f {
			return a
		}
	}
	return netip.Addr{}
}

// serve gives s what it wants and can have. A request is met as a whole or not at all, and RequireDualStack likewise.
// Without auto, only addresses that are requested by their number are given.
func (p *planner) serve(s *service, auto bool) {
	want := s.wants()
	if len(want) == 0 {
		return
	}
	for _, a := range s.Requested {
		if f := slotOf(lb.FamilyOf(a)); s.at[f].addr != a || !s.asAsked(f) {
			if why, _ := p.refusal(s, a); why != nil {
				return
			}
		}
	}
	var found [2]place
	for _, f := range want {
		if a := s.requested(f); a.IsValid() {
			found[f] = place{a, spanOf(p.index, a)}
		}
	}
	if auto {
		p.pick(s, want, &found)
	}
	if s.Policy == lb.RequireDualStack && !(s.willHave(found, v4) && s.willHave(found, v6)) {
		return
	}
	for _, f := range want {
		if !found[f].ok() {
			continue
		}
		if s.at[f].ok() {
			old := s.at[f].addr
			p.leave(s, f)
			if slices.Contains(s.Held, old) {
				s.released = append(s.released, Release{old, *problem(ReasonMoved, "the Service asks for another address or pool")})
			}
		}
		p.take(s, found[f])
	}
}

func (s *service) willHave(found [2]place, f int) bool { return found[f].ok() || s.at[f].ok() }

// refusal returns why s cannot have the address a that it asks for, or nil; now is Assignment.Now.
func (p *planner) refusal(s *service, a netip.Addr) (why *lb.Problem, now string) {
	fam := lb.FamilyOf(a)
	if !slices.Contains(s.Families, fam) {
		return problem(ReasonWrongFamily, "requested address %v is %v, and the Service has no %v cluster IP", a, fam, fam), ""
	}
	span := spanOf(p.index, a)
	if span == nil {
		return problem(ReasonNotInPool, "requested address %v %s", a, p.outside(a)), ""
	}
	if s.RequestedPool != "" && s.RequestedPool != span.pool.Name {
		return problem(ReasonPoolMismatch, "requested address %v is in pool %s, not in the requested pool %s", a, span.pool.Name, s.RequestedPool), ""
	}
	if why := span.pool.refuses(s.Service, p.namespaces); why != "" {
		return problem(ReasonPoolNotAllowed, "requested address %v is in pool %s, which %s", a, span.pool.Name, why), ""
	}
	if with, why := p.used[a].conflict(s); with != nil {
		return problem(ReasonAddressInUse, "requested address %v is held by another Service%s", a, why), with.Name.String()
	}
	if r := p.keptFor(s, a); r != nil {
		return problem(ReasonRetained, "requested address %v is kept for a deleted Service", a),
			fmt.Sprintf("%v, until %s", r.For, r.Until.UTC().Format(time.RFC3339))
	}
	if q := p.exceeds(s, span.pool, p.requestedPlaces(s)); q != nil {
		return problem(ReasonQuotaExceeded, "requested address %v is in pool %s, which has no room in its %v", a, span.pool.Name, q), q.use()
	}
	return nil, ""
}

// requestedPlaces are those of the addresses that s asks for by number.
func (p *planner) requestedPlaces(s *service) (out [2]place) {
	for f := range out {
		if a := s.requested(f); a.IsValid() {
			out[f] = place{a, spanOf(p.index, a)}
		}
	}
	return out
}

// candidates returns the pools that s may use, the best first.
func (p *planner) candidates(s *service) []*pool {
	from := p.tryOrder
	if s.RequestedPool != "" {
		from = nil
		if named := p.byName[s.RequestedPool]; named != nil {
			from = []*pool{named}
		}
	}
	var out []*pool
	for _, pool := range from {
		if pool.refuses(s.Service, p.namespaces) == "" {
			out = append(out, pool)
		}
	}
	return out
}

// pick finds places for the wanted families that found does not have yet: those that are kept for s; or else both from the first pool that has both, or else
// each from the pool of the other, or else from the first pool that has one.
func (p *planner) pick(s *service, want []int, found *[2]place) {
	pools := p.candidates(s)
	for _, f := range want {
		if !found[f].ok() {
			found[f] = p.returning(s, pools, f, *found)
		}
	}
	if len(want) == 2 && !found[v4].ok() && !found[v6].ok() {
		for _, pool := range pools {
			both := [2]place{v4: p.find(s, pool, v4, *found)}
			both[v6] = p.find(s, pool, v6, both)
			if both[v4].ok() && both[v6].ok() {
				*found = both
				return
			}
		}
	}
	fixed := *found
	if p.pickApart(s, pools, want, found); len(want) < 2 || found[v4].ok() && found[v6].ok() {
		return
	}
	// The family that came first may have used up the quota of the only pool that has the other.
	other := fixed
	if p.pickApart(s, pools, []int{want[1], want[0]}, &other); other[v4].ok() && other[v6].ok() {
		*found = other
	}
}

// pickApart finds a place for one family after the other.
func (p *planner) pickApart(s *service, pools []*pool, want []int, found *[2]place) {
	for _, f := range want {
		if found[f].ok() {
			continue
		}
		for _, pool := range p.besideOther(s, pools, found[1-f], s.at[1-f]) {
			if found[f] = p.find(s, pool, f, *found); found[f].ok() {
				break
			}
		}
	}
}

// besideOther puts the pool of the other family's address first. A pool with autoAssign off is added only when the other
// address was asked for by its number: then the user has chosen that pool.
func (p *planner) besideOther(s *service, pools []*pool, found, at place) []*pool {
	other := found
	if !other.ok() {
		other = at
	}
	if !other.ok() {
		return pools
	}
	first := other.span.pool
	chosen := slices.Contains(s.Requested, other.addr) && first.refuses(s.Service, p.namespaces) == ""
	if !chosen && !slices.Contains(pools, first) {
		return pools
	}
	return append([]*pool{first}, slices.DeleteFunc(slices.Clone(pools), func(q *pool) bool { return q == first })...)
}
