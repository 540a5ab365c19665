package allocate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// TestEveryPoolIsAccountedFor: what is said of each pool about the Service s, in the order in which it tries them.
func TestEveryPoolIsAccountedFor(t *testing.T) {
	a, b := aPool("a", "1.1.0.0/31"), aPool("b", "1.2.0.0/31")
	off := with(aPool("off", "1.5.0.0/24"), withoutAutoAssign)
	theirs := pinnedPool("theirs", lb.PoolAllocation{Namespaces: []string{"other"}}, "1.4.0.0/24")
	full := aPool("full", "1.6.0.0/32")
	six := aPool("six", "2000::/64")
	first := pinnedPool("z-first", lb.PoolAllocation{Priority: 1}, "1.7.0.0/31")
	for _, c := range []struct {
		name string
		s    lb.Service
		want []string
	}{
		{"it gets the first free address", aService("s"), []string{
			"z-first yes gives it 1.7.0.0, the first free one", "a yes could serve it too, and comes later in the order", "b yes could serve it too, and comes later in the order",
			"full no is full (1 IPv4 in use)", "six no has no IPv4 addresses", "off no has autoAssign off", "theirs no does not admit namespace default"}},
		{"it keeps what it has, although another pool comes first", aService("s", holds("1.2.0.1")), []string{
			"z-first yes could serve it too; a Service keeps the address that it has", "a yes could serve it too; a Service keeps the address that it has", "b yes gives it 1.2.0.1, which it has already",
			"full no is full (1 IPv4 in use)", "six no has no IPv4 addresses", "off no has autoAssign off", "theirs no does not admit namespace default"}},
		{"it asks for a pool", aService("s", fromPool("off")), []string{
			"off yes gives it 1.5.0.0, as it asks for this pool", "a no is not the pool off that the Service asks for", "b no is not the pool off that the Service asks for",
			"full no is not the pool off that the Service asks for", "six no is not the pool off that the Service asks for", "theirs no is not the pool off that the Service asks for",
			"z-first no is not the pool off that the Service asks for"}},
		{"it asks for an address", aService("s", asks("1.2.0.1")), []string{
			"z-first no does not contain 1.2.0.1, which the Service asks for", "a no does not contain 1.2.0.1, which the Service asks for", "b yes gives it 1.2.0.1, which it asks for by number",
			"full no does not contain 1.2.0.1, which the Service asks for", "six no does not contain 1.2.0.1, which the Service asks for", "off no does not contain 1.2.0.1, which the Service asks for",
			"theirs no does not contain 1.2.0.1, which the Service asks for"}},
		{"it asks for an address that another has", aService("s", asks("1.6.0.0")), []string{
			"z-first no does not contain 1.6.0.0, which the Service asks for", "a no does not contain 1.6.0.0, which the Service asks for", "b no does not contain 1.6.0.0, which the Service asks for",
			"full no gives nothing: requested address 1.6.0.0 is held by another Service (default/o)", "six no does not contain 1.6.0.0, which the Service asks for",
			"off no does not contain 1.6.0.0, which the Service asks for", "theirs no does not contain 1.6.0.0, which the Service asks for"}},
		{"it keeps an address of a pool that admits it no more", aService("s", holds("1.4.0.0")), []string{
			"z-first yes could serve it too; a Service keeps the address that it has", "a yes could serve it too; a Service keeps the address that it has", "b yes could serve it too; a Service keeps the address that it has",
			"full no is full (1 IPv4 in use)", "six no has no IPv4 addresses", "off no has autoAssign off",
			"theirs yes gives it 1.4.0.0, which it has already, although the pool now does not admit namespace default"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := World{Pools: []lb.Pool{a, b, off, theirs, full, six, first}, Namespaces: twoNamespaces(), Services: []lb.Service{aService("o", holds("1.6.0.0")), c.s}}
			list, ok := Consider(w, c.s.Name)
			if !ok {
				t.Fatal("the Service is not found")
			}
			var got []string
			for _, e := range list {
				usable := map[bool]string{true: "yes", false: "no"}[e.Usable]
				line := fmt.Sprintf("%s %s %s", e.Pool, usable, e.Why)
				if e.Now != "" {
					line += " (" + e.Now + ")"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	kept := World{Pools: []lb.Pool{with(aPool("p", "1.2.3.0/31"), retaining)}, Retained: []lb.Retention{keeps("1.2.3.0", "gone")}, Conflicts: []lb.Conflict{stranger("1.2.3.1")}, Services: []lb.Service{aService("s")}}
	list, _ := Consider(kept, kept.Services[0].Name)
	if text := Plan(kept).Services[0].Problem.Message; text != "no IPv4 address: p "+list[0].Why {
		t.Errorf("the plan says %q of the pool, and Consider %q", text, list[0].Why)
	}
	if _, ok := Consider(World{}, lb.Name{Name: "nobody"}); ok {
		t.Error("a Service that is not there was found")
	}
}

// TestConsiderAgreesWithThePlan: over random worlds, the addresses that pools are said to give are those of the plan, a Service
// that waits and has nothing has no usable pool, and what is said of each pool is what the plan says to the Service.
func TestConsiderAgreesWithThePlan(t *testing.T) {
	for seed := range 300 {
		data := make([]byte, 200)
		rng := rand.New(rand.NewPCG(uint64(seed), 0))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		w := worldFrom(data)
		for _, a := range Plan(w).Services {
			list, _ := Consider(w, a.Service)
			var got []netip.Addr
			usable, s := "", serviceOf(w, a.Service)
			waits := !a.Complete && len(a.Addresses) == 0 && len(s.Problems) == 0
			told := waits && len(s.Requested) == 0 && s.RequestedPool == "" && s.Policy != lb.RequireDualStack && len(s.Families) > 0
			for _, c := range list {
				if told && !strings.Contains(a.Problem.Message, c.Why) {
					t.Fatalf("seed %d, Service %v is told %q, and of pool %s it is said that it %s", seed, a.Service, a.Problem.Message, c.Pool, c.Why)
				}
				got = append(got, c.Addresses...)
				if c.Usable {
					usable = c.Pool
				}
			}
			want := slices.Clone(a.Addresses)
			slices.SortFunc(want, netip.Addr.Compare)
			slices.SortFunc(got, netip.Addr.Compare)
			if !slices.Equal(want, got) {
				t.Fatalf("seed %d, Service %v: pools give %v, the plan %v", seed, a.Service, got, want)
			}
			if waits && usable != "" {
				t.Fatalf("seed %d, Service %v waits (%v), and pool %s is said to be usable", seed, a.Service, a.Problem, usable)
			}
		}
	}
}

func serviceOf(w World, name lb.Name) lb.Service {
	return w.Services[slices.IndexFunc(w.Services, func(s lb.Service) bool { return s.Name == name })]
}

func TestLocateSaysWhatBecameOfAnAddress(t *testing.T) {
	until := at(1000)
	pool := with(aPool("p", "1.1.0.0/24"), avoidingBuggyIPs, reserving("1.1.0.8/29"), func(p *lb.Pool) { p.RetainFor = time.Hour })
	kept := lb.Retention{Address: addrs("1.1.0.2")[0], For: lb.Name{Namespace: "default", Name: "gone"}, Until: until}
	seen := lb.Conflict{Address: addrs("1.1.0.3")[0], MAC: "02:00:00:00:00:01", Node: "n", Until: until}
	w := World{Pools: []lb.Pool{pool}, Services: []lb.Service{aService("s", holds("1.1.0.1"), key("k")), aService("t", created(1), holds("1.1.0.1"), key("k"), ports("TCP/81"))},
		Retained: []lb.Retention{kept}, Conflicts: []lb.Conflict{seen}}
	for a, want := range map[string]Location{
		"1.1.0.1": {Pool: "p", Services: []lb.Name{{Namespace: "default", Name: "s"}, {Namespace: "default", Name: "t"}}},
		"1.1.0.2": {Pool: "p", Retained: []lb.Retention{kept}},
		"1.1.0.3": {Pool: "p", Conflicts: []lb.Conflict{seen}},
		"1.1.0.4": {Pool: "p"},
		"1.1.0.9": {Pool: "p", Reserved: true},
		"1.1.0.0": {Avoided: true},
		"9.9.9.9": {},
	} {
		t.Run(a, func(t *testing.T) {
			if diff := cmp.Diff(want, Locate(w, addrs(a)[0]), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
