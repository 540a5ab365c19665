package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestSharingAcrossPlans(t *testing.T) {
	four := []lb.Pool{aPool("p", "1.2.3.0/30")}
	two := []lb.Pool{aPool("p", "1.2.3.1/32"), aPool("q", "1.2.4.1/32")}
	taken := []lb.Service{aService("s2", holds("1.2.3.1")), aService("s3", holds("1.2.3.2")), aService("s4", holds("1.2.3.3"))}
	add := func(list ...lb.Service) []lb.Service { return append(list, taken...) }
	web, dns := ports("TCP/80"), ports("UDP/53")
	runPlans(t, []planTest{
		{"the last address is shared by those who want to", four, add(aService("s5", key("k"), web), aService("s6", key("k"), dns)), "s2=1.2.3.1 s3=1.2.3.2 s4=1.2.3.3 s5=1.2.3.0 s6=1.2.3.0"},
		{"not by a third with the port of the first", four, add(aService("s5", key("k"), web), aService("s6", key("k"), dns), aService("s7", key("k"), web)), "s2=1.2.3.1 s3=1.2.3.2 s4=1.2.3.3 s5=1.2.3.0 s6=1.2.3.0 s7=-:Exhausted"},
		{"Services of two namespaces share", four, []lb.Service{aService("a", key("k"), web), aService("b", key("k"), dns, inNamespace("other"))}, "a=1.2.3.0 b=1.2.3.0"},
		{"the group's address comes before a lower free one", four, []lb.Service{aService("a", holds("1.2.3.3"), key("k"), web), aService("b", key("k"), dns)}, "a=1.2.3.3 b=1.2.3.3"},
		{"one that leaves opens its port to the others", two, []lb.Service{
			aService("mover", created(3), holds("1.2.3.1"), key("k"), web, fromPool("q")), aService("stays", created(1), holds("1.2.3.1"), key("k"), dns),
			aService("waits", created(2), key("k"), web, fromPool("p"))}, "mover=1.2.4.1 stays=1.2.3.1 waits=1.2.3.1"},
		{"two that do not fit together any more: the older keeps", four, []lb.Service{aService("a", created(2), holds("1.2.3.3"), key("k"), web), aService("z", created(1), holds("1.2.3.3"), key("k"), web)}, "a=1.2.3.0 z=1.2.3.3"},
		{"one of three that does not fit goes alone", four, []lb.Service{aService("a", created(1), holds("1.2.3.3"), key("k"), web), aService("b", created(2), holds("1.2.3.3"), key("k"), web), aService("c", created(3), holds("1.2.3.3"), key("k"), dns)}, "a=1.2.3.3 b=1.2.3.0 c=1.2.3.3"},
		{"dual stack is shared in both families", []lb.Pool{aPool("p", "1.2.3.0/30", "1000::/126")}, []lb.Service{aService("a", requiresDual, key("k"), web), aService("b", requiresDual, key("k"), dns)}, "a=1.2.3.0,1000:: b=1.2.3.0,1000::"},
	})
}

func TestMixedFamiliesInOnePool(t *testing.T) {
	pools := []lb.Pool{aPool("p", "1.2.3.0/31", "1000::/127")}
	runPlans(t, []planTest{
		{"dual, IPv4 and IPv6 beside each other", pools, []lb.Service{aService("s1", requiresDual), aService("s2"), aService("s3", ipv6)}, "s1=1.2.3.0,1000:: s2=1.2.3.1 s3=1000::1"},
		{"dual waits while one family is full", pools, []lb.Service{aService("s1", holds("1.2.3.0", "1000::"), requiresDual), aService("s2", holds("1.2.3.1")), aService("s3", requiresDual)}, "s1=1.2.3.0,1000:: s2=1.2.3.1 s3=-:Exhausted"},
		{"and is served when that Service goes", pools, []lb.Service{aService("s1", holds("1.2.3.0", "1000::"), requiresDual), aService("s3", requiresDual)}, "s1=1.2.3.0,1000:: s3=1.2.3.1,1000::1"},
		{"an IPv4 Service and an IPv6 pool", []lb.Pool{aPool("six", "1000::/64")}, []lb.Service{aService("s")}, "s=-:NoUsablePool"},
	})
}

func TestIPv6PoolsAreEditedAsIPv4Ones(t *testing.T) {
	s := []lb.Service{aService("s", ipv6, holds("1000::2"))}
	runPlans(t, []planTest{
		{"expand", []lb.Pool{aPool("p", "1000::/16")}, s, "s=1000::2"},
		{"shrink around the address", []lb.Pool{aPool("p", "1000::2/128")}, s, "s=1000::2"},
		{"shrink", []lb.Pool{aPool("p", "1000::/127")}, s, "s=1000::"},
		{"rename", []lb.Pool{aPool("z", "1000::/126")}, s, "s=1000::2"},
		{"split", []lb.Pool{aPool("a", "1000::/127"), aPool("z", "1000::2/127")}, s, "s=1000::2"},
		{"avoidBuggyIPs means nothing for IPv6", []lb.Pool{with(aPool("p", "1000::/126"), func(p *lb.Pool) { p.AvoidBuggyIPs = true })}, []lb.Service{aService("s", ipv6)}, "s=1000::"},
	})
}

func TestOrderOfService(t *testing.T) {
	one := []lb.Pool{aPool("p", "1.2.3.1/32")}
	runPlans(t, []planTest{
		{"by creation time", one, []lb.Service{aService("a", created(2)), aService("z", created(1))}, "a=-:Exhausted z=1.2.3.1"},
		{"then by name", one, []lb.Service{aService("b"), aService("a")}, "a=1.2.3.1 b=-:Exhausted"},
		{"the namespace before the name", one, []lb.Service{aService("a", inNamespace("other")), aService("z")}, "z=1.2.3.1 a=-:Exhausted"},
		{"whoever holds before the older one", one, []lb.Service{aService("a", created(1)), aService("z", created(9), holds("1.2.3.1"))}, "a=-:Exhausted z=1.2.3.1"},
		{"whoever holds before one who asks by number", one, []lb.Service{aService("a", created(1), asks("1.2.3.1")), aService("z", created(9), holds("1.2.3.1"))}, "a=-:AddressInUse z=1.2.3.1"},
		{"a number before a pool, a pool before none", []lb.Pool{aPool("p", "1.2.3.1-1.2.3.2")}, []lb.Service{aService("a", created(1)), aService("b", created(2), fromPool("p")), aService("c", created(3), asks("1.2.3.1"))}, "a=-:Exhausted b=1.2.3.2 c=1.2.3.1"},
		{"pools without rank by name", []lb.Pool{aPool("z", "1.2.3.0/30"), aPool("a", "1.2.4.0/30")}, []lb.Service{aService("s")}, "s=1.2.4.0"},
	})
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
