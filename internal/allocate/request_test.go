package allocate

import (
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
		{"an address of a pool without autoAssign", pools, []lb.Service{aService("s", asks("1.2.4.2"))}, "s=1.2.4.2"},
		{"both families from two pools", pools, []lb.Service{aService("s", requiresDual, asks("1.2.3.1", "2000::1"))}, "s=1.2.3.1,2000::1"},
		{"order follows ipFamilies, not the request", pools, []lb.Service{aService("s", prefersDual, asks("1000::1", "1.2.3.1"))}, "s=1.2.3.1,1000::1"},
		{"one address asked, the other family from its pool", pools, []lb.Service{aService("s", requiresDual, asks("1.2.4.2"))}, "s=1.2.4.2,2000::"},
		{"a request is met as a whole or not at all", pools, []lb.Service{aService("o", created(-1), holds("1.2.3.1")), aService("s", prefersDual, asks("1.2.3.1", "1000::1"))}, "o=1.2.3.1 s=-:AddressInUse"},
		{"address and pool agree", pools, []lb.Service{aService("s", fromPool("manual"), asks("1.2.4.3"))}, "s=1.2.4.3"},
		{"requests come before the rest", []lb.Pool{aPool("p", "1.2.3.1/32")}, []lb.Service{aService("a", created(1)), aService("z", created(2), asks("1.2.3.1"))}, "a=-:Exhausted z=1.2.3.1"},
		{"pool requests come before the rest", []lb.Pool{aPool("p", "1.2.3.1/32")}, []lb.Service{aService("a", created(1)), aService("z", created(2), fromPool("p"))}, "a=-:Exhausted z=1.2.3.1"},
		{"the older of two requests wins", pools, []lb.Service{aService("a", created(2), asks("1.2.3.1")), aService("z", created(1), asks("1.2.3.1"))}, "a=-:AddressInUse z=1.2.3.1"},
		{"an address left by a switch of pools goes to who waits for it", []lb.Pool{aPool("p", "1.2.3.1/32"), aPool("q", "1.2.4.1/32")}, []lb.Service{
			aService("mover", created(3), holds("1.2.3.1"), fromPool("q")), aService("named", created(2), asks("1.2.3.1")), aService("pooled", created(1), fromPool("p"))},
			"mover=1.2.4.1 named=1.2.3.1 pooled=-:Exhausted"},
		{"to the older of two who wait for it, also when the younger is looked at next", pools, []lb.Service{
			aService("old", created(1), asks("1.2.3.1")), aService("mover", created(2), holds("1.2.3.1"), asks("1.2.3.2")), aService("young", created(3), asks("1.2.3.1"))},
			"mover=1.2.3.2 old=1.2.3.1 young=-:AddressInUse"},
		{"to who asks for it by number, also when who asks for the pool is looked at next", []lb.Pool{aPool("p", "1.2.3.1/32"), aPool("q", "1.2.4.1/32")}, []lb.Service{
			aService("mover", created(1), holds("1.2.3.1"), fromPool("q")), aService("named", created(2), asks("1.2.3.1")), aService("pooled", created(3), fromPool("p"))},
			"mover=1.2.4.1 named=1.2.3.1 pooled=-:Exhausted"},
	})
}

func TestPinnedPools(t *testing.T) {
	ns := func(name string, prio int, r string, list ...string) lb.Pool {
		return pinnedPool(name, lb.PoolAllocation{Priority: prio, Namespaces: list}, r)
	}
	open := aPool("a-open", "1.0.0.0/24")
	both := pinnedPool("both", lb.PoolAllocation{Namespaces: []string{"default"}, ServiceSelectors: selects("tier", "gold")}, "1.7.0.0/24")
	selected := pinnedPool("selected", lb.PoolAllocation{NamespaceSelectors: selects("team", "a")}, "1.6.0.0/24")
	gold := labelled("tier", "gold")
	runPlans(t, []planTest{
		{"a full pinned pool falls back to the next", []lb.Pool{open, ns("z", 1, "1.1.0.0/32", "default")}, []lb.Service{aService("s"), aService("o", holds("1.1.0.0"))}, "o=1.1.0.0 s=1.0.0.0"},
		{"another namespace is not admitted", []lb.Pool{ns("z", 1, "1.1.0.0/24", "other")}, []lb.Service{aService("s")}, "s=-:NoUsablePool"},
		{"not by annotation either", []lb.Pool{ns("z", 1, "1.1.0.0/24", "other")}, []lb.Service{aService("s", fromPool("z"))}, "s=-:PoolNotAllowed"},
		{"not by request either", []lb.Pool{ns("z", 1, "1.1.0.0/24", "other")}, []lb.Service{aService("s", asks("1.1.0.7"))}, "s=-:PoolNotAllowed"},
		{"pinning reserves the pool, not the Service", []lb.Pool{open, ns("z", 1, "1.1.0.0/24", "default")}, []lb.Service{aService("s", asks("1.0.0.9"))}, "s=1.0.0.9"},
		{"a pinned pool with autoAssign off serves nobody unasked", []lb.Pool{open, with(ns("z", 1, "1.1.0.0/24", "default"), withoutAutoAssign)}, []lb.Service{aService("s"), aService("t", fromPool("z"))}, "s=1.0.0.0 t=1.1.0.0"},
		{"a second family does not come from the pool of the first that admits it no more", []lb.Pool{pinnedPool("z", lb.PoolAllocation{Namespaces: []string{"other"}}, "1.1.0.0/24", "1000::/64")},
			[]lb.Service{aService("s", prefersDual, holds("1.1.0.7"), asks("1.1.0.7"))}, "s=1.1.0.7:PoolNotAllowed"},
		{"a selected namespace", []lb.Pool{selected}, []lb.Service{aService("in"), aService("out", inNamespace("other"))}, "in=1.6.0.0 out=-:NoUsablePool"},
		{"an unknown namespace matches no selector", []lb.Pool{pinnedPool("p", lb.PoolAllocation{NamespaceSelectors: []lb.Selector{{{Key: "team", Op: lb.DoesNotExist}}}}, "1.1.0.0/24")}, []lb.Service{aService("s", inNamespace("unknown"))}, "s=-:NoUsablePool"},
		{"namespace and incompatible label", []lb.Pool{both}, []lb.Service{aService("s")}, "s=-:NoUsablePool"},
		{"label and incompatible namespace", []lb.Pool{both}, []lb.Service{aService("s", gold, inNamespace("other"))}, "s=-:NoUsablePool"},
	})
}
