package allocate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// The tests that begin with TestMetalLB have the cases that MetalLB 0.16 asserts in its own unit tests, under the names that they
// have there: users rely on them. Where we want something else, the row says "Differs" and why, and so does
// docs/compatibility.md. What those tests say of reading annotations and classes is in internal/kube.

// A step changes a world and says, in the words of say, what the plan makes of it. What the plan gives is held in the next.
type step struct {
	name  string
	pools []lb.Pool    // what the pools are from now on; nil for no change
	gone  []string     // Services that are deleted
	put   []lb.Service // Services that are created or changed; one that was there holds what it held
	want  string
}

func (c step) change(w World) World {
	if c.pools != nil {
		w.Pools = c.pools
	}
	list := slices.DeleteFunc(slices.Clone(w.Services), func(s lb.Service) bool { return slices.Contains(c.gone, s.Name.Name) })
	for _, s := range c.put {
		i := slices.IndexFunc(list, func(o lb.Service) bool { return o.Name == s.Name })
		if i < 0 {
			list = append(list, s)
			continue
		}
		s.Held, s.HeldFrom = list[i].Held, list[i].HeldFrom
		list[i] = s
	}
	w.Services = list
	return w
}

func runSteps(t *testing.T, pools []lb.Pool, steps []step) {
	t.Helper()
	w := World{Pools: pools, Namespaces: twoNamespaces()}
	for _, c := range steps {
		w = c.change(w)
		r := Plan(w)
		t.Run(c.name, func(t *testing.T) {
			if got := say(r); got != c.want {
				t.Errorf("plan\n got %s\nwant %s", got, c.want)
			}
			if err := checkInvariants(w); err != nil {
				t.Error(err)
			}
		})
		w = apply(w, r)
	}
}

// inIPv6 is the same steps with 1000::3:4 for 1.2.3.4. The last number becomes hexadecimal, so 9 and 10 are no neighbours any more.
func inIPv6(steps []step) []step {
	out := slices.Clone(steps)
	for i, c := range out {
		out[i].pools, out[i].want = poolsInIPv6(c.pools), sixText(c.want)
		out[i].put = slices.Clone(c.put)
		for j := range out[i].put {
			s := &out[i].put[j]
			ipv6(s)
			s.Requested, s.Held = sixAddrs(s.Requested), sixAddrs(s.Held)
		}
	}
	return out
}

func poolsInIPv6(pools []lb.Pool) []lb.Pool {
	out := slices.Clone(pools)
	for i, p := range out {
		out[i].Ranges = nil
		for _, r := range p.Ranges {
			ends := sixAddrs([]netip.Addr{r.From(), r.To()})
			out[i].Ranges = append(out[i].Ranges, netipx.IPRangeFrom(ends[0], ends[1]))
		}
	}
	return out
}

func sixText(s string) string {
	return strings.NewReplacer("1.2.3.", "1000::3:", "1.2.4.", "1000::4:").Replace(s)
}

func sixAddrs(list []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		out = append(out, netip.MustParseAddr(sixText(a.String())))
	}
	return out
}

func TestMetalLBAssignment(t *testing.T) {
	pools := []lb.Pool{aPool("test", "1.2.3.4/31"), with(aPool("test2", "1.2.4.0/24"), avoidingBuggyIPs)}
	grab := []step{
		{name: "assign s1", put: []lb.Service{aService("s1", asks("1.2.3.4"))}, want: "s1=1.2.3.4"},
		{name: "s1 idempotent reassign", put: []lb.Service{aService("s1", asks("1.2.3.4"))}, want: "s1=1.2.3.4"},
		{name: "s2 can't grab s1's IP", put: []lb.Service{aService("s2", asks("1.2.3.4"))}, want: "s1=1.2.3.4 s2=-:AddressInUse"},
		{name: "s2 can get the other IP", put: []lb.Service{aService("s2", asks("1.2.3.5"))}, want: "s1=1.2.3.4 s2=1.2.3.5"},
		{name: "s1 now can't grab s2's IP", put: []lb.Service{aService("s1", asks("1.2.3.5"))}, want: "s1=1.2.3.4:AddressInUse s2=1.2.3.5"},
		{name: "s1 frees its IP", gone: []string{"s1"}, want: "s2=1.2.3.5"},
		{name: "s2 can grab s1's former IP", put: []lb.Service{aService("s2", asks("1.2.3.4"))}, want: "s2=1.2.3.4"},
		{name: "s1 can now grab s2's former IP", put: []lb.Service{aService("s1", asks("1.2.3.5"))}, want: "s1=1.2.3.5 s2=1.2.3.4"},
	}
	buggy := []step{
		{name: "s3 cannot grab a 0 buggy IP", put: []lb.Service{aService("s3", asks("1.2.4.0"))}, want: "s3=-:NotInPool"},
		{name: "s3 cannot grab a 255 buggy IP", put: []lb.Service{aService("s3", asks("1.2.4.255"))}, want: "s3=-:NotInPool"},
		{name: "s3 can grab another IP in that pool", put: []lb.Service{aService("s3", asks("1.2.4.254"))}, want: "s3=1.2.4.254"},
	}
	t.Run("IPv4", func(t *testing.T) {
		runSteps(t, pools, grab)
		runSteps(t, pools, buggy)
		runSteps(t, pools, sharingSteps())
	})
	t.Run("IPv6", func(t *testing.T) {
		runSteps(t, poolsInIPv6(pools), inIPv6(grab))
		runSteps(t, poolsInIPv6(pools), inIPv6(sharingSteps()))
	})
	runPlans(t, []planTest{
		{"no IPv6 address is buggy", poolsInIPv6(pools), []lb.Service{aService("s3", ipv6, asks("1000::4:0"))}, "s3=1000::4:0"},
	})
}

