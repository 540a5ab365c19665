package allocate

import (
	"slices"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// TestMessagesNameEveryPoolAndTheNearestRemedyFirst: the Service s lacks an address; o and others hold what is in use.
func TestMessagesNameEveryPoolAndTheNearestRemedyFirst(t *testing.T) {
	limit := func(n int) func(*lb.Pool) { return quotas(lb.Quota{Max: n, Namespaces: []string{"default"}}) }
	theirs := func(name string) lb.Pool {
		return pinnedPool(name, lb.PoolAllocation{Namespaces: []string{"other"}}, "1.4.0.0/24")
	}
	gold := pinnedPool("gold", lb.PoolAllocation{ServiceSelectors: selects("tier", "gold")}, "1.3.0.0/24")
	off := with(aPool("off", "1.5.0.0/24"), withoutAutoAssign)
	one := aPool("one", "1.1.0.0/32")
	mixed := aPool("mixed", "1.1.0.0/32", "1000::/127")
	pools := func(list ...lb.Pool) []lb.Pool { return list }
	for _, c := range []struct {
		name    string
		pools   []lb.Pool
		s       lb.Service
		reason  lb.Reason
		message string
	}{
		{"a full pool", pools(one), aService("s"), ReasonExhausted, "no IPv4 address: one is full"},
		{"every obstacle, each with another remedy", pools(aPool("a-six", "2000::/64"), theirs("b-theirs"), with(off, named("c-off")), with(one, named("d-one")), with(aPool("e-few", "1.2.0.0/24"), limit(1))),
			aService("s"), ReasonQuotaExceeded, "no IPv4 address: e-few has no room in its quota of 1 for namespaces default (quotas[0]); d-one is full; " +
				"c-off has autoAssign off; b-theirs does not admit namespace default; a-six has no IPv4 addresses"},
		{"a quota does not hide what is full", pools(one, with(aPool("two", "1.2.0.0/24"), limit(0))), aService("s"), ReasonQuotaExceeded,
			"no IPv4 address: two has no room in its quota of 0 for namespaces default (quotas[0]); one is full"},
		{"one that is full decides the reason among those that cannot be used", pools(theirs("a"), one), aService("s"), ReasonExhausted,
			"no IPv4 address: one is full; a does not admit namespace default"},
		{"none that can be used", pools(gold, off, theirs("theirs")), aService("s"), ReasonNoUsablePool,
			"no IPv4 address: off has autoAssign off; theirs does not admit namespace default; gold does not admit the Service's labels"},
		{"the shorter line first", pools(with(aPool("a", "1.3.0.0/24"), limit(0)), with(aPool("b", "1.6.0.0/24"), quotas(lb.Quota{Max: 0}))), aService("s"), ReasonQuotaExceeded,
			"no IPv4 address: b has no room in its quota of 0 for all namespaces (quotas[0]); a has no room in its quota of 0 for namespaces default (quotas[0])"},
		{"of lines that are as long, by the words", pools(with(aPool("few", "1.2.0.0/24"), limit(1)), with(aPool("all", "1.3.0.0/24"), limit(0))), aService("s"), ReasonQuotaExceeded,
			"no IPv4 address: all has no room in its quota of 0 for namespaces default (quotas[0]); few has no room in its quota of 1 for namespaces default (quotas[0])"},
		{"full pools together, however many addresses they have", pools(aPool("two", "1.2.0.0-1.2.0.1"), one), aService("s"), ReasonExhausted, "no IPv4 address: one, two: each is full"},
		{"pools with one reason together", pools(theirs("c"), theirs("a"), theirs("b")), aService("s"), ReasonNoUsablePool,
			"no IPv4 address: a, b, c: each does not admit namespace default"},
		{"either family would do", pools(aPool("a", "1.1.0.0/32"), aPool("six", "1000::/127")), aService("s", prefersDual), ReasonExhausted,
			"no IPv4 or IPv6 address: a is full and has no IPv6 addresses; six is full and has no IPv4 addresses"},
		{"both families are needed, and one is full", pools(mixed), aService("s", requiresDual), ReasonExhausted, "no IPv4 or IPv6 address: mixed is full"},
		{"both families are needed, and one is nowhere", pools(aPool("free", "1.2.0.0/24")), aService("s", requiresDual), ReasonNoUsablePool, "no IPv6 address: free has no IPv6 addresses"},
		{"what is reserved", pools(with(aPool("r", "1.2.0.0/24"), reserving("0.0.0.0/0"))), aService("s"), ReasonNoUsablePool, "no IPv4 address: r has no IPv4 addresses that are not reserved"},
		{"a requested pool alone", pools(one, off, theirs("theirs")), aService("s", fromPool("one")), ReasonExhausted, "no IPv4 address: requested pool one is full"},
		{"a requested pool that does not admit it", pools(one, gold), aService("s", fromPool("gold")), ReasonPoolNotAllowed, "requested pool gold does not admit the Service's labels"},
		{"a requested pool that is missing", pools(one, gold), aService("s", fromPool("gone")), ReasonUnknownPool, "requested pool gone does not exist (there are: gold, one)"},
		{"a requested address of another", pools(one), aService("s", asks("1.1.0.0")), ReasonAddressInUse, "requested address 1.1.0.0 is held by another Service"},
		{"a requested address of no pool", pools(one, gold), aService("s", asks("9.9.9.9")), ReasonNotInPool, "requested address 9.9.9.9 is in no pool (there are: gold, one)"},
		{"a requested address that is avoided", pools(with(aPool("a", "1.2.0.0/24"), avoidingBuggyIPs)), aService("s", asks("1.2.0.255")), ReasonNotInPool, "requested address 1.2.0.255 is one that pool a leaves out (avoidBuggyIPs)"},
		{"a requested address beyond a quota", pools(with(aPool("a", "1.2.0.0/24"), limit(1))), aService("s", asks("1.2.0.9")), ReasonQuotaExceeded,
			"requested address 1.2.0.9 is in pool a, which has no room in its quota of 1 for namespaces default (quotas[0])"},
		{"what is reserved beside what is in use", pools(with(aPool("r", "1.2.0.0/29"), reserving("1.2.0.2-1.2.0.255"))), aService("s"), ReasonExhausted, "no IPv4 address: r is full"},
		{"what an older pool has", pools(aPool("old", "1.1.0.0/32"), with(aPool("new", "1.1.0.0/32"), aged(1))), aService("s"), ReasonExhausted,
			"no IPv4 address: old is full; new has no IPv4 addresses that no older pool has"},
		{"what is avoided", pools(with(aPool("a", "1.9.0.0/32"), avoidingBuggyIPs)), aService("s"), ReasonNoUsablePool, "no IPv4 address: a has no IPv4 addresses that avoidBuggyIPs does not leave out"},
		{"what it keeps while a pool that it asks for is full", pools(one, aPool("b", "1.8.0.0/24")), aService("s", holds("1.8.0.7"), fromPool("one")), ReasonExhausted,
			"no IPv4 address: requested pool one is full; keeps 1.8.0.7"},
		{"what it keeps while an address that it asks for is taken", pools(one, aPool("b", "1.8.0.0/24", "2000::/64")), aService("s", prefersDual, holds("2000::7", "1.8.0.7"), asks("1.1.0.0")), ReasonAddressInUse,
			"requested address 1.1.0.0 is held by another Service; keeps 2000::7 and 1.8.0.7"},
		{"no pool at all", nil, aService("s"), ReasonNoPool, "there is no IPAddressPool"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := World{Pools: c.pools, Namespaces: twoNamespaces(), Services: []lb.Service{
				aService("o", holds("1.1.0.0")), aService("x", inNamespace("other"), holds("1.2.0.0")), aService("y", holds("1.2.0.1")),
				aService("six1", ipv6, holds("1000::")), aService("six2", ipv6, holds("1000::1")), c.s}}
			for range 10 { // the order of a map must not show
				w = reversed(w)
				p := find(Plan(w), c.s.Name).Problem
				if p == nil || p.Reason != c.reason || p.Message != c.message {
					t.Fatalf("problem\n got %v\nwant %s %s", p, c.reason, c.message)
				}
			}
		})
	}
}

