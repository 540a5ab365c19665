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
			w := World{Pools: c.pools, Services: c.services, Namespaces: twoNamespaces()}
			if got := say(Plan(w)); got != c.want {
				t.Errorf("plan\n got %s\nwant %s", got, c.want)
			}
			if err := checkInvariants(w); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMovesToARequestedAddress(t *testing.T) {
	small := []lb.Pool{aPool("test", "1.2.3.4/31"), aPool("test-v6", "1000::4/127")}
	runPlans(t, []planTest{
		{"a chain of moves is made in one plan", small, []lb.Service{
			aService("s1", created(1), holds("1.2.3.4"), asks("1.2.3.5")), aService("s2", created(2), holds("1.2.3.5"), ipv6, asks("1000::4")), aService("s3", created(0), asks("1.2.3.4"))},
			"s1=1.2.3.5 s2=1000::4 s3=1.2.3.4"},
		{"two that want each other's address both keep theirs", small, []lb.Service{aService("s1", holds("1.2.3.4"), asks("1.2.3.5")), aService("s2", holds("1.2.3.5"), asks("1.2.3.4"))},
			"s1=1.2.3.4:AddressInUse s2=1.2.3.5:AddressInUse"},
	})
}

func TestHeldAddressesAreKept(t *testing.T) {
	two := []lb.Pool{aPool("a", "1.2.3.0/30"), aPool("b", "1.2.4.0/30")}
	pinned := pinnedPool("pinned", lb.PoolAllocation{Priority: 1}, "1.2.5.0/30")
	off := with(aPool("a", "1.2.3.0/30"), withoutAutoAssign)
	closed := pinnedPool("a", lb.PoolAllocation{Namespaces: []string{"other"}}, "1.2.3.0/30")
	in := func(pools ...lb.Pool) []lb.Pool { return pools }
	runPlans(t, []planTest{
		{"a better pool does not move anybody", in(two[0], pinned), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"autoAssign is turned off", in(off), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"the pool does not admit it any more: kept, and said", in(closed), []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.3.2:PoolNotAllowed"},
		{"every pool is deleted", nil, []lb.Service{aService("s", holds("1.2.3.2"))}, "s=-:NoPool"},
		{"two with one address and equal age: the smaller UID keeps it", two, []lb.Service{aService("a", func(s *lb.Service) { s.UID = "2" }, holds("1.2.3.2")), aService("z", func(s *lb.Service) { s.UID = "1" }, holds("1.2.3.2"))}, "a=1.2.3.0 z=1.2.3.2"},
		{"two of one family: the first stays", two, []lb.Service{aService("s", holds("1.2.3.2", "1.2.3.3"))}, "s=1.2.3.2"},
		{"a request that cannot be read takes nothing", two, []lb.Service{aService("s", holds("1.2.3.2"), broken)}, "s=1.2.3.2:InvalidRequest"},
		{"a request that cannot be read gives nothing", two, []lb.Service{aService("s", broken)}, "s=-:InvalidRequest"},
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
		{"not ours any more", []lb.Service{aService("s", holds("1.2.3.2"), notOurs)}, ReasonNotManaged},
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