// sharingSteps are those of TestAssignment that share. s4 is the older one: with us, the younger goes when two do not fit together
// any more.
func sharingSteps() []step {
	s3 := func(opts ...option) []lb.Service {
		return []lb.Service{aService("s3", append([]option{created(2), asks("1.2.4.3")}, opts...)...)}
	}
	s4 := func(opts ...option) []lb.Service {
		return []lb.Service{aService("s4", append([]option{created(1), asks("1.2.4.3")}, opts...)...)}
	}
	k, other := key("sharing"), key("other")
	dns, mail := ports("TCP/53"), ports("TCP/25")
	const refused, together = "s3=-:AddressInUse s4=1.2.4.3", "s3=1.2.4.3 s4=1.2.4.3"
	return []step{
		{name: "s4 takes an IP, with sharing", put: s4(other), want: "s4=1.2.4.3"},
		{name: "s4 changes its sharing key in place", put: s4(k), want: "s4=1.2.4.3"},
		{name: "s3 can't share with s4 (port conflict)", put: s3(k), want: refused},
		{name: "s3 can't share with s4 (wrong sharing key)", put: s3(other, dns), want: refused},
		{name: "s3 can't share with s4 (wrong backend key)", put: s3(k, dns, local("app=a")), want: refused},
		{name: "s3 takes the same IP as s4", put: s3(k, dns), want: together},
		{name: "s3 can change its ports while keeping the same IP", put: s3(k, mail), want: together},
		{name: "s3 can't change its sharing key while keeping the same IP", put: s3(other, mail), want: refused},
		{name: "s3 shares again", put: s3(k, mail), want: together},
		{name: "s3 can't change its backend key while keeping the same IP", put: s3(k, mail, local("app=a")), want: refused},
		{name: "s3 shares once more", put: s3(k, mail), want: together},
		// Differs: there, the one that changed goes. With us it is the younger, so that the speakers can apply the same rule.
		{name: "s4 changes its sharing key, and s3 goes", put: s4(other), want: refused},
		{name: "s3 takes another IP", put: s3(asks("1.2.4.4")), want: "s3=1.2.4.4 s4=1.2.4.3"},
		{name: "s3 frees it", gone: []string{"s3"}, want: "s4=1.2.4.3"},
		{name: "s4 takes s3's former IP", put: s4(asks("1.2.4.4")), want: "s4=1.2.4.4"},
	}
}

func TestMetalLBAssignmentOfDualStackAndPinnedPools(t *testing.T) {
	dual := []lb.Pool{aPool("dual", "1.2.3.4/31", "1000::4/127"), aPool("six", "2000::4/127")}
	pinned := func(a lb.PoolAllocation) []lb.Pool { return []lb.Pool{pinnedPool("pinned", a, "1.2.3.4/31")} }
	here, there := []string{"default"}, []string{"other"}
	gold, silver := selects("tier", "gold"), selects("tier", "silver")
	s1 := []lb.Service{aService("s1", asks("1.2.3.4"), labelled("tier", "gold"))}
	runPlans(t, []planTest{
		{"ip dual-stack assign s1", dual, []lb.Service{aService("s1", requiresDual, asks("1.2.3.4", "1000::4"))}, "s1=1.2.3.4,1000::4"},
		// Differs: there, it is refused. Nothing is wrong with two pools for two families, and whoever asks by number means it.
		{"dual-stack from different pools", dual, []lb.Service{aService("s1", requiresDual, asks("1.2.3.4", "2000::4"))}, "s1=1.2.3.4,2000::4"},
		{"pool pinned to the same namespace", pinned(lb.PoolAllocation{Namespaces: here}), s1, "s1=1.2.3.4"},
		{"pool pinned to a different namespace", pinned(lb.PoolAllocation{Namespaces: there}), s1, "s1=-:PoolNotAllowed"},
		{"pool pinned to the same service label", pinned(lb.PoolAllocation{ServiceSelectors: gold}), s1, "s1=1.2.3.4"},
		{"pool pinned to a different service label", pinned(lb.PoolAllocation{ServiceSelectors: silver}), s1, "s1=-:PoolNotAllowed"},
		{"pool pinned to namespace and service label", pinned(lb.PoolAllocation{Namespaces: here, ServiceSelectors: gold}), s1, "s1=1.2.3.4"},
		{"pool pinned to namespace and incompatible service label", pinned(lb.PoolAllocation{Namespaces: here, ServiceSelectors: silver}), s1, "s1=-:PoolNotAllowed"},
		{"pool pinned to service label and incompatible namespace", pinned(lb.PoolAllocation{Namespaces: there, ServiceSelectors: gold}), s1, "s1=-:PoolNotAllowed"},
	})
}
