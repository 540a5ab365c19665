package allocate

import (
	"strings"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func pinnedPool(name string, a lb.PoolAllocation, ranges ...string) lb.Pool {
	p := aPool(name, ranges...)
	p.Allocation = &a
	return p
}

func selects(k string, v ...string) []lb.Selector {
	return []lb.Selector{{{Key: k, Op: lb.In, Values: v}}}
}

func TestRequests(t *testing.T) {
	manual := aPool("manual", "1.2.4.0/30", "2000::/126")
	manual.AutoAssign = false
	pools := []lb.Pool{aPool("auto", "1.2.3.0/30", "1000::/126"), manual}
	runPlans(t, []planTest{
		{"specific address", pools, []lb.Service{aService("s", asks("1.2.3.2"))}, "s=1.2.3.2"},
		{"infeasible address", pools, []lb.Service{aService("s", asks("9.9.9.9"))}, "s=-:NotInPool"},
		{"an address of a pool without autoAssign", pools, []lb.Service{aService("s", asks("1.2.4.2"))}, "s=1.2.4.2"},
		{"wrong family", pools, []lb.Service{aService("s", asks("1000::1"))}, "s=-:WrongFamily"},
		{"both families asked of a single-stack Service", pools, []lb.Service{aService("s", asks("1.2.3.1", "1000::1"))}, "s=-:WrongFamily"},
		{"both families", pools, []lb.Service{aService("s", prefersDual, asks("1.2.3.1", "1000::1"))}, "s=1.2.3.1,1000::1"},
		{"both families from two pools", pools, []lb.Service{aService("s", requiresDual, asks("1.2.3.1", "2000::1"))}, "s=1.2.3.1,2000::1"},
		{"order follows ipFamilies, not the request", pools, []lb.Service{aService("s", prefersDual, asks("1000::1", "1.2.3.1"))}, "s=1.2.3.1,1000::1"},
		{"one address asked, the other family from its pool", pools, []lb.Service{aService("s", requiresDual, asks("1.2.4.2"))}, "s=1.2.4.2,2000::"},
		{"a request is met as a whole or not at all", pools, []lb.Service{aService("o", created(-1), holds("1.2.3.1")), aService("s", prefersDual, asks("1.2.3.1", "1000::1"))}, "o=1.2.3.1 s=-:AddressInUse"},
		{"specific pool", pools, []lb.Service{aService("s", fromPool("manual"))}, "s=1.2.4.0"},
		{"switch pool", pools, []lb.Service{aService("s", fromPool("manual"), holds("1.2.3.0"))}, "s=1.2.4.0"},
		{"unknown pool", pools, []lb.Service{aService("s", fromPool("nope"))}, "s=-:UnknownPool"},
		{"address and pool agree", pools, []lb.Service{aService("s", fromPool("manual"), asks("1.2.4.3"))}, "s=1.2.4.3"},
		{"address and pool are not compatible", pools, []lb.Service{aService("s", fromPool("manual"), asks("1.2.3.3"))}, "s=-:PoolMismatch"},
		{"autoAssign off is never used unasked", []lb.Pool{manual}, []lb.Service{aService("s")}, "s=-:NoUsablePool"},
		{"requests come before the rest", []lb.Pool{aPool("p", "1.2.3.1/32")}, []lb.Service{aService("a", created(1)), aService("z", created(2), asks("1.2.3.1"))}, "a=-:Exhausted z=1.2.3.1"},
		{"pool requests come before the rest", []lb.Pool{aPool("p", "1.2.3.1/32")}, []lb.Service{aService("a", created(1)), aService("z", created(2), fromPool("p"))}, "a=-:Exhausted z=1.2.3.1"},
		{"the older of two requests wins", pools, []lb.Service{aService("a", created(2), asks("1.2.3.1")), aService("z", created(1), asks("1.2.3.1"))}, "a=-:AddressInUse z=1.2.3.1"},
		{"an address left by a switch of pools goes to who waits for it", []lb.Pool{aPool("p", "1.2.3.1/32"), aPool("q", "1.2.4.1/32")}, []lb.Service{
			aService("mover", created(3), holds("1.2.3.1"), fromPool("q")), aService("named", created(2), asks("1.2.3.1")), aService("pooled", created(1), fromPool("p"))},
			"mover=1.2.4.1 named=1.2.3.1 pooled=-:Exhausted"},
	})
}

func TestPinnedPools(t *testing.T) {
	ns := func(name string, prio int, r string, list ...string) lb.Pool {
		return pinnedPool(name, lb.PoolAllocation{Priority: prio, Namespaces: list}, r)
	}
	open := aPool("a-open", "1.0.0.0/24")
	nobody := pinnedPool("nobody", lb.PoolAllocation{NamespaceSelectors: selects("team", "none")}, "1.9.0.0/24")
	byLabel := pinnedPool("label", lb.PoolAllocation{ServiceSelectors: selects("tier", "gold")}, "1.8.0.0/24")
	both := pinnedPool("both", lb.PoolAllocation{Namespaces: []string{"default"}, ServiceSelectors: selects("tier", "gold")}, "1.7.0.0/24")
	selected := pinnedPool("selected", lb.PoolAllocation{NamespaceSelectors: selects("team", "a")}, "1.6.0.0/24")
	gold := labelled("tier", "gold")
	runPlans(t, []planTest{
		{"a pinned pool comes before an open one", []lb.Pool{open, ns("z", 0, "1.1.0.0/24", "default")}, []lb.Service{aService("s")}, "s=1.1.0.0"},
		{"the lower priority number comes first", []lb.Pool{ns("a", 2, "1.1.0.0/24", "default"), ns("z", 1, "1.2.0.0/24", "default")}, []lb.Service{aService("s")}, "s=1.2.0.0"},
		{"no priority comes last", []lb.Pool{ns("a", 0, "1.1.0.0/24", "default"), ns("z", 9, "1.2.0.0/24", "default")}, []lb.Service{aService("s")}, "s=1.2.0.0"},
		{"equal priorities go by name", []lb.Pool{ns("z", 1, "1.1.0.0/24", "default"), ns("a", 1, "1.2.0.0/24", "default")}, []lb.Service{aService("s")}, "s=1.2.0.0"},
		{"a full pinned pool falls back to the next", []lb.Pool{open, ns("z", 1, "1.1.0.0/32", "default")}, []lb.Service{aService("s"), aService("o", holds("1.1.0.0"))}, "o=1.1.0.0 s=1.0.0.0"},
		{"another namespace is not admitted", []lb.Pool{ns("z", 1, "1.1.0.0/24", "other")}, []lb.Service{aService("s")}, "s=-:NoUsablePool"},
		{"not by annotation either", []lb.Pool{ns("z", 1, "1.1.0.0/24", "other")}, []lb.Service{aService("s", fromPool("z"))}, "s=-:PoolNotAllowed"},
		{"not by request either", []lb.Pool{ns("z", 1, "1.1.0.0/24", "other")}, []lb.Service{aService("s", asks("1.1.0.7"))}, "s=-:PoolNotAllowed"},
		{"pinning reserves the pool, not the Service", []lb.Pool{open, ns("z", 1, "1.1.0.0/24", "default")}, []lb.Service{aService("s", asks("1.0.0.9"))}, "s=1.0.0.9"},
		{"a selected namespace", []lb.Pool{selected}, []lb.Service{aService("in"), aService("out", inNamespace("other"))}, "in=1.6.0.0 out=-:NoUsablePool"},
		{"selectors that match no namespace admit nobody", []lb.Pool{nobody}, []lb.Service{aService("a"), aService("b", fromPool("nobody")), aService("c", asks("1.9.0.1"))}, "a=-:NoUsablePool b=-:PoolNotAllowed c=-:PoolNotAllowed"},
		{"an unknown namespace matches no selector", []lb.Pool{pinnedPool("p", lb.PoolAllocation{NamespaceSelectors: []lb.Selector{{{Key: "team", Op: lb.DoesNotExist}}}}, "1.1.0.0/24")}, []lb.Service{aService("s", inNamespace("unknown"))}, "s=-:NoUsablePool"},
		{"same service label", []lb.Pool{byLabel}, []lb.Service{aService("s", gold)}, "s=1.8.0.0"},
		{"different service label", []lb.Pool{byLabel}, []lb.Service{aService("s")}, "s=-:NoUsablePool"},
		{"namespace and label", []lb.Pool{both}, []lb.Service{aService("s", gold)}, "s=1.7.0.0"},
		{"namespace and incompatible label", []lb.Pool{both}, []lb.Service{aService("s")}, "s=-:NoUsablePool"},
		{"label and incompatible namespace", []lb.Pool{both}, []lb.Service{aService("s", gold, inNamespace("other"))}, "s=-:NoUsablePool"},
		{"priority without any selector admits everybody", []lb.Pool{pinnedPool("p", lb.PoolAllocation{Priority: 5}, "1.1.0.0/24"), open}, []lb.Service{aService("s")}, "s=1.1.0.0"},
	})
}

func TestExplanationsNameEveryPool(t *testing.T) {
	off := aPool("off", "1.5.0.0/24")
	off.AutoAssign = false
	w := World{
		Pools: []lb.Pool{
			aPool("full", "1.1.0.0/31"), aPool("six", "1000::/64"), off,
			pinnedPool("theirs", lb.PoolAllocation{Namespaces: []string{"other"}}, "1.4.0.0/24"),
			pinnedPool("gold", lb.PoolAllocation{ServiceSelectors: selects("tier", "gold")}, "1.3.0.0/24"),
		},
		Services: []lb.Service{aService("a", holds("1.1.0.0")), aService("b", holds("1.1.0.1")), aService("s")},
	}
	got := find(Plan(w), lb.Name{Namespace: "default", Name: "s"}).Problem
	want := "no IPv4 address: full is full (2 IPv4 in use); gold does not admit the Service's labels; off has autoAssign off; " +
		"six has no IPv4 addresses; theirs does not admit namespace default"
	if got == nil || got.Message != want {
		t.Errorf("problem\n got %v\nwant %s", got, want)
	}
	for _, c := range []struct{ name, part string }{
		{"other's", "held by default/a"}, {"missing", "(there are: full, gold, off, six, theirs)"},
	} {
		req := map[string]string{"other's": "1.1.0.0", "missing": "9.9.9.9"}[c.name]
		w.Services[2] = aService("s", asks(req))
		if p := find(Plan(w), lb.Name{Namespace: "default", Name: "s"}).Problem; p == nil || !strings.Contains(p.Message, c.part) {
			t.Errorf("%s: problem = %v, want it to say %q", c.name, p, c.part)
		}
	}
}
