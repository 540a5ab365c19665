package allocate

import (
	"strings"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// TestMetalLBAllocation and TestMetalLBPoolAllocation: four addresses, six Services, without a request and with one for the pool.
func TestMetalLBAllocation(t *testing.T) { allocateUntilTheEnd(t, fromPool("")) }

func TestMetalLBPoolAllocation(t *testing.T) { allocateUntilTheEnd(t, fromPool("test")) }

func allocateUntilTheEnd(t *testing.T, request option) {
	pools := []lb.Pool{aPool("test", "1.2.3.4/30", "1000::4/126")}
	for _, c := range []struct {
		name   string
		family option
		has    string // what somebody has who has number N
	}{
		{"IPv4", func(*lb.Service) {}, "1.2.3.N"}, {"IPv6", ipv6, "1000::N"}, {"dual stack", requiresDual, "1.2.3.N,1000::N"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := func(name string, opts ...option) []lb.Service {
				return []lb.Service{aService(name, append(opts, request, c.family)...)}
			}
			steps := []step{
				{name: "s1 gets an IP", put: s("s1"), want: "s1=@4"},
				{name: "s2 gets an IP", put: s("s2"), want: "s1=@4 s2=@5"},
				{name: "s3 gets an IP", put: s("s3"), want: "s1=@4 s2=@5 s3=@6"},
				{name: "s4 gets an IP", put: s("s4"), want: "s1=@4 s2=@5 s3=@6 s4=@7"},
				{name: "s5 can't get an IP", put: s("s5"), want: "s1=@4 s2=@5 s3=@6 s4=@7 s5=-:Exhausted"},
				{name: "s6 can't get an IP", put: s("s6"), want: "s1=@4 s2=@5 s3=@6 s4=@7 s5=-:Exhausted s6=-:Exhausted"},
				{name: "s1 releases its IP, s5 gets it, s6 still can't", gone: []string{"s1"}, want: "s2=@5 s3=@6 s4=@7 s5=@4 s6=-:Exhausted"},
				{name: "s5 re-takes its IP, with sharing", put: s("s5", key("share")), want: "s2=@5 s3=@6 s4=@7 s5=@4 s6=-:Exhausted"},
				{name: "s6 takes s5's IP, with sharing", put: s("s6", key("share"), ports("TCP/443")), want: "s2=@5 s3=@6 s4=@7 s5=@4 s6=@4"},
				{name: "s7 with the port of s5 can't", put: s("s7", key("share")), want: "s2=@5 s3=@6 s4=@7 s5=@4 s6=@4 s7=-:Exhausted"},
			}
			for i := range steps {
				for _, n := range []string{"4", "5", "6", "7"} {
					steps[i].want = strings.ReplaceAll(steps[i].want, "@"+n, strings.ReplaceAll(c.has, "N", n))
				}
			}
			runSteps(t, pools, steps)
		})
	}
}

func TestMetalLBAllocationOfMixedFamilies(t *testing.T) {
	for _, request := range []option{fromPool(""), fromPool("test")} { // there in TestAllocation and in TestPoolAllocation
		put := func(name string, opts ...option) []lb.Service {
			return []lb.Service{aService(name, append(opts, request)...)}
		}
		runSteps(t, []lb.Pool{aPool("test", "1.2.3.0/31", "1000::/127")}, []step{
			{name: "s1 gets dual-stack IPs", put: put("s1", requiresDual), want: "s1=1.2.3.0,1000::"},
			{name: "s2 gets an IPv4", put: put("s2"), want: "s1=1.2.3.0,1000:: s2=1.2.3.1"},
			{name: "s3 gets an IPv6", put: put("s3", ipv6), want: "s1=1.2.3.0,1000:: s2=1.2.3.1 s3=1000::1"},
			{name: "s3 can't get dual-stack IPs, and keeps its own", put: put("s3", requiresDual), want: "s1=1.2.3.0,1000:: s2=1.2.3.1 s3=1000::1:Exhausted"},
			{name: "s2 clears its IPv4 and s3 gets dual-stack IPs", gone: []string{"s2"}, want: "s1=1.2.3.0,1000:: s3=1000::1,1.2.3.1"},
		})
	}
}

