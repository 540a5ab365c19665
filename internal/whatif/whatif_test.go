package whatif

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func ranges(t testing.TB, list ...string) []netipx.IPRange {
	t.Helper()
	var out []netipx.IPRange
	for _, s := range list {
		r, err := netipx.ParseIPRange(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// web is a Service with an endpoint on every node, created so many minutes ago.
func web(name string, age int, held ...string) lb.Service {
	s := lb.Service{Name: lb.Name{Namespace: "default", Name: name}, UID: name, Created: noon().Add(-time.Duration(age) * time.Minute), Managed: true,
		Families: []lb.Family{lb.IPv4}, Policy: lb.SingleStack, Endpoints: map[string]lb.Endpoints{}}
	for _, n := range []string{"node1", "node2", "node3"} {
		s.Endpoints[n] = lb.Endpoints{Ready: 1, Serving: 1}
	}
	for _, h := range held {
		s.Held = append(s.Held, addr(h))
	}
	return s
}

// town is three nodes that speak, of which each owns one of three addresses, and a Service that waits in vain.
func town(t testing.TB) World {
	w := World{Advertisements: []lb.Advertisement{{Name: "all"}}}
	w.Allocation = allocate.World{Namespaces: map[string]map[string]string{"default": {}},
		Pools:    []lb.Pool{{Name: "main", AutoAssign: true, Created: noon(), Ranges: ranges(t, "192.0.2.1-192.0.2.3")}},
		Services: []lb.Service{web("a", 4, "192.0.2.1"), web("b", 3, "192.0.2.2"), web("c", 2, "192.0.2.3"), web("waits", 1)}}
	var speakers []lb.Speaker
	for i := 1; i <= 3; i++ {
		node := fmt.Sprint("node", i)
		w.Nodes = append(w.Nodes, lb.Node{Name: node, Labels: map[string]string{"name": node}})
		speakers = append(speakers, lb.Speaker{Node: node, Boot: 1,
			Interfaces: []lb.Interface{{Name: "eth0", Up: true, MACs: []lb.MAC{{2, 0, 0, 0, 0, byte(i)}}, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}},
			Claims:     []lb.Claim{{Addr: addr(fmt.Sprint("192.0.2.", i)), Evidence: 3, Cause: lb.CauseFree, Since: noon().Add(-time.Hour)}}})
	}
	for i, s := range speakers {
		v := ownership.View{Now: noon().Add(time.Duration(i) * time.Second), Self: s.Node, Speakers: speakers, Timing: ownership.DefaultTiming(), Mine: ownership.Resume(s.Claims)}
		for _, o := range speakers {
			if o.Node != s.Node {
				v.Peers = append(v.Peers, lb.Peer{Node: o.Node, Gossip: lb.Alive})
			}
		}
		w.Speakers = append(w.Speakers, v)
	}
	return w
}

// lines writes changes for a comparison.
func lines(r Result) []string {
	out := []string{}
	for _, c := range r.Changes {
		out = append(out, fmt.Sprintf("%s %s %v/%s -> %v/%s %s", c.Service.Name, c.Kind, c.Old, c.From, c.New, c.To, c.Why.Reason))
	}
	if r.Unsettled {
		out = append(out, "unsettled")
	}
	return out
}

func TestWhatAChangeWouldDo(t *testing.T) {
	only := func(node string) lb.Advertisement {
		return lb.Advertisement{Name: "all", NodeSelectors: []lb.Selector{{{Key: "name", Op: lb.In, Values: []string{node}}}}}
	}
	for _, c := range []struct {
		name   string
		change func(World) World
		want   []string
	}{
		{"nothing", func(w World) World { return w }, nil},
		{"a node is drained", func(w World) World { return w.Drain("node1", true) }, []string{"a Moved 192.0.2.1/node1 -> 192.0.2.1/node3 Drained"}},
		{"a node is drained that is not there", func(w World) World { return w.Drain("node9", true) }, nil},
		{"a node goes", func(w World) World { return w.WithoutNode("node3") }, []string{"c Moved 192.0.2.3/node3 -> 192.0.2.3/node1 NoNode"}},
		{"the last nodes are drained", func(w World) World { return w.Drain("node1", true).Drain("node2", true).Drain("node3", true) }, []string{
			"a Unanswered 192.0.2.1/node1 -> 192.0.2.1/ Drained",
			"b Unanswered 192.0.2.2/node2 -> 192.0.2.2/ Drained",
			"c Unanswered 192.0.2.3/node3 -> 192.0.2.3/ Drained"}},
		{"a Service asks for a node", func(w World) World { return w.Prefer(lb.Name{Namespace: "default", Name: "b"}, "node3") }, []string{"b Moved 192.0.2.2/node2 -> 192.0.2.2/node3 requested"}},
		{"a pool grows", func(w World) World {
			p := w.Allocation.Pools[0]
			p.Ranges = ranges(t, "192.0.2.1-192.0.2.4")
			return w.WithPool(p)
		}, []string{"waits Assigned invalid IP/ -> 192.0.2.4/node3 "}},
		{"a pool loses an address", func(w World) World {
			p := w.Allocation.Pools[0]
			p.Ranges = ranges(t, "192.0.2.2-192.0.2.4")
			return w.WithPool(p)
		}, []string{"a Renumbered 192.0.2.1/node1 -> 192.0.2.4/node3 NotInPool"}},
		{"the only pool goes", func(w World) World { return w.WithoutPool("main") }, []string{
			"a Pending 192.0.2.1/node1 -> invalid IP/ NoPool",
			"b Pending 192.0.2.2/node2 -> invalid IP/ NoPool",
			"c Pending 192.0.2.3/node3 -> invalid IP/ NoPool"}},
		{"an advertisement selects one node", func(w World) World { return w.WithAdvertisement(only("node2")) }, []string{
			"a Moved 192.0.2.1/node1 -> 192.0.2.1/node2 NotSelected",
			"c Moved 192.0.2.3/node3 -> 192.0.2.3/node2 NotSelected"}},
		{"an advertisement selects no node", func(w World) World { return w.WithAdvertisement(only("nobody")) }, []string{
			"a Unanswered 192.0.2.1/node1 -> 192.0.2.1/ NotSelected",
			"b Unanswered 192.0.2.2/node2 -> 192.0.2.2/ NotSelected",
			"c Unanswered 192.0.2.3/node3 -> 192.0.2.3/ NotSelected"}},
		{"an advertisement prefers a node", func(w World) World {
			return w.WithAdvertisement(lb.Advertisement{Name: "all", Preferred: []lb.Preference{{Weight: 10, Nodes: only("node3").NodeSelectors[0]}}})
		}, []string{
			"a Moved 192.0.2.1/node1 -> 192.0.2.1/node3 preferred",
			"b Moved 192.0.2.2/node2 -> 192.0.2.2/node3 preferred"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := town(t)
			if diff := cmp.Diff(append([]string{}, c.want...), lines(Compare(before, c.change(before)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatWouldHappenAnywayIsNoChange(t *testing.T) {
	before := town(t).Prefer(lb.Name{Namespace: "default", Name: "b"}, "node3") // a move that is under way
	want := []string{"a Moved 192.0.2.1/node1 -> 192.0.2.1/node2 Drained"}      // node3 ranks before it, and has two of three already
	if diff := cmp.Diff(want, lines(Compare(before, before.Drain("node1", true)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnAddressThatIsTakenAwayLeavesRoomForItsSuccessor(t *testing.T) {
	before := town(t)
	before.Allocation.Services = before.Allocation.Services[:1] // of one address a node may have one
	after := before.Allocation.Pools[0]
	after.Ranges = ranges(t, "192.0.2.2-192.0.2.2") // for which node1 ranks first
	want := []string{"a Renumbered 192.0.2.1/node1 -> 192.0.2.2/node1 NotInPool"}
	if diff := cmp.Diff(want, lines(Compare(before, before.WithPool(after)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASpeakerThatWasNotAskedTakesPart(t *testing.T) {
	for i := range 3 {
		before := town(t)
		before.Speakers = slices.Delete(before.Speakers, i, i+1)
		want := []string{"a Moved 192.0.2.1/node1 -> 192.0.2.1/node3 Drained"}
		if diff := cmp.Diff(want, lines(Compare(before, before.Drain("node1", true)))); diff != "" {
			t.Errorf("without the View of node%d (-want +got):\n%s", i+1, diff)
		}
	}
}

func TestADeadSpeakerIsGivenNothing(t *testing.T) {
	before := town(t)
	before.Speakers = before.Speakers[1:] // node1 has died, and node2 has taken its address over
	for i := range before.Speakers {
		v := &before.Speakers[i]
		v.Peers = slices.Clone(v.Peers)
		v.Peers[0] = lb.Peer{Node: "node1", Gossip: lb.Dead, Silent: noon().Add(-time.Hour), Hosts: []lb.HostLife{{Interface: "eth0", Life: lb.Dead}}}
	}
	want := []string{"b Moved 192.0.2.2/node2 -> 192.0.2.2/node3 Drained"}
	if diff := cmp.Diff(want, lines(Compare(before, before.Drain("node2", true)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithoutSpeakersOnlyAddressesAreForeseen(t *testing.T) {
	before := town(t)
	before.Speakers = nil
	got := lines(Compare(before, before.Drain("node1", true).WithoutPool("main")))
	want := []string{"a Pending 192.0.2.1/ -> invalid IP/ NoPool", "b Pending 192.0.2.2/ -> invalid IP/ NoPool", "c Pending 192.0.2.3/ -> invalid IP/ NoPool"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheWorldBeforeIsLeftAsItIs(t *testing.T) {
	before := town(t)
	_ = Compare(before, before.Drain("node1", true).WithoutNode("node2").Prefer(lb.Name{Namespace: "default", Name: "a"}, "node3").WithoutPool("main"))
	if diff := cmp.Diff([]string{}, lines(Compare(before, town(t)))); diff != "" {
		t.Errorf("it has changed (-want +got):\n%s", diff)
	}
}

func BenchmarkADrainOf20NodesWith200Addresses(b *testing.B) {
	w := town(b)
	w.Nodes, w.Speakers, w.Allocation.Services = nil, nil, nil
	var speakers []lb.Speaker
	for i := range 20 {
		node := fmt.Sprint("node", i)
		w.Nodes = append(w.Nodes, lb.Node{Name: node})
		speakers = append(speakers, lb.Speaker{Node: node, Boot: 1, Interfaces: []lb.Interface{{Name: "eth0", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}}})
	}
	a := addr("10.0.1.0")
	for i := range 200 {
		s := web(fmt.Sprint("s", i), i, a.String())
		w.Allocation.Services = append(w.Allocation.Services, s)
		speakers[i%20].Claims = append(speakers[i%20].Claims, lb.Claim{Addr: a, Evidence: 20, Cause: lb.CauseFree, Since: noon()})
		a = a.Next()
	}
	w.Allocation.Pools[0].Ranges = ranges(b, "10.0.1.0-10.0.9.255")
	for _, s := range speakers {
		v := ownership.View{Now: noon(), Self: s.Node, Speakers: speakers, Timing: ownership.DefaultTiming(), Mine: ownership.Resume(s.Claims)}
		for _, o := range speakers {
			if o.Node != s.Node {
				v.Peers = append(v.Peers, lb.Peer{Node: o.Node, Gossip: lb.Alive})
			}
		}
		w.Speakers = append(w.Speakers, v)
	}
	for b.Loop() {
		if n := len(Compare(w, w.Drain("node7", true)).Changes); n < 10 {
			b.Fatalf("%d changes, want those of the 10 addresses of node7 at least", n)
		}
	}
}

func TestWhatTakesTooLongToSettleIsTold(t *testing.T) {
	before := town(t)
	before.Allocation.Services = nil
	claims := []lb.Claim{}
	a := addr("10.0.0.1")
	for i := range 200 { // node1 has them all, and gives away one in ten seconds
		before.Allocation.Services = append(before.Allocation.Services, web(fmt.Sprint("s", i), i, a.String()))
		claims = append(claims, lb.Claim{Addr: a, Evidence: 3, Cause: lb.CauseFree})
		a = a.Next()
	}
	before.Allocation.Pools[0].Ranges = ranges(t, "10.0.0.1-10.0.0.250")
	for i := range before.Speakers {
		v := &before.Speakers[i]
		v.Speakers, v.Mine = slices.Clone(v.Speakers), ownership.Memory{}
		v.Speakers[0].Claims, v.Speakers[1].Claims, v.Speakers[2].Claims = claims, nil, nil
	}
	before.Speakers[0].Mine = ownership.Resume(claims)
	if r := Compare(before, before); !r.Unsettled || len(r.Changes) != 0 {
		t.Errorf("%d changes, unsettled %v; want none, and that it would have gone on", len(r.Changes), r.Unsettled)
	}
}
