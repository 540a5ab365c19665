package allocate

import (
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func quotas(list ...lb.Quota) func(*lb.Pool) { return func(p *lb.Pool) { p.Quotas = list } }

func TestQuotas(t *testing.T) {
	limited := func(n int, namespaces ...string) lb.Pool {
		return with(aPool("p", "1.2.3.0/29", "1000::/125"), quotas(lb.Quota{Max: n, Namespaces: namespaces}))
	}
	one := []lb.Pool{limited(1, "default")}
	open := aPool("q", "1.2.4.0/29")
	selected := []lb.Pool{with(aPool("p", "1.2.3.0/29"), quotas(lb.Quota{Max: 1, NamespaceSelectors: selects("team", "a")}))}
	other := inNamespace("other")
	runPlans(t, []planTest{
		{"one over it waits", one, []lb.Service{aService("a"), aService("b")}, "a=1.2.3.0 b=-:QuotaExceeded"},
		{"or gets an address elsewhere", []lb.Pool{one[0], open}, []lb.Service{aService("a"), aService("b")}, "a=1.2.3.0 b=1.2.4.0"},
		{"other namespaces are free", one, []lb.Service{aService("a"), aService("b", other), aService("c", other)}, "a=1.2.3.0 b=1.2.3.1 c=1.2.3.2"},
		{"a selected namespace", selected, []lb.Service{aService("a"), aService("b"), aService("c", other), aService("d", other)}, "a=1.2.3.0 b=-:QuotaExceeded c=1.2.3.1 d=1.2.3.2"},
		{"the namespaces of one quota count together", []lb.Pool{limited(2, "default", "other")}, []lb.Service{aService("a", created(1)), aService("b", created(2), other), aService("c", created(3))}, "a=1.2.3.0 c=-:QuotaExceeded b=1.2.3.1"},
		{"a quota without namespaces is for all", []lb.Pool{limited(1)}, []lb.Service{aService("a", created(1)), aService("b", created(2), other)}, "a=1.2.3.0 b=-:QuotaExceeded"},
		{"all quotas must hold", []lb.Pool{with(aPool("p", "1.2.3.0/29"), quotas(lb.Quota{Max: 9}, lb.Quota{Max: 1, Namespaces: []string{"default"}}))}, []lb.Service{aService("a"), aService("b")}, "a=1.2.3.0 b=-:QuotaExceeded"},
		{"what is held is never taken", one, []lb.Service{aService("a", holds("1.2.3.4")), aService("b", holds("1.2.3.5")), aService("c")}, "a=1.2.3.4 b=1.2.3.5 c=-:QuotaExceeded"},
		{"a request by number is under it", one, []lb.Service{aService("a", asks("1.2.3.4")), aService("b", asks("1.2.3.5"))}, "a=1.2.3.4 b=-:QuotaExceeded"},
		{"a request for the pool too", one, []lb.Service{aService("a", fromPool("p")), aService("b", fromPool("p"))}, "a=1.2.3.0 b=-:QuotaExceeded"},
		{"a shared address counts once", one, []lb.Service{aService("a", key("k")), aService("b", key("k"), ports("TCP/1")), aService("c", key("k"))}, "a=1.2.3.0 b=1.2.3.0 c=-:QuotaExceeded"},
		{"who is over it still shares what it has", one, []lb.Service{aService("a", holds("1.2.3.4"), key("k")), aService("b", holds("1.2.3.5")), aService("c", key("k"), ports("TCP/1"))}, "a=1.2.3.4 b=1.2.3.5 c=1.2.3.4"},
		{"an address shared with another namespace counts in both", []lb.Pool{limited(0, "default")}, []lb.Service{aService("a", other, key("k")), aService("b", created(1), key("k"), ports("TCP/1"))}, "b=-:QuotaExceeded a=1.2.3.0"},
		{"moving inside the pool needs no more room", one, []lb.Service{aService("a", holds("1.2.3.4"), asks("1.2.3.5"))}, "a=1.2.3.5"},
		{"who moves away makes room", []lb.Pool{one[0], open}, []lb.Service{aService("a", holds("1.2.3.4"), asks("1.2.4.1")), aService("b", fromPool("p"))}, "a=1.2.4.1 b=1.2.3.0"},
		{"a dual-stack Service needs two", []lb.Pool{limited(2, "default")}, []lb.Service{aService("a", requiresDual), aService("b")}, "a=1.2.3.0,1000:: b=-:QuotaExceeded"},
		{"Require with room for one gets none", one, []lb.Service{aService("a", requiresDual)}, "a=-:QuotaExceeded"},
		{"Prefer with room for one gets one", one, []lb.Service{aService("a", prefersDual)}, "a=1.2.3.0"},
		{"Require with room for one takes the other family elsewhere", []lb.Pool{one[0], open}, []lb.Service{aService("a", requiresDual)}, "a=1.2.4.0,1000::"},
		{"two requested addresses need room for two", one, []lb.Service{aService("a", prefersDual, asks("1.2.3.1", "1000::1"))}, "a=-:QuotaExceeded"},
		{"0 admits none", []lb.Pool{limited(0, "default")}, []lb.Service{aService("a")}, "a=-:QuotaExceeded"},
	})
	r := Plan(World{Pools: []lb.Pool{one[0], aPool("six", "2000::/64")}, Services: []lb.Service{aService("a"), aService("b"), aService("c", asks("1.2.3.4"), created(1))}})
	if got, want := find(r, lb.Name{Namespace: "default", Name: "a"}).Problem.Message,
		"no IPv4 address: p has no room in its quota of 1 for namespaces default (quotas[0]); six has no IPv4 addresses"; got != want {
		t.Errorf("message\n got %s\nwant %s", got, want)
	}
	if u := usage(t, r, "p"); u.Waiting != 0 {
		t.Errorf("waiting = %d; who is over a quota does not wait for a free address", u.Waiting)
	}
}
