package allocate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

var sameAddr = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()}

// checkInvariants says what holds for every plan, or why one does not.
func checkInvariants(w World) error {
	r := Plan(w)
	if err := checkLegal(w, r); err != nil {
		return err
	}
	if err := checkUsage(r); err != nil {
		return err
	}
	if other := Plan(reversed(w)); !reflect.DeepEqual(r, other) {
		return fmt.Errorf("the order of the input matters (-as given +reversed):\n%s", cmp.Diff(r, other, sameAddr))
	}
	after := apply(w, r)
	again := Plan(after)
	for i, a := range again.Services {
		b := r.Services[i]
		if len(a.Assigned)+len(a.Released) > 0 || !slices.Equal(a.Addresses, b.Addresses) || a.Pool != b.Pool {
			return fmt.Errorf("a second plan changes %v from %v to %v", a.Service, b.Addresses, a.Addresses)
		}
		if a.Complete != b.Complete || !reflect.DeepEqual(a.Problem, b.Problem) {
			return fmt.Errorf("a second plan says of %v: %v %v, the first said: %v %v", a.Service, a.Complete, a.Problem, b.Complete, b.Problem)
		}
	}
	return checkNewcomer(after, again)
}

// checkLegal: addresses come from pools that admit the Service (or are kept), no address is shared illegally, nobody has
// two addresses of one family, RequireDualStack gives both or nothing new, and what is incomplete says why.
func checkLegal(w World, r Result) error {
	byName := map[lb.Name]lb.Service{}
	for _, s := range w.Services {
		byName[s.Name] = s
	}
	holders := map[netip.Addr][]lb.Service{}
	for _, a := range r.Services {
		s := byName[a.Service]
		if err := checkAssignment(w, s, a); err != nil {
			return fmt.Errorf("%v: %w", a.Service, err)
		}
		for _, addr := range a.Addresses {
			for _, o := range holders[addr] {
				if !mayShare(s, o) {
					return fmt.Errorf("%v is held by %v and %v, which may not share", addr, s.Name, o.Name)
				}
			}
			holders[addr] = append(holders[addr], s)
		}
	}
	return nil
}

// mayShare is the sharing rule once more, written down independently of the code under test.
func mayShare(a, b lb.Service) bool {
	for _, p := range a.Ports {
		if slices.Contains(b.Ports, p) {
			return false
		}
	}
	return a.SharingKey != "" && a.SharingKey == b.SharingKey && a.Local == b.Local && (!a.Local || a.Selector == b.Selector)
}

func checkAssignment(w World, s lb.Service, a Assignment) error {
	if !s.Managed && len(a.Addresses) > 0 {
		return fmt.Errorf("not managed, and gets %v", a.Addresses)
	}
	if !a.Complete && (a.Problem == nil || a.Problem.Reason == "" || a.Problem.Message == "") {
		return fmt.Errorf("incomplete without a problem: %+v", a)
	}
	seen := map[lb.Family]bool{}
	for _, addr := range a.Addresses {
		f := lb.FamilyOf(addr)
		if seen[f] || !slices.Contains(s.Families, f) {
			return fmt.Errorf("has %v, families %v", a.Addresses, s.Families)
		}
		seen[f] = true
		if err := checkSource(w, s, addr); err != nil {
			return err
		}
	}
	if a.Complete && s.Managed && !s.Deleting && (!seen[lb.IPv4] && !seen[lb.IPv6] || s.Policy == lb.RequireDualStack && len(seen) < 2) {
		return fmt.Errorf("complete with %v", a.Addresses)
	}
	if s.Policy == lb.RequireDualStack && len(a.Assigned) > 0 && len(a.Addresses) < 2 {
		return fmt.Errorf("RequireDualStack is given half: %v", a.Assigned)
	}
	return nil
}

// checkSource: an address is in some pool, and if it is new, the pool admits the Service and is the requested one.
func checkSource(w World, s lb.Service, addr netip.Addr) error {
	var owner *lb.Pool
	for i, p := range w.Pools {
		in := slices.ContainsFunc(p.Ranges, func(r netipx.IPRange) bool { return r.Contains(addr) })
		if in && (owner == nil || p.Created.Before(owner.Created) || p.Created.Equal(owner.Created) && p.Name < owner.Name) {
			owner = &w.Pools[i]
		}
	}
	if owner == nil || owner.AvoidBuggyIPs && buggy(addr) {
		return fmt.Errorf("%v is in no pool that offers it", addr)
	}
	if slices.Contains(s.Held, addr) {
		return nil
	}
	if s.RequestedPool != "" && s.RequestedPool != owner.Name {
		return fmt.Errorf("%v is from pool %s, not %s", addr, owner.Name, s.RequestedPool)
	}
	if a := owner.Allocation; a != nil && len(a.Namespaces)+len(a.NamespaceSelectors) > 0 &&
		!slices.Contains(a.Namespaces, s.Name.Namespace) && !lb.AnyMatches(a.NamespaceSelectors, w.Namespaces[s.Name.Namespace]) {
		return fmt.Errorf("%v is from pool %s, which does not admit namespace %s", addr, owner.Name, s.Name.Namespace)
	}
	if !owner.AutoAssign && s.RequestedPool == "" && len(s.Requested) == 0 {
		return fmt.Errorf("%v is from pool %s, which has autoAssign off", addr, owner.Name)
	}
	return nil
}

