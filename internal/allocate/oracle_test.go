package allocate

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// oracle is Plan once more, slow and obvious: it keeps no index and no count, walks pools address by address, and asks every
// Service who holds what. Only the order in which Services are served is the same by design: it is the specification.
type oracle struct {
	w        World
	services []*lb.Service // in the order in which they are served
	at       map[*lb.Service][2]netip.Addr
	came     []netip.Addr // addresses in use, in the order in which they came into use
	left     []netip.Addr // addresses given up in this plan, ever
	offer    []netip.Addr // of those, the ones not yet offered to who asked for them by number
	kept     []lb.Retention
	returned bool
}

func newOracle(w World) *oracle {
	o := &oracle{w: w, at: map[*lb.Service][2]netip.Addr{}}
	for i := range w.Services {
		o.services = append(o.services, &w.Services[i])
	}
	slices.SortFunc(o.services, func(a, b *lb.Service) int { return cmp.Or(a.Created.Compare(b.Created), a.Name.Compare(b.Name)) })
	for _, r := range w.Retained {
		if p := o.pool(r.Address); p != nil && p.RetainFor > 0 {
			o.kept = append(o.kept, r)
		}
	}
	return o
}

func contains(list []netipx.IPRange, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(r netipx.IPRange) bool { return r.Contains(a) })
}

// pool is the oldest one with the address, if that one gives it.
func (o *oracle) pool(a netip.Addr) *lb.Pool {
	var owner *lb.Pool
	for i := range o.w.Pools {
		p := &o.w.Pools[i]
		if contains(p.Ranges, a) && (owner == nil || cmp.Or(p.Created.Compare(owner.Created), cmp.Compare(p.Name, owner.Name)) < 0) {
			owner = p
		}
	}
	if owner != nil && owner.AvoidBuggyIPs && buggy(a) {
		return nil
	}
	return owner
}

func (o *oracle) holders(a netip.Addr) (out []*lb.Service) {
	for _, s := range o.services {
		if at := o.at[s]; at[v4] == a || at[v6] == a {
			out = append(out, s)
		}
	}
	return out
}

func (o *oracle) fits(s *lb.Service, a netip.Addr) bool {
	return !slices.ContainsFunc(o.holders(a), func(h *lb.Service) bool { return h != s && !mayShare(*s, *h) })
}

func (o *oracle) in(names []string, selectors []lb.Selector, ns string) bool {
	labels, known := o.w.Namespaces[ns]
	return len(names)+len(selectors) == 0 || slices.Contains(names, ns) || known && lb.AnyMatches(selectors, labels)
}

func (o *oracle) admits(p *lb.Pool, s *lb.Service) bool {
	a := p.Allocation
	return a == nil || o.in(a.Namespaces, a.NamespaceSelectors, s.Name.Namespace) &&
		(len(a.ServiceSelectors) == 0 || lb.AnyMatches(a.ServiceSelectors, s.Labels))
}

// keptFromOthers says that the address waits for a Service that is not s.
func (o *oracle) keptFromOthers(s *lb.Service, a netip.Addr) bool {
	mine, others := false, false
	for _, r := range o.kept {
		mine = mine || r.Address == a && r.For == s.Name
		others = others || r.Address == a && r.For != s.Name
	}
	return others && !mine
}

func (o *oracle) conflicting(a netip.Addr) bool {
	return slices.ContainsFunc(o.w.Conflicts, func(c lb.Conflict) bool { return c.Address == a })
}

