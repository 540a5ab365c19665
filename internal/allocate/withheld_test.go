package allocate

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func reserving(ranges ...string) func(*lb.Pool) {
	return func(p *lb.Pool) { p.Reserved = aPool("", ranges...).Ranges }
}

func retaining(p *lb.Pool) { p.RetainFor = time.Hour }

func keeps(addr, name string) lb.Retention {
	return lb.Retention{Address: netip.MustParseAddr(addr), For: lb.Name{Namespace: "default", Name: name}, Until: at(3600)}
}

func stranger(addr string) lb.Conflict {
	return lb.Conflict{Address: netip.MustParseAddr(addr), MAC: "02:00:00:00:00:01", Node: "n1"}
}

// A worldTest is like a planTest, for worlds with more in them.
type worldTest struct {
	name  string
	world World
	want  string
}

func runWorlds(t *testing.T, tests []worldTest) {
	t.Helper()
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			c.world.Namespaces = twoNamespaces()
			if got := say(Plan(c.world)); got != c.want {
				t.Errorf("plan\n got %s\nwant %s", got, c.want)
			}
			if err := checkInvariants(c.world); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReservedAddresses(t *testing.T) {
	part := []lb.Pool{with(aPool("p", "1.2.3.0/30", "1000::/126"), reserving("1.2.3.1-1.2.3.2", "1000::/127"))}
	all := []lb.Pool{with(aPool("p", "1.2.3.0/30"), reserving("0.0.0.0/0"))}
	runPlans(t, []planTest{
		{"are not handed out", part, []lb.Service{aService("a"), aService("b"), aService("c")}, "a=1.2.3.0 b=1.2.3.3 c=-:Exhausted"},
		{"in IPv6 neither", part, []lb.Service{aService("a", ipv6)}, "a=1000::2"},
		{"are given to who asks by number", part, []lb.Service{aService("a", asks("1.2.3.1"))}, "a=1.2.3.1"},
		{"are not given to who asks for the pool", part, []lb.Service{aService("a", fromPool("p")), aService("b", fromPool("p")), aService("c", fromPool("p"))}, "a=1.2.3.0 b=1.2.3.3 c=-:Exhausted"},
		{"are kept by who has one", part, []lb.Service{aService("a", holds("1.2.3.2"))}, "a=1.2.3.2"},
		{"are not joined by a sharing key alone", part, []lb.Service{aService("a", asks("1.2.3.1"), key("k")), aService("b", key("k"), ports("TCP/1"))}, "a=1.2.3.1 b=1.2.3.0"},
		{"are joined by number", part, []lb.Service{aService("a", asks("1.2.3.1"), key("k")), aService("b", asks("1.2.3.1"), key("k"), ports("TCP/1"))}, "a=1.2.3.1 b=1.2.3.1"},
		{"leave nothing when they are all", all, []lb.Service{aService("a"), aService("b", asks("1.2.3.3"))}, "a=-:NoUsablePool b=1.2.3.3"},
		{"are not reused when they are left", part, []lb.Service{aService("a", holds("1.2.3.1"), asks("1.2.3.0")), aService("b"), aService("c")}, "a=1.2.3.0 b=1.2.3.3 c=-:Exhausted"},
	})
	u := usage(t, Plan(World{Pools: part, Services: []lb.Service{aService("a", asks("1.2.3.1")), aService("b")}}), "p")
	if u.AssignedIPv4 != 2 || u.AvailableIPv4 != 1 || u.AvailableIPv6 != 2 {
		t.Errorf("usage = %+v, want 2 assigned, 1 and 2 available: reserved ones are not available", u)
	}
	p := find(Plan(World{Pools: all, Services: []lb.Service{aService("a")}}), lb.Name{Namespace: "default", Name: "a"}).Problem
	if want := "no IPv4 address: p has no IPv4 addresses that are not reserved"; p.Message != want {
		t.Errorf("message %q, want %q", p.Message, want)
	}
}

// TestSpansAreSetApart: every way in which a reserved range can lie on a range.
func TestSpansAreSetApart(t *testing.T) {
	p := &pool{Pool: lb.Pool{Reserved: aPool("", "1.0.0.0-1.0.0.3", "1.0.0.2-1.0.0.5", "1.0.0.8-1.0.0.9", "1.0.0.14-1.0.0.20", "1000::/16").Ranges}}
	var got []string
	for _, s := range setApart(p, []*span{newSpan(p, addrs("1.0.0.0")[0], addrs("1.0.0.15")[0])}) {
		got = append(got, fmt.Sprintf("%v %v", netipx.IPRangeFrom(s.first, s.last), s.reserved))
	}
	want := "1.0.0.0-1.0.0.3 true; 1.0.0.4-1.0.0.5 true; 1.0.0.6-1.0.0.7 false; 1.0.0.8-1.0.0.9 true; 1.0.0.10-1.0.0.13 false; 1.0.0.14-1.0.0.15 true"
	if strings.Join(got, "; ") != want {
		t.Errorf("spans\n got %s\nwant %s", strings.Join(got, "; "), want)
	}
}

func TestRecentlyFreedAddressesComeLast(t *testing.T) {
	pools := []lb.Pool{aPool("p", "1.2.3.0/30")}
	runWorlds(t, []worldTest{
		{"the one that was freed first before the others", World{Pools: pools, Recent: addrs("1.2.3.2", "1.2.3.0"), Services: []lb.Service{aService("a"), aService("b"), aService("c"), aService("d"), aService("e")}},
			"a=1.2.3.1 b=1.2.3.3 c=1.2.3.2 d=1.2.3.0 e=-:Exhausted"},
		{"what is freed in this plan after them", World{Pools: pools, Recent: addrs("1.2.3.2", "1.2.3.1"), Services: []lb.Service{aService("m", created(-1), holds("1.2.3.0"), asks("1.2.3.3")), aService("a"), aService("b"), aService("c")}},
			"a=1.2.3.2 b=1.2.3.1 c=1.2.3.0 m=1.2.3.3"},
		{"what is left in this plan after what was freed before it, also when it was freed then too", World{Pools: pools, Recent: addrs("1.2.3.0", "1.2.3.1"), Services: []lb.Service{aService("m", created(-1), holds("1.2.3.0"), asks("1.2.3.3")), aService("a"), aService("b"), aService("c")}},
			"a=1.2.3.2 b=1.2.3.1 c=1.2.3.0 m=1.2.3.3"},
		{"what its Service may not keep likewise", World{Pools: pools, Services: []lb.Service{aService("a", notOurs, holds("1.2.3.0")), aService("b"), aService("c", created(1)), aService("d", created(2)), aService("e", created(3))}},
			"a=- b=1.2.3.1 c=1.2.3.2 d=1.2.3.3 e=1.2.3.0"},
		{"not at all while it is in conflict", World{Pools: pools[:1], Recent: addrs("1.2.3.1"), Conflicts: []lb.Conflict{stranger("1.2.3.1")}, Services: []lb.Service{aService("a"), aService("b"), aService("c"), aService("d")}},
			"a=1.2.3.0 b=1.2.3.2 c=1.2.3.3 d=-:Exhausted"},
		{"not at all when it is reserved", World{Pools: []lb.Pool{with(aPool("p", "1.2.3.0/31"), reserving("1.2.3.1/32"))}, Recent: addrs("1.2.3.1"), Services: []lb.Service{aService("a"), aService("b")}}, "a=1.2.3.0 b=-:Exhausted"},
		{"given at once by number", World{Pools: pools, Recent: addrs("1.2.3.2"), Services: []lb.Service{aService("a", asks("1.2.3.2"))}}, "a=1.2.3.2"},
		{"one that is in use again or is no pool's", World{Pools: pools, Recent: addrs("1.2.3.0", "9.9.9.9", "1.2.3.0"), Services: []lb.Service{aService("a", holds("1.2.3.0")), aService("b")}}, "a=1.2.3.0 b=1.2.3.1"},
		{"another pool is not preferred for it", World{Pools: []lb.Pool{aPool("a", "1.1.0.0/32"), aPool("b", "1.2.0.0/32")}, Recent: addrs("1.1.0.0"), Services: []lb.Service{aService("s")}}, "s=1.1.0.0"},
	})
}

func TestRetainedAddresses(t *testing.T) {
	pools := []lb.Pool{with(aPool("p", "1.2.3.0/31"), retaining), aPool("q", "1.2.4.0/31", "1000::/127")}
	kept := func(services ...lb.Service) World {
		return World{Pools: pools, Retained: []lb.Retention{keeps("1.2.3.0", "gone")}, Services: services}
	}
	shared := kept(aService("gone", key("k"), created(5)), aService("a", key("k"), ports("TCP/1"), holds("1.2.3.0")), aService("b", key("k"), ports("TCP/2")), aService("c", key("k"), ports("TCP/3"), asks("1.2.3.0")))
	noneKept := kept(aService("a"))
	noneKept.Pools = []lb.Pool{aPool("p", "1.2.3.0/31")}
	dual := kept(aService("gone", requiresDual))
	reserved := kept(aService("gone"))
	reserved.Pools = []lb.Pool{with(aPool("p", "1.2.3.0/31"), retaining, reserving("1.2.3.0/32"))}
	runWorlds(t, []worldTest{
		{"are given to nobody else", kept(aService("a"), aService("b"), aService("c"), aService("d")), "a=1.2.3.1 b=1.2.4.0 c=1.2.4.1 d=-:Exhausted"},
		{"are given back, before older ones are served", kept(aService("gone", created(9)), aService("a"), aService("b")), "a=1.2.3.1 b=1.2.4.0 gone=1.2.3.0"},
		{"are refused to others by number too", kept(aService("a", asks("1.2.3.0"))), "a=-:Retained"},
		{"are not forced on who asks for another", kept(aService("gone", asks("1.2.4.1"))), "gone=1.2.4.1"},
		{"nor on who asks for another pool", kept(aService("gone", fromPool("q"))), "gone=1.2.4.0"},
		{"nor on a Service of that name in another namespace", kept(aService("gone", inNamespace("other"))), "gone=1.2.3.1"},
		{"come back by number", kept(aService("gone", asks("1.2.3.0"))), "gone=1.2.3.0"},
		{"do not matter to who holds one", kept(aService("a", holds("1.2.3.0")), aService("gone")), "a=1.2.3.0 gone=1.2.3.1"},
		{"are shared again once they came back", shared, "a=1.2.3.0 b=1.2.3.1 c=1.2.3.0 gone=1.2.3.0"},
		{"need a pool that retains", noneKept, "a=1.2.3.0"},
		{"come with the other family of another pool", dual, "gone=1.2.3.0,1000::"},
		{"that are reserved come back by number only", reserved, "gone=1.2.3.1"},
	})
	r := Plan(kept(aService("a", asks("1.2.3.0"))))
	if got, want := r.Services[0].Problem.Message+" ("+r.Services[0].Now+")", "requested address 1.2.3.0 is kept for a deleted Service (default/gone, until 1970-01-01T01:00:00Z)"; got != want {
		t.Errorf("message and now %q, want %q", got, want)
	}
	if u := usage(t, r, "p"); len(u.Retained) != 1 || u.AvailableIPv4 != 1 || u.AssignedIPv4 != 0 {
		t.Errorf("usage = %+v, want one retained, one available", u)
	}
	if u := usage(t, Plan(kept(aService("gone"))), "p"); len(u.Retained) != 0 {
		t.Errorf("usage = %+v, want none retained when it came back", u)
	}
	full := usage(t, Plan(World{Pools: pools[:1], Retained: kept().Retained, Conflicts: []lb.Conflict{stranger("1.2.3.1")}, Services: []lb.Service{aService("a")}}), "p")
	if want := "0 IPv4 in use, 1 kept for deleted Services, 1 in conflict"; full.Full != want || full.Waiting != 1 {
		t.Errorf("%d wait, and it is full with %q, want one and %q", full.Waiting, full.Full, want)
	}
}

func TestRetentionsAreBounded(t *testing.T) {
	w := World{Pools: []lb.Pool{with(aPool("p", "10.0.0.0/16"), retaining)}}
	for i := range MaxRetained + 10 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		name := lb.Name{Namespace: "default", Name: fmt.Sprint(i)}
		w.Retained = append(w.Retained, lb.Retention{Address: a, For: name, Until: at(i)}, lb.Retention{Address: a, For: name, Until: at(i - 1)})
	}
	got := usage(t, Plan(w), "p").Retained
	if len(got) != MaxRetained || got[0].Address != addrs("10.0.0.10")[0] || !got[0].Until.Equal(at(10)) {
		t.Errorf("%d retained, first %+v; want the %d that end last, each once", len(got), got[0], MaxRetained)
	}
}

