package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// crowd is n Services; held makes them hold addresses of 10.0.0.0/8 already.
func crowd(n int, held bool) []lb.Service {
	out := make([]lb.Service, 0, n)
	for i := range n {
		s := aService(fmt.Sprintf("s%05d", i), created(i))
		if held {
			s.Held = []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
		}
		out = append(out, s)
	}
	return out
}

// TestCostDoesNotGrowWithThePool counts the addresses that are looked at, so that no clock is needed to see it.
func TestCostDoesNotGrowWithThePool(t *testing.T) {
	steps := func(p lb.Pool, services []lb.Service) int {
		pl := newPlanner(World{Pools: []lb.Pool{p}, Services: services})
		pl.keepHeld()
		pl.serveAll()
		return pl.steps
	}
	six := crowd(1000, false)
	for i := range six {
		ipv6(&six[i])
	}
	used := crowd(58982, true) // 90 % of a /16
	both := slices.Clone(used)
	for i := range 1000 {
		both = append(both, aService(fmt.Sprintf("new%d", i), created(100000+i)))
	}
	for _, c := range []struct {
		name     string
		pool     lb.Pool
		services []lb.Service
		most     int // steps: each address that is in use is passed once, and each search ends at one that is free
	}{
		{"a /20", aPool("p", "10.0.0.0/20"), crowd(1000, false), 2000},
		{"a /8", aPool("p", "10.0.0.0/8"), crowd(1000, false), 2000},
		{"an IPv6 /32", aPool("p", "2001:db8::/32"), six, 2000},
		{"a /8 of which all but the end is reserved", with(aPool("p", "10.0.0.0/8"), reserving("10.0.0.0-10.255.0.0")), crowd(1000, false), 2000},
		{"90 % of a /16 in use", aPool("p", "10.0.0.0/16"), both, 58982 + 2000},
		{"90 % of a /16 in use, as part of a /8", aPool("p", "10.0.0.0/8"), both, 58982 + 2000},
		{"a full pool", aPool("p", "10.0.0.0/24"), crowd(1000, false), 2000},
	} {
		if got := steps(c.pool, c.services); got > c.most || got == 0 {
			t.Errorf("%s: %d steps, want at most %d", c.name, got, c.most)
		}
	}
}

// TestRequestedAddressesNeedNoSearch: 1,000 Services that ask by number look at no other address.
func TestRequestedAddressesNeedNoSearch(t *testing.T) {
	s := crowd(1000, false)
	for i := range s {
		s[i].Requested = []netip.Addr{netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)})}
	}
	p := newPlanner(World{Pools: []lb.Pool{aPool("p", "10.0.0.0/8")}, Services: s})
	p.keepHeld()
	p.serveAll()
	if p.steps != 0 || p.services[999].at[v4].addr != s[999].Requested[0] {
		t.Errorf("%d steps, the last has %v", p.steps, p.services[999].at[v4].addr)
	}
}

// BenchmarkPlan10000 plans 10,000 Services. The figures of the pools must be alike: no cost grows with the size of a pool.
func BenchmarkPlan10000(b *testing.B) {
	v6 := crowd(10000, false)
	for i := range v6 {
		ipv6(&v6[i])
	}
	sharing := crowd(10000, false)
	for i := range sharing {
		sharing[i].SharingKey = "k"
	}
	used := crowd(58982, true) // of 65536
	for i := range 1000 {
		used = append(used, aService(fmt.Sprintf("t%05d", i), created(100000+i)))
	}
	limited := aPool("p", "10.0.0.0/8")
	limited.Quotas = []lb.Quota{{Max: 5000}}
	var small []lb.Pool
	for i := range 100 {
		small = append(small, aPool(fmt.Sprintf("p%02d", i), fmt.Sprintf("10.%d.0.0-10.%d.0.49", i, i)))
	}
	one := func(p lb.Pool) []lb.Pool { return []lb.Pool{p} }
	for _, c := range []struct {
		name     string
		pools    []lb.Pool
		services []lb.Service
	}{
		{"1000 new in a 16-bit pool of which 90 % are used", one(aPool("p", "10.0.0.0/16")), used},
		{"1000 new in an 8-bit pool of which as many are used", one(aPool("p", "10.0.0.0/8")), used},
		{"half over a quota", one(limited), crowd(10000, false)},
		{"new in a 16-bit pool", one(aPool("p", "10.0.0.0/16")), crowd(10000, false)},
		{"new in an 8-bit pool", one(aPool("p", "10.0.0.0/8")), crowd(10000, false)},
		{"new in an IPv6 32-bit pool", one(aPool("p", "2001:db8::/32")), v6},
		{"all held", one(aPool("p", "10.0.0.0/8")), crowd(10000, true)},
		{"half waiting", one(aPool("p", "10.0.0.0-10.0.19.135")), crowd(10000, false)},
		{"half waiting, 100 pools", small, crowd(10000, false)},
		{"one sharing key, one port", one(aPool("p", "10.0.0.0/8")), sharing},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := World{Pools: c.pools, Services: c.services}
			b.ReportAllocs()
			for b.Loop() {
				Plan(w)
			}
		})
	}
}