// roomFor says that all quotas of p hold with s at next, or that s adds nothing to what is over one.
func (o *oracle) roomFor(s *lb.Service, p *lb.Pool, next [2]netip.Addr) bool {
	for _, q := range p.Quotas {
		if !o.in(q.Namespaces, q.NamespaceSelectors, s.Name.Namespace) {
			continue
		}
		before, after := map[netip.Addr]bool{}, map[netip.Addr]bool{}
		for _, x := range o.services {
			for f, a := range o.at[x] {
				if !a.IsValid() || o.pool(a) != p || !o.in(q.Namespaces, q.NamespaceSelectors, x.Name.Namespace) {
					continue
				}
				before[a] = true
				if x != s || !next[f].IsValid() {
					after[a] = true
				}
			}
		}
		grows := false
		for _, a := range next {
			if a.IsValid() && o.pool(a) == p {
				after[a] = true
				grows = grows || !before[a]
			}
		}
		if grows && len(after) > q.Max {
			return false
		}
	}
	return true
}

func (o *oracle) set(s *lb.Service, a netip.Addr) {
	if len(o.holders(a)) == 0 {
		o.came = append(o.came, a)
	}
	at := o.at[s]
	at[slotOf(lb.FamilyOf(a))] = a
	o.at[s] = at
	n := len(o.kept)
	o.kept = slices.DeleteFunc(o.kept, func(r lb.Retention) bool { return r.Address == a && r.For == s.Name })
	o.returned = o.returned || len(o.kept) < n
}

func (o *oracle) unset(s *lb.Service, f int) {
	at := o.at[s]
	a := at[f]
	at[f] = netip.Addr{}
	o.at[s] = at
	if len(o.holders(a)) == 0 {
		o.came = slices.DeleteFunc(o.came, func(x netip.Addr) bool { return x == a })
		o.left = append(o.left, a)
	}
	o.offer = append(o.offer, a)
}

// walk returns the addresses of p and family f in the order of use.
func (o *oracle) walk(p *lb.Pool, f int) (out []netip.Addr) {
	for _, r := range p.Ranges {
		if slotOf(lb.FamilyOf(r.From())) != f {
			continue
		}
		for a := r.From(); ; a = a.Next() {
			if o.pool(a) == p && !contains(p.Reserved, a) && !slices.Contains(out, a) {
				out = append(out, a)
			}
			if a == r.To() {
				break
			}
		}
	}
	return out
}

// candidates returns, best first, what p could give to s in family f besides what it is given of the other.
func (o *oracle) candidates(s *lb.Service, p *lb.Pool, f int) (out []netip.Addr) {
	if s.SharingKey != "" {
		for _, a := range o.came {
			if slotOf(lb.FamilyOf(a)) == f && o.pool(a) == p && !contains(p.Reserved, a) && !o.keptFromOthers(s, a) && o.fits(s, a) {
				out = append(out, a)
			}
		}
	}
	var idle, recent, left []netip.Addr
	all := o.walk(p, f)
	for _, a := range all {
		waits := slices.ContainsFunc(o.kept, func(r lb.Retention) bool { return r.Address == a })
		switch {
		case len(o.holders(a)) > 0 || o.conflicting(a) || waits:
		case slices.Contains(o.left, a):
			left = append(left, a)
		case !slices.Contains(o.w.Recent, a):
			idle = append(idle, a)
		}
	}
	for _, a := range o.w.Recent {
		waits := slices.ContainsFunc(o.kept, func(r lb.Retention) bool { return r.Address == a })
		if slices.Contains(all, a) && len(o.holders(a)) == 0 && !slices.Contains(o.left, a) && !o.conflicting(a) && !waits {
			recent = append(recent, a)
		}
	}
	return slices.Concat(out, idle, recent, left)
}

func (o *oracle) find(s *lb.Service, p *lb.Pool, f int, found [2]netip.Addr) netip.Addr {
	for _, a := range o.candidates(s, p, f) {
		found[f] = a
		if o.roomFor(s, p, found) {
			return a
		}
	}
	return netip.Addr{}
}

func TestPlanAgreesWithTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 20000 {
		data := make([]byte, 300)
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		w := worldFrom(data)
		want, got := ask(w), Plan(w)
		if d := want.differs(got); d != "" {
			t.Fatalf("world %d: %s\n%+v\n%s", i, d, w, say(got))
		}
	}
}
