package allocate

import (
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// A planTest is a world and what say() says of its plan. Services whose order matters are given with created(n).
type planTest struct {
	name     string
	pools    []lb.Pool
	services []lb.Service
	want     string
}

func runPlans(t *testing.T, tests []planTest) {
	t.Helper()
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			w := World{Pools: c.pools, Services: c.services, Namespaces: map[string]map[string]string{
				"default": {"team": "a"}, "other": {"team": "b"},
			}}
			if got := say(Plan(w)); got != c.want {
				t.Errorf("plan\n got %s\nwant %s", got, c.want)
			}
			if err := checkInvariants(w); err != nil {
				t.Error(err)
			}
		})
	}
}

var small = []lb.Pool{aPool("test", "1.2.3.4/31"), aPool("test-v6", "1000::4/127")}

func TestAssignment(t *testing.T) {
	web, dns := ports("TCP/80"), ports("TCP/53")
	buggyFree := aPool("b", "1.2.3.0/24")
	buggyFree.AvoidBuggyIPs = true
	b := []lb.Pool{buggyFree}
	runPlans(t, []planTest{
		{"assign s1", small, []lb.Service{aService("s1", asks("1.2.3.4"))}, "s1=1.2.3.4"},
		{"s1 keeps what it has", small, []lb.Service{aService("s1", asks("1.2.3.4"), holds("1.2.3.4"))}, "s1=1.2.3.4"},
		{"s2 cannot grab s1's address", small, []lb.Service{aService("s1", holds("1.2.3.4")), aService("s2", asks("1.2.3.4"))}, "s1=1.2.3.4 s2=-:AddressInUse"},
		{"s2 can get the other address", small, []lb.Service{aService("s1", holds("1.2.3.4")), aService("s2", asks("1.2.3.5"))}, "s1=1.2.3.4 s2=1.2.3.5"},
		{"s1 cannot grab s2's address and keeps its own", small, []lb.Service{aService("s1", holds("1.2.3.4"), asks("1.2.3.5")), aService("s2", holds("1.2.3.5"))}, "s1=1.2.3.4:AddressInUse s2=1.2.3.5"},
		{"s2 can grab s1's former address while s1 moves", small, []lb.Service{aService("s1", holds("1.2.3.4"), asks("1.2.3.5")), aService("s2", asks("1.2.3.4"))}, "s1=1.2.3.5 s2=1.2.3.4"},
		{"a chain of moves is made in one plan", small, []lb.Service{
			aService("s1", created(1), holds("1.2.3.4"), asks("1.2.3.5")), aService("s2", created(2), holds("1.2.3.5"), ipv6, asks("1000::4")), aService("s3", created(0), asks("1.2.3.4"))},
			"s1=1.2.3.5 s2=1000::4 s3=1.2.3.4"},
		{"two that want each other's address both keep theirs", small, []lb.Service{aService("s1", holds("1.2.3.4"), asks("1.2.3.5")), aService("s2", holds("1.2.3.5"), asks("1.2.3.4"))},
			"s1=1.2.3.4:AddressInUse s2=1.2.3.5:AddressInUse"},
		{"s3 cannot grab a 0 buggy address", b, []lb.Service{aService("s3", asks("1.2.3.0"))}, "s3=-:NotInPool"},
		{"s3 cannot grab a 255 buggy address", b, []lb.Service{aService("s3", asks("1.2.3.255"))}, "s3=-:NotInPool"},
		{"s3 can grab another address of that pool", b, []lb.Service{aService("s3", asks("1.2.3.254"))}, "s3=1.2.3.254"},
		{"s4 changes its sharing key in place", small, []lb.Service{aService("s4", holds("1.2.3.4"), asks("1.2.3.4"), key("new"))}, "s4=1.2.3.4"},
		{"s3 cannot share with s4: port conflict", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web), aService("s3", asks("1.2.3.4"), key("k"), web)}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"s3 cannot share with s4: wrong sharing key", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web), aService("s3", asks("1.2.3.4"), key("l"), dns)}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"s3 cannot share with s4: no key", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web), aService("s3", asks("1.2.3.4"), dns)}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"s3 cannot share with s4: wrong backends", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, local("app=a")), aService("s3", asks("1.2.3.4"), key("k"), dns, local("app=b"))}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"s3 cannot share with s4: Cluster with Local", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, local("app=a")), aService("s3", asks("1.2.3.4"), key("k"), dns)}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"s3 takes the same address as s4", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web), aService("s3", asks("1.2.3.4"), key("k"), dns)}, "s3=1.2.3.4 s4=1.2.3.4"},
		{"Local with the same backends shares", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, local("app=a")), aService("s3", asks("1.2.3.4"), key("k"), dns, local("app=a"))}, "s3=1.2.3.4 s4=1.2.3.4"},
		{"one protocol each on one port is no conflict", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), ports("TCP/53")), aService("s3", asks("1.2.3.4"), key("k"), ports("UDP/53"))}, "s3=1.2.3.4 s4=1.2.3.4"},
		{"s3 changes its ports and keeps the address", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web), aService("s3", holds("1.2.3.4"), key("k"), ports("TCP/8080"))}, "s3=1.2.3.4 s4=1.2.3.4"},
		{"s3 cannot change its sharing key and keep the address", small, []lb.Service{aService("s4", created(1), holds("1.2.3.4"), key("k"), web), aService("s3", created(2), holds("1.2.3.4"), key("l"), dns)}, "s3=1.2.3.5 s4=1.2.3.4"},
		{"s3 cannot change its backends and keep the address", small, []lb.Service{aService("s4", created(1), holds("1.2.3.4"), key("k"), web), aService("s3", created(2), holds("1.2.3.4"), key("k"), dns, local("app=a"))}, "s3=1.2.3.5 s4=1.2.3.4"},
		{"s4 takes s3's former address", small, []lb.Service{aService("s4", asks("1.2.3.4"))}, "s4=1.2.3.4"},
		{"assign s1 in IPv6", small, []lb.Service{aService("s1", ipv6, asks("1000::4"))}, "s1=1000::4"},
		{"s2 cannot grab s1's IPv6 address", small, []lb.Service{aService("s1", ipv6, holds("1000::4")), aService("s2", ipv6, asks("1000::4"))}, "s1=1000::4 s2=-:AddressInUse"},
		{"s3 takes the same IPv6 address as s4", small, []lb.Service{aService("s4", ipv6, holds("1000::4"), key("k"), web), aService("s3", ipv6, asks("1000::4"), key("k"), dns)}, "s3=1000::4 s4=1000::4"},
	})
}