func checkUsage(r Result) error {
	for _, u := range r.Pools {
		if u.AssignedIPv4 < 0 || u.AssignedIPv6 < 0 || u.AvailableIPv4 < 0 || u.AvailableIPv6 < 0 {
			return fmt.Errorf("negative usage: %+v", u)
		}
	}
	return nil
}

// checkNewcomer: a fresh Service, added to a settled world, changes nothing for anybody else.
func checkNewcomer(settled World, r Result) error {
	w := settled
	w.Services = append(slices.Clone(settled.Services), aService("newcomer", prefersDual, created(-1)))
	for _, a := range Plan(w).Services {
		if a.Service.Name == "newcomer" {
			continue
		}
		if b := find(r, a.Service); !slices.Equal(a.Addresses, b.Addresses) && len(b.Addresses) > 0 {
			return fmt.Errorf("adding a Service moves %v from %v to %v", a.Service, b.Addresses, a.Addresses)
		}
	}
	return nil
}

func reversed(w World) World {
	out := World{Pools: slices.Clone(w.Pools), Services: slices.Clone(w.Services), Namespaces: w.Namespaces}
	slices.Reverse(out.Pools)
	slices.Reverse(out.Services)
	return out
}

// dice hands out small numbers from a byte string; when it is used up, zeros.
type dice struct{ data []byte }

func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % n
}

func (d *dice) one(of int) bool { return d.roll(of) == 0 }

// worldFrom builds a small crowded world: few addresses, few keys, few ports, so that every rule meets every other.
func worldFrom(data []byte) World {
	d := &dice{data}
	w := World{Namespaces: map[string]map[string]string{"default": {"team": "a"}, "other": {"team": "b"}}}
	for i := range d.roll(4) {
		w.Pools = append(w.Pools, d.pool(i))
	}
	for i := range 1 + d.roll(9) {
		w.Services = append(w.Services, d.service(i))
	}
	return w
}

func (d *dice) addr() netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf([]string{"192.0.2.%d", "2001:db8::%d"}[d.roll(2)], d.roll(8)))
}

func (d *dice) pool(i int) lb.Pool {
	p := lb.Pool{Name: fmt.Sprintf("p%d", i), Created: at(d.roll(2)), AutoAssign: !d.one(4), AvoidBuggyIPs: d.one(4)}
	for range d.roll(3) + 1 {
		a := d.addr()
		b := a
		for range d.roll(4) {
			b = b.Next()
		}
		p.Ranges = append(p.Ranges, netipx.IPRangeFrom(a, b))
	}
	if d.one(4) {
		p.Allocation = &lb.PoolAllocation{Priority: d.roll(3)}
		if d.one(2) {
			p.Allocation.Namespaces = []string{"other"}
		}
		if d.one(3) {
			p.Allocation.NamespaceSelectors = []lb.Selector{{{Key: "team", Op: lb.In, Values: []string{"a"}}}}
		}
		if d.one(4) {
			p.Allocation.ServiceSelectors = []lb.Selector{{{Key: "tier", Op: lb.Exists}}}
		}
	}
	return p
}

func (d *dice) service(i int) lb.Service {
	s := aService(fmt.Sprintf("s%d", i), created(d.roll(3)))
	s.UID = fmt.Sprint(d.roll(3))
	s.Managed, s.Deleting = !d.one(10), d.one(10)
	switch d.roll(6) {
	case 1:
		ipv6(&s)
	case 2:
		prefersDual(&s)
	case 3:
		requiresDual(&s)
	case 4:
		prefersDual(&s)
		ipv6First(&s)
	case 5:
		s.Policy = []lb.FamilyPolicy{lb.PreferDualStack, lb.RequireDualStack}[d.roll(2)]
	}
	if d.one(12) {
		s.Families = nil
	}
	if d.one(3) {
		s.Name.Namespace = "other"
	}
	s.SharingKey = []string{"", "k", "l"}[d.roll(3)]
	s.Local, s.Selector = d.one(4), []string{"app=a", "app=b"}[d.roll(2)]
	s.Ports = []lb.Port{{Protocol: "TCP", Number: uint16(d.roll(3))}}
	for range d.roll(3) {
		s.Held = append(s.Held, d.addr())
	}
	s.Held = slices.Compact(s.Held)
	if d.one(3) {
		for range 1 + d.roll(2) {
			s.Requested = append(s.Requested, d.addr())
		}
	}
	if d.one(4) {
		s.RequestedPool = fmt.Sprintf("p%d", d.roll(4))
	}
	if d.one(10) {
		s.Problems = []lb.Problem{{Reason: "InvalidRequest", Message: "what it asks for cannot be read"}}
	}
	return s
}

func TestInvariantsHoldInRandomWorlds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		data := make([]byte, 200)
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		if err := checkInvariants(worldFrom(data)); err != nil {
			t.Fatalf("world %d: %v\n%+v", i, err, worldFrom(data))
		}
	}
}

func FuzzPlan(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		data := make([]byte, 60+r.IntN(200))
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkInvariants(worldFrom(data)); err != nil {
			t.Fatalf("%v\n%+v", err, worldFrom(data))
		}
	})
}