func TestConflictsAreAvoided(t *testing.T) {
	pools := []lb.Pool{aPool("p", "1.2.3.0/31")}
	seen := func(services ...lb.Service) World {
		return World{Pools: pools, Conflicts: []lb.Conflict{stranger("1.2.3.0")}, Services: services}
	}
	runWorlds(t, []worldTest{
		{"when nobody asks for the address", seen(aService("a"), aService("b")), "a=1.2.3.1 b=-:Exhausted"},
		{"not when somebody asks for it", seen(aService("a", asks("1.2.3.0"))), "a=1.2.3.0"},
		{"not by who holds it", seen(aService("a", holds("1.2.3.0"))), "a=1.2.3.0"},
		{"also when it is left in the same plan", seen(aService("m", holds("1.2.3.0"), asks("1.2.3.1")), aService("a")), "a=-:Exhausted m=1.2.3.1"},
		{"not by those who share with who holds it", seen(aService("a", holds("1.2.3.0"), key("k")), aService("b", key("k"), ports("TCP/1"))), "a=1.2.3.0 b=1.2.3.0"},
	})
}

func TestEvictionOnSelectorChange(t *testing.T) {
	evicts := pinnedPool("a", lb.PoolAllocation{Namespaces: []string{"other"}, Evict: true}, "1.2.3.0/30")
	byLabel := pinnedPool("a", lb.PoolAllocation{ServiceSelectors: selects("tier", "gold"), Evict: true}, "1.2.3.0/30")
	off := with(evicts, func(p *lb.Pool) { p.AutoAssign = false })
	runPlans(t, []planTest{
		{"the namespace is not admitted any more", []lb.Pool{evicts, aPool("b", "1.2.4.0/30")}, []lb.Service{aService("s", holds("1.2.3.2"))}, "s=1.2.4.0"},
		{"the label neither", []lb.Pool{byLabel}, []lb.Service{aService("s", holds("1.2.3.2"))}, "s=-:NoUsablePool"},
		{"who is admitted stays", []lb.Pool{evicts}, []lb.Service{aService("s", inNamespace("other"), holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"autoAssign evicts nobody", []lb.Pool{off}, []lb.Service{aService("s", inNamespace("other"), holds("1.2.3.2"))}, "s=1.2.3.2"},
		{"what is being deleted stays", []lb.Pool{evicts}, []lb.Service{aService("s", holds("1.2.3.2"), func(s *lb.Service) { s.Deleting = true })}, "s=1.2.3.2"},
	})
	r := Plan(World{Pools: []lb.Pool{evicts}, Services: []lb.Service{aService("s", holds("1.2.3.2"))}})
	if rel := r.Services[0].Released; len(rel) != 1 || rel[0].Why.Reason != ReasonPoolNotAllowed || !strings.Contains(rel[0].Why.Message, "does not admit namespace default") {
		t.Errorf("released = %+v, want it to say why", rel)
	}
}