func TestHeldAddressesAreKept(t *testing.T) {
	two := []lb.Pool{aPool("a", "1.2.3.0/30"), aPool("b", "1.2.4.0/30")}
	pinned := aPool("pinned", "1.2.5.0/30")
	pinned.Allocation = &lb.PoolAllocation{Priority: 1}
	off := aPool("a", "1.2.3.0/30")
	off.AutoAssign = false
	closed := aPool("a", "1.2.3.0/30")
	closed.Allocation = &lb.PoolAllocation{Namespaces: []string{"other"}}
	noBuggy := aPool("a", "1.2.3.0/30")
	noBuggy.AvoidBuggyIPs = true
	in := func(pools ...lb.Pool) []lb.Pool { return pools }
	runPlans(t, []planTest{
		{"same pools", two, []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"a better pool does not move anybody", in(two[0], pinned), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"the pool expands", in(aPool("a", "1.2.0.0/16")), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"the pool shrinks around the address", in(aPool("a", "1.2.3.2/32")), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"the pool shrinks and the address is outside", in(aPool("a", "1.2.3.0/31")), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.0"},
		{"the pool is renamed", in(aPool("z", "1.2.3.0/30")), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"the pool is split", in(aPool("y", "1.2.3.0/31"), aPool("z", "1.2.3.2/31")), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"autoAssign is turned off", in(off), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"the pool does not admit it any more: kept, and said", in(closed), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2:PoolNotAllowed"},
		{"buggy addresses are not allowed any more", in(noBuggy), []lb.Service{aService("s", holds("1.2.3.0"))}, "s=1.2.3.1"},
		{"every pool is deleted", nil, []lb.Service{aService("s", holds("1.2.3.2"))}, "s=-:NoPool"},
		{"two with one address: the older keeps it, whatever the names", two, []lb.Service{aService("a", created(2), holds("1.2.3.2")), aService("z", created(1), holds("1.2.3.2"))}, "a=1.2.3.0 z=1.2.3.2"},
		{"two with one address and equal age: the smaller UID keeps it", two, []lb.Service{aService("a", func(s *lb.Service) { s.UID = "2" }, holds("1.2.3.2")), aService("z", func(s *lb.Service) { s.UID = "1" }, holds("1.2.3.2"))}, "a=1.2.3.0 z=1.2.3.2"},
		{"the deletion of one moves no other", two, []lb.Service{aService("b", holds("1.2.3.1")), aService("c", holds("1.2.3.2"))}, "b=1.2.3.1 c=1.2.3.2"},
		{"a family that the Service has no more", two, []lb.Service{aService("s", ipv6, holds("1.2.3.2"))}, "s=-:NoUsablePool"},
		{"no cluster IP", two, []lb.Service{aService("s", func(s *lb.Service) { s.Families = nil }, holds("1.2.3.2"))}, "s=-:NoClusterIP"},
		{"two of one family: the first stays", two, []lb.Service{aService("s", holds("1.2.3.2", "1.2.3.3"))}, "s=1.2.3.2"},
		{"a request that cannot be read takes nothing", two, []lb.Service{aService("s", holds("1.2.3.2"), broken)}, "s=1.2.3.2:InvalidRequest"},
		{"a request that cannot be read gives nothing", two, []lb.Service{aService("s", broken)}, "s=-:InvalidRequest"},
		{"a request for an unknown pool takes nothing", two, []lb.Service{aService("s", holds("1.2.3.2"), fromPool("nope"))}, "s=1.2.3.2:UnknownPool"},
		{"former LoadBalancer", two, []lb.Service{aService("s", holds("1.2.3.2"), func(s *lb.Service) { s.Managed = false })}, "s=-"},
		{"being deleted: keeps, and gets nothing", two, []lb.Service{
			aService("s", holds("1.2.3.2"), func(s *lb.Service) { s.Deleting = true }), aService("t", func(s *lb.Service) { s.Deleting = true })}, "s=1.2.3.2 t=-"},
	})
}

func broken(s *lb.Service) {
	s.Problems = []lb.Problem{{Reason: "InvalidRequest", Message: "cannot be read"}}
}

func TestReleasesSayWhy(t *testing.T) {
	pools := []lb.Pool{aPool("a", "1.2.3.0/30")}
	for _, c := range []struct {
		name     string
		services []lb.Service
		want     lb.Reason
	}{
		{"outside", []lb.Service{aService("s", holds("9.9.9.9"))}, ReasonNotInPool},
		{"claimed twice", []lb.Service{aService("s", created(2), holds("1.2.3.2")), aService("o", created(1), holds("1.2.3.2"))}, ReasonAddressInUse},
		{"family gone", []lb.Service{aService("s", ipv6, holds("1.2.3.2"))}, ReasonWrongFamily},
		{"second of a family", []lb.Service{aService("s", holds("1.2.3.1", "1.2.3.2"))}, ReasonOnePerFamily},
		{"moved", []lb.Service{aService("s", holds("1.2.3.2"), asks("1.2.3.3"))}, ReasonMoved},
		{"not ours any more", []lb.Service{aService("s", holds("1.2.3.2"), func(s *lb.Service) { s.Managed = false })}, ReasonNotManaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := find(Plan(World{Pools: pools, Services: c.services}), lb.Name{Namespace: "default", Name: "s"})
			if len(a.Released) != 1 || a.Released[0].Why.Reason != c.want || a.Released[0].Why.Message == "" {
				t.Errorf("released = %+v, want one with reason %s", a.Released, c.want)
			}
		})
	}
}

func TestAReleaseIsWrittenBeforeTheAddressIsGivenOn(t *testing.T) {
	r := Plan(World{Pools: []lb.Pool{aPool("a", "1.2.3.0/31")}, Services: []lb.Service{
		aService("mover", created(1), holds("1.2.3.0"), asks("1.2.3.1")), aService("waiter", created(2)),
	}})
	if got := say(r); got != "mover=1.2.3.1 waiter=1.2.3.0" {
		t.Fatalf("plan = %s", got)
	}
	w := find(r, lb.Name{Namespace: "default", Name: "waiter"})
	if len(w.After) != 1 || w.After[0].Name != "mover" {
		t.Errorf("After = %v, want the mover", w.After)
	}
	r = Plan(World{Pools: []lb.Pool{aPool("a", "1.2.3.0/30")}, Services: []lb.Service{
		aService("mover", created(1), holds("1.2.3.0"), asks("1.2.3.1")), aService("waiter", created(2)),
	}})
	w = find(r, lb.Name{Namespace: "default", Name: "waiter"})
	if got := say(r); got != "mover=1.2.3.1 waiter=1.2.3.2" || len(w.After) != 0 {
		t.Errorf("plan = %s after %v; want the waiter to wait for nobody while another address is free", got, w.After)
	}
}