func TestMetalLBBuggyIPs(t *testing.T) {
	s := func(name string) []lb.Service { return []lb.Service{aService(name)} }
	runSteps(t, []lb.Pool{
		aPool("test", "1.2.3.0/31"), aPool("test2", "1.2.3.254/31"),
		with(aPool("test3", "1.2.4.0/31"), avoidingBuggyIPs), with(aPool("test4", "1.2.4.254/31"), avoidingBuggyIPs),
	}, []step{
		{name: "s1 gets a 0", put: s("s1"), want: "s1=1.2.3.0"},
		{name: "s2 gets the next", put: s("s2"), want: "s1=1.2.3.0 s2=1.2.3.1"},
		{name: "s3 gets the one before 255", put: s("s3"), want: "s1=1.2.3.0 s2=1.2.3.1 s3=1.2.3.254"},
		{name: "s4 gets a 255", put: s("s4"), want: "s1=1.2.3.0 s2=1.2.3.1 s3=1.2.3.254 s4=1.2.3.255"},
		{name: "s5 gets no 0 of a pool that avoids it", put: s("s5"), want: "s1=1.2.3.0 s2=1.2.3.1 s3=1.2.3.254 s4=1.2.3.255 s5=1.2.4.1"},
		{name: "s6 gets the one before 255 there", put: s("s6"), want: "s1=1.2.3.0 s2=1.2.3.1 s3=1.2.3.254 s4=1.2.3.255 s5=1.2.4.1 s6=1.2.4.254"},
		{name: "s7 gets no 255 there", put: s("s7"), want: "s1=1.2.3.0 s2=1.2.3.1 s3=1.2.3.254 s4=1.2.3.255 s5=1.2.4.1 s6=1.2.4.254 s7=-:Exhausted"},
	})
}

func TestMetalLBAutoAssign(t *testing.T) {
	off := with(aPool("a-off", "1.2.3.0/24"), withoutAutoAssign)
	s := func(name string) []lb.Service { return []lb.Service{aService(name)} }
	runSteps(t, []lb.Pool{off, aPool("on", "1.2.4.0/31")}, []step{
		{name: "s1 gets an address of the other pool", put: s("s1"), want: "s1=1.2.4.0"},
		{name: "s2 too", put: s("s2"), want: "s1=1.2.4.0 s2=1.2.4.1"},
		{name: "s3 gets none when that is full", put: s("s3"), want: "s1=1.2.4.0 s2=1.2.4.1 s3=-:Exhausted"},
		{name: "and none when it is gone", pools: []lb.Pool{off}, gone: []string{"s1", "s2"}, want: "s3=-:NoUsablePool"},
	})
}

func TestMetalLBDeleteRecyclesIP(t *testing.T) {
	runSteps(t, []lb.Pool{aPool("test", "1.2.3.0/32")}, []step{
		{name: "the first one gets the only address", put: []lb.Service{aService("test")}, want: "test=1.2.3.0"},
		{name: "the second one waits", put: []lb.Service{aService("test2")}, want: "test=1.2.3.0 test2=-:Exhausted"},
		{name: "deleted balancer: the second one gets its address", gone: []string{"test"}, want: "test2=1.2.3.0"},
	})
}

// TestMetalLBReassign and what follows change pools under Services.
func TestMetalLBReassign(t *testing.T) {
	test, other := aPool("test", "1.2.3.0/31"), aPool("a-other", "1.2.4.0/31")
	runSteps(t, []lb.Pool{test}, []step{
		{name: "simple", put: []lb.Service{aService("s")}, want: "s=1.2.3.0"},
		{name: "adding a pool never moves anybody", pools: []lb.Pool{other, test}, want: "s=1.2.3.0"},
		{name: "deleting the pool moves it to the other", pools: []lb.Pool{other}, want: "s=1.2.4.0"},
	})
}

func TestMetalLBConfig(t *testing.T) {
	none := []lb.Pool{}
	runSteps(t, none, []step{
		// Differs: there, the Service is not touched. With us its condition says NoPool; before the first list of pools there is no
		// plan, and so no condition.
		{name: "empty config", put: []lb.Service{aService("s")}, want: "s=-:NoPool"},
		{name: "config with a pool", pools: []lb.Pool{aPool("default", "1.2.3.0/24")}, want: "s=1.2.3.0"},
		{name: "pool removed", pools: none, want: "s=-:NoPool"},
	})
	runSteps(t, none, []step{
		{name: "dual-stack, empty config", put: []lb.Service{aService("s", requiresDual)}, want: "s=-:NoPool"},
		{name: "dual-stack, config with a pool", pools: []lb.Pool{aPool("default", "1.2.3.0/24", "1000::/120")}, want: "s=1.2.3.0,1000::"},
		{name: "dual-stack, pool removed", pools: none, want: "s=-:NoPool"},
	})
}

