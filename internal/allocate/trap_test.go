package allocate

import (
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// TestKnownTraps: what allocators of this kind have done wrong. Each is played for a few passes, and every pass is checked to be the
// last that changes anything. Two more are where they can be seen: one Service that cannot be written holds up nobody
// (controllers), and pool counters never run over (TestPoolCounts).
func TestKnownTraps(t *testing.T) {
	dual := []lb.Pool{aPool("dual", "1.2.3.0/30", "1000::/126")}
	two := []lb.Pool{aPool("p", "1.2.3.0/31"), aPool("q", "1.2.4.0/31")}
	again := func(want string) []step { // passes in which nobody changes anything
		return []step{{name: "pass 2", want: want}, {name: "pass 3", want: want}}
	}
	for _, c := range []struct {
		name  string
		pools []lb.Pool
		steps []step
	}{
		{"PreferDualStack on a single-stack cluster alternates between one and two addresses", dual, append([]step{
			{name: "pass 1", put: []lb.Service{aService("one", prefersDualWithOneClusterIP), aService("two", prefersDual)}, want: "one=1.2.3.0 two=1.2.3.1,1000::"},
		}, again("one=1.2.3.0 two=1.2.3.1,1000::")...)},
		{"PreferDualStack on a single-stack cluster keeps two addresses", dual, append([]step{
			{name: "pass 1", put: []lb.Service{aService("s", prefersDualWithOneClusterIP, holds("1.2.3.1", "1000::"))}, want: "s=1.2.3.1"},
		}, again("s=1.2.3.1")...)},
		{"ingress order is rewritten on the second pass, requested", dual, append([]step{
			{name: "pass 1", put: []lb.Service{aService("s", prefersDual, ipv6First, asks("1.2.3.2", "1000::2"))}, want: "s=1000::2,1.2.3.2"},
		}, again("s=1000::2,1.2.3.2")...)},
		{"ingress order is rewritten on the second pass, held", dual, append([]step{
			{name: "pass 1", put: []lb.Service{aService("s", prefersDual, holds("1000::2", "1.2.3.2"))}, want: "s=1000::2,1.2.3.2"},
		}, again("s=1000::2,1.2.3.2")...)},
		{"an address freed by a change of request is not offered to those who wait", two[:1], []step{
			{name: "full", put: []lb.Service{aService("a"), aService("b"), aService("mover", asks("1.2.3.0"))}, want: "a=1.2.3.1 b=-:Exhausted mover=1.2.3.0"},
			{name: "another pool comes", pools: two, want: "a=1.2.3.1 b=1.2.4.0 mover=1.2.3.0"},
			{name: "an older one waits for that address", put: []lb.Service{aService("d", created(-1), asks("1.2.3.0"))}, want: "a=1.2.3.1 b=1.2.4.0 d=-:AddressInUse mover=1.2.3.0"},
			{name: "the mover asks for another", put: []lb.Service{aService("mover", asks("1.2.4.1"))}, want: "a=1.2.3.1 b=1.2.4.0 d=1.2.3.0 mover=1.2.4.1"},
		}},
		{"an address freed by a change of pool is not offered to those who wait", two, []step{
			{name: "full", put: []lb.Service{aService("a", fromPool("p")), aService("mover", fromPool("p"))}, want: "a=1.2.3.0 mover=1.2.3.1"},
			{name: "an older one waits", put: []lb.Service{aService("b", created(-1), fromPool("p"))}, want: "a=1.2.3.0 b=-:Exhausted mover=1.2.3.1"},
			{name: "the mover asks for the other pool", put: []lb.Service{aService("mover", fromPool("q"))}, want: "a=1.2.3.0 b=1.2.3.1 mover=1.2.4.0"},
		}},
		{"namespaceSelectors that match nothing open the pool to every namespace", []lb.Pool{pinnedPool("p", lb.PoolAllocation{NamespaceSelectors: selects("team", "none")}, "1.2.3.0/30")}, []step{
			{name: "by itself, by pool, by number", put: []lb.Service{aService("a"), aService("b", fromPool("p")), aService("c", asks("1.2.3.1"))}, want: "a=-:NoUsablePool b=-:PoolNotAllowed c=-:PoolNotAllowed"},
		}},
		{"two Services with one address in their status are told apart by chance", two[:1], []step{
			{name: "the older keeps it, whatever the names", put: []lb.Service{aService("a", created(2), holds("1.2.3.1")), aService("z", created(1), holds("1.2.3.1"))}, want: "a=1.2.3.0 z=1.2.3.1"},
		}},
		{"a change of type leaks the address, with a class or without", two[:1], []step{
			{name: "full", put: []lb.Service{aService("a"), aService("b"), aService("c")}, want: "a=1.2.3.0 b=1.2.3.1 c=-:Exhausted"},
			{name: "a is no LoadBalancer any more", put: []lb.Service{aService("a", notOurs)}, want: "a=- b=1.2.3.1 c=1.2.3.0"},
		}},
		{"an address is taken from a Service when another one is deleted", two, []step{
			{name: "three", put: []lb.Service{aService("a"), aService("b"), aService("c")}, want: "a=1.2.3.0 b=1.2.3.1 c=1.2.4.0"},
			{name: "one is deleted", gone: []string{"a"}, want: "b=1.2.3.1 c=1.2.4.0"},
		}},
		{"a priority without any selector closes the pool", []lb.Pool{aPool("a-open", "1.2.4.0/30"), pinnedPool("z", lb.PoolAllocation{Priority: 5}, "1.2.3.0/30")}, []step{
			{name: "it admits everybody, and comes first", put: []lb.Service{aService("s")}, want: "s=1.2.3.0"},
		}},
		{"pools that pin one namespace are read in another order each time", []lb.Pool{
			pinnedPool("z", lb.PoolAllocation{Namespaces: []string{"default"}}, "1.2.3.0/30"), pinnedPool("y", lb.PoolAllocation{Namespaces: []string{"default"}}, "1.2.4.0/30")}, []step{
			{name: "pass 1", put: []lb.Service{aService("s")}, want: "s=1.2.4.0"}, // and the same with the input reversed
		}},
	} {
		t.Run(c.name, func(t *testing.T) { runSteps(t, c.pools, c.steps) })
	}
}

// TestAServiceOfTheOtherFamilyIsToldSo: a known message here is that an address named "<nil>" is not allowed, and a PreferDualStack
// Service on a pool of one family is reported at every pass.
func TestAServiceOfTheOtherFamilyIsToldSo(t *testing.T) {
	r := Plan(World{Pools: []lb.Pool{aPool("six", "1000::/64")}, Services: []lb.Service{aService("s")}})
	if got, want := r.Services[0].Problem.Message, "no IPv4 address: six has no IPv4 addresses"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	r = Plan(World{Pools: []lb.Pool{aPool("four", "1.2.3.0/24")}, Services: []lb.Service{aService("s", prefersDual)}})
	if a := r.Services[0]; !a.Complete || a.Problem != nil {
		t.Errorf("PreferDualStack on an IPv4 pool: complete %v, problem %v; want nothing to complain of", a.Complete, a.Problem)
	}
}

// TestARestartChangesNothing: Services keep what their status says, in whatever order they are met, also when a Service is
// deleted while nobody looks.
func TestARestartChangesNothing(t *testing.T) {
	w := World{Pools: []lb.Pool{aPool("p", "1.2.3.0/29", "1000::/125")}, Services: []lb.Service{
		aService("a", holds("1.2.3.6")), aService("b", created(-9), prefersDual, holds("1000::7", "1.2.3.0")), aService("c", created(3), holds("1.2.3.3"), key("k")),
	}}
	want := "a=1.2.3.6 b=1000::7,1.2.3.0 c=1.2.3.3"
	for range 3 {
		r := Plan(w)
		if got := say(r); got != want {
			t.Fatalf("plan = %s, want %s", got, want)
		}
		w = reversed(apply(w, r))
	}
	w.Services = w.Services[1:] // c goes
	if got := say(Plan(w)); got != "a=1.2.3.6 b=1000::7,1.2.3.0" {
		t.Errorf("after a deletion: %s", got)
	}
}