// TestEachIsToldWhatItWouldBeToldAlone: many Services wait, and what one is told of the pools does not depend on who else waits.
func TestEachIsToldWhatItWouldBeToldAlone(t *testing.T) {
	pools := []lb.Pool{
		pinnedPool("gold", lb.PoolAllocation{ServiceSelectors: selects("tier", "gold")}, "1.1.0.0/32"),
		pinnedPool("theirs", lb.PoolAllocation{Namespaces: []string{"other"}}, "1.2.0.0/32"),
		with(aPool("few", "1.3.0.0/24", "1000::/127"), quotas(lb.Quota{Max: 0, Namespaces: []string{"default"}})), aPool("six", "2000::/127"),
		with(aPool("tight", "1.4.0.0/32", "3000::/128"), quotas(lb.Quota{Max: 1, Namespaces: []string{"default"}})),
	}
	half := aService("half", requiresDual, holds("2000::1")) // lacks one family, where "both" lacks two
	held := []lb.Service{half, aService("o6", inNamespace("other"), holds("1.4.0.0")), aService("o7", inNamespace("other"), ipv6, holds("3000::")),
		aService("o1", holds("1.1.0.0")), aService("o2", holds("1.2.0.0")), aService("o3", ipv6, holds("2000::")), aService("o4", ipv6, holds("1000::")), aService("o5", ipv6, holds("1000::1"))}
	tier := labelled("tier", "gold")
	waiting := []lb.Service{
		aService("plain"), aService("gold", tier), aService("six", ipv6), aService("six-gold", ipv6, tier), aService("six-other", ipv6, inNamespace("other")),
		aService("either", prefersDual), aService("either-six-first", prefersDual, ipv6First), aService("both", requiresDual), aService("both-other", requiresDual, inNamespace("other"), tier),
		aService("named", fromPool("six"), ipv6), aService("named-few", fromPool("few")), aService("plain-too"),
	}
	r := Plan(World{Pools: pools, Namespaces: twoNamespaces(), Services: slices.Concat(held, waiting)})
	full := map[string]int{}
	for _, u := range Plan(World{Pools: pools, Namespaces: twoNamespaces(), Services: held}).Pools {
		full[u.Pool] = u.Waiting * (1 - len(waiting))
	}
	for _, s := range waiting {
		alone := Plan(World{Pools: pools, Namespaces: twoNamespaces(), Services: append(slices.Clone(held), s)})
		for _, u := range alone.Pools {
			full[u.Pool] += u.Waiting
		}
		for _, name := range []lb.Name{s.Name, half.Name} {
			got, want := find(r, name).Problem, find(alone, name).Problem
			if got == nil || want == nil || *got != *want {
				t.Errorf("%s\n told %v\nalone %v", name, got, want)
			}
		}
	}
	for _, u := range r.Pools {
		if u.Waiting != full[u.Pool] {
			t.Errorf("%d wait at %s, want %d", u.Waiting, u.Pool, full[u.Pool])
		}
	}
}

func aged(n int) func(*lb.Pool) { return func(p *lb.Pool) { p.Created = at(n) } }

func named(name string) func(*lb.Pool) { return func(p *lb.Pool) { p.Name = name } }
