package allocate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
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
	if err := checkWithheld(w, r); err != nil {
		return err
	}
	if err := checkQuotas(w, r); err != nil {
		return err
	}
	if err := checkAfter(w, r); err != nil {
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
	if err := checkHalfWritten(w, r); err != nil {
		return err
	}
	return checkNewcomers(after, again)
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
		if err := errors.Join(checkAssignment(w, s, a), checkMessage(w, s, a)); err != nil {
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
	var kept []netip.Addr
	for _, addr := range s.Held {
		if slices.Contains(a.Addresses, addr) {
			kept = append(kept, addr)
		}
	}
	if len(kept) == 2 && !slices.Equal(kept, a.Addresses) {
		return fmt.Errorf("held %v, and the order becomes %v", s.Held, a.Addresses)
	}
	if s.Policy == lb.RequireDualStack && len(a.Assigned) > 0 && len(a.Addresses) < 2 {
		return fmt.Errorf("RequireDualStack is given half: %v", a.Assigned)
	}
	return nil
}

// checkMessage: who waits for any pool's address is told of every pool.
func checkMessage(w World, s lb.Service, a Assignment) error {
	if a.Complete || len(s.Requested) > 0 || s.RequestedPool != "" || !slices.Contains([]lb.Reason{ReasonNoUsablePool, ReasonExhausted, ReasonQuotaExceeded}, a.Problem.Reason) {
		return nil
	}
	for _, p := range w.Pools {
		if !strings.Contains(a.Problem.Message, p.Name) {
			return fmt.Errorf("pool %s is not in %q", p.Name, a.Problem.Message)
		}
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
	if !slices.Contains(s.Requested, addr) && slices.ContainsFunc(owner.Reserved, func(r netipx.IPRange) bool { return r.Contains(addr) }) {
		return fmt.Errorf("%v is reserved and was not asked for", addr)
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

// checkWithheld: what is kept for one is not given to another, and what is in conflict is given to nobody who did not ask
// for it, unless to join those who have it.
func checkWithheld(w World, r Result) error {
	held := map[netip.Addr]bool{}
	byName := map[lb.Name]lb.Service{}
	for _, s := range w.Services {
		byName[s.Name] = s
		for _, a := range s.Held {
			held[a] = true
		}
	}
	for _, a := range r.Services {
		s := byName[a.Service]
		for _, addr := range a.Assigned {
			if i := slices.IndexFunc(r.Pools, func(u Usage) bool {
				return slices.ContainsFunc(u.Retained, func(k lb.Retention) bool { return k.Address == addr })
			}); i >= 0 && !slices.ContainsFunc(w.Retained, func(k lb.Retention) bool { return k.Address == addr && k.For == s.Name }) {
				return fmt.Errorf("%v is given to %v and kept for another", addr, s.Name)
			}
			conflict := slices.ContainsFunc(w.Conflicts, func(c lb.Conflict) bool { return c.Address == addr })
			if conflict && !slices.Contains(s.Requested, addr) && s.SharingKey == "" {
				return fmt.Errorf("%v is in conflict and given to %v", addr, s.Name)
			}
		}
	}
	return nil
}

// checkQuotas: while a group of namespaces has more than its quota, it is given no address that none of it had.
func checkQuotas(w World, r Result) error {
	index := newPlanner(w).index
	for _, p := range w.Pools {
		for i, q := range p.Quotas {
			in := func(ns string) bool {
				return len(q.Namespaces)+len(q.NamespaceSelectors) == 0 || slices.Contains(q.Namespaces, ns) || lb.AnyMatches(q.NamespaceSelectors, w.Namespaces[ns])
			}
			had, has, fresh := map[netip.Addr]bool{}, map[netip.Addr]bool{}, false
			for _, s := range w.Services {
				for _, a := range s.Held {
					had[a] = had[a] || in(s.Name.Namespace)
				}
			}
			for _, a := range r.Services {
				for _, addr := range a.Addresses {
					if in(a.Service.Namespace) && spanOf(index, addr).pool.Name == p.Name {
						has[addr] = true
						fresh = fresh || !had[addr]
					}
				}
			}
			if len(has) > q.Max && fresh {
				return fmt.Errorf("quota %d of %s: %d addresses, one of them new", i, p.Name, len(has))
			}
		}
	}
	return nil
}

func reversed(w World) World {
	out := w
	out.Pools, out.Services = slices.Clone(w.Pools), slices.Clone(w.Services)
	out.Conflicts, out.Retained = slices.Clone(w.Conflicts), slices.Clone(w.Retained)
	slices.Reverse(out.Conflicts)
	slices.Reverse(out.Retained)
	slices.Reverse(out.Pools)
	slices.Reverse(out.Services)
	return out
}

func TestInvariantsHoldInRandomWorlds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 10000 {
		data := make([]byte, 300)
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
		if d := ask(worldFrom(data)).differs(Plan(worldFrom(data))); d != "" {
			t.Fatalf("%s\n%+v", d, worldFrom(data))
		}
		if err := checkInvariants(worldFrom(data)); err != nil {
			t.Fatalf("%v\n%+v", err, worldFrom(data))
		}
	})
}