func TestMetalLBConfigReload(t *testing.T) {
	steps := []step{
		{name: "an address in the middle", put: []lb.Service{aService("s", asks("1.2.3.2"))}, want: "s=1.2.3.2"},
		{name: "update to same config is idempotent", put: []lb.Service{aService("s")}, pools: []lb.Pool{aPool("test", "1.2.3.0/30")}, want: "s=1.2.3.2"},
		{name: "expand pool", pools: []lb.Pool{aPool("test", "1.2.3.0-1.2.3.9")}, want: "s=1.2.3.2"},
		{name: "shrink pool", pools: []lb.Pool{aPool("test", "1.2.3.1-1.2.3.2")}, want: "s=1.2.3.2"},
		{name: "rename the pool", pools: []lb.Pool{aPool("test2", "1.2.3.1-1.2.3.2")}, want: "s=1.2.3.2"},
		{name: "split pool", pools: []lb.Pool{aPool("test", "1.2.3.0-1.2.3.1"), aPool("test2", "1.2.3.2-1.2.3.3")}, want: "s=1.2.3.2"},
		// There, the allocator takes the address and the controller looks for another one later; here it is one plan.
		{name: "can't shrink further", pools: []lb.Pool{aPool("test", "1.2.3.0-1.2.3.1")}, want: "s=1.2.3.0"},
	}
	t.Run("IPv4", func(t *testing.T) {
		runSteps(t, []lb.Pool{aPool("test", "1.2.3.0/30")}, append(steps,
			step{name: "enable buggy IPs not allowed", pools: []lb.Pool{with(aPool("test", "1.2.3.0/30"), avoidingBuggyIPs)}, want: "s=1.2.3.1"}))
	})
	t.Run("IPv6", func(t *testing.T) {
		runSteps(t, poolsInIPv6([]lb.Pool{aPool("test", "1.2.3.0/30")}), inIPv6(steps))
	})
}

func TestARenamedPoolIsNamedInTheAssignment(t *testing.T) {
	r := Plan(World{Pools: []lb.Pool{aPool("new", "1.2.3.0/30")}, Services: []lb.Service{
		aService("s", holds("1.2.3.2"), func(s *lb.Service) { s.HeldFrom = "old" })}})
	if got := r.Services[0].Pool; got != "new" {
		t.Errorf("Pool = %q, want new", got)
	}
}

// TestMetalLBPoolMetrics has the figures after each of its steps: what is assigned, what is available, and who waits.
func TestMetalLBPoolMetrics(t *testing.T) {
	type figures struct{ assigned, available, waiting int64 }
	k := key("sharing")
	w := World{Pools: []lb.Pool{aPool("test", "1.2.3.4/30")}}
	for _, c := range []struct {
		step
		want figures
	}{
		{step{name: "assign s1", put: []lb.Service{aService("s1")}}, figures{1, 3, 0}},
		{step{name: "assign s2", put: []lb.Service{aService("s2")}}, figures{2, 2, 0}},
		{step{name: "assign s3", put: []lb.Service{aService("s3")}}, figures{3, 1, 0}},
		{step{name: "unassign s1", gone: []string{"s1"}}, figures{2, 2, 0}},
		{step{name: "unassign the others", gone: []string{"s2", "s3"}}, figures{0, 4, 0}},
		{step{name: "assign s1 shared", put: []lb.Service{aService("s1", k, ports("TCP/1"))}}, figures{1, 3, 0}},
		{step{name: "assign s2 shared", put: []lb.Service{aService("s2", k, ports("TCP/2"))}}, figures{1, 3, 0}},
		{step{name: "assign s3 shared", put: []lb.Service{aService("s3", k, ports("TCP/3"))}}, figures{1, 3, 0}},
		{step{name: "more than there is room for", put: []lb.Service{aService("a"), aService("b"), aService("c"), aService("d"), aService("e")}}, figures{4, 0, 2}},
	} {
		w = c.change(w)
		r := Plan(w)
		if u := usage(t, r, "test"); (figures{u.AssignedIPv4, u.AvailableIPv4, int64(u.Waiting)}) != c.want {
			t.Errorf("%s: usage = %+v, want %+v", c.name, u, c.want)
		}
		w = apply(w, r)
	}
}
