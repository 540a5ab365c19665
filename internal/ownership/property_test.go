package ownership

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// random returns a small world in which every rule is broken now and then.
func random(r *rand.Rand) View {
	v := View{IgnoreExcludeLB: r.IntN(4) == 0}
	for i := range 1 + r.IntN(6) {
		name := fmt.Sprintf("node%d", i)
		if r.IntN(10) > 0 {
			v.Nodes = append(v.Nodes, lb.Node{Name: name, Labels: map[string]string{"zone": fmt.Sprint(r.IntN(2)), "name": name},
				Excluded: r.IntN(6) == 0, NetworkUnavailable: r.IntN(8) == 0})
		}
		if r.IntN(10) > 0 {
			s := lb.Speaker{Node: name, KubeProxy: lb.Life(r.IntN(3))}
			for _, itf := range []lb.Interface{up("eth0", onLAN), up("eth1", onMgmt), up("eth2")} {
				itf.Up = r.IntN(8) > 0
				if r.IntN(5) > 0 {
					s.Interfaces = append(s.Interfaces, itf)
				}
			}
			v.Speakers = append(v.Speakers, s)
		}
	}
	v.Pools = []lb.Pool{{Name: "lan", Ranges: ranges("192.168.1.0-192.168.1.20"), Labels: map[string]string{"p": "1"}},
		{Name: "far", Ranges: ranges("203.0.113.0-203.0.113.20"), Created: day}}
	for i := range 1 + r.IntN(3) {
		ad := lb.Advertisement{Name: fmt.Sprintf("ad%d", i)}
		if r.IntN(3) == 0 {
			ad.Pools = []string{[]string{"lan", "far"}[r.IntN(2)]}
		}
		if r.IntN(3) == 0 {
			ad.NodeSelectors = []lb.Selector{labelled("zone", fmt.Sprint(r.IntN(2)))}
		}
		if r.IntN(3) == 0 {
			ad.Interfaces = []string{fmt.Sprintf("eth%d", r.IntN(3))}
		}
		if r.IntN(4) == 0 {
			ad.Preferred = []lb.Preference{{Weight: 1 + r.IntN(9), Nodes: labelled("name", fmt.Sprintf("node%d", r.IntN(6)))}}
		}
		v.Advertisements = append(v.Advertisements, ad)
	}
	for i := range r.IntN(12) {
		base := []string{"192.168.1.", "203.0.113.", "198.51.100."}[r.IntN(3)]
		s := service(fmt.Sprintf("s%02d", i), netip.MustParseAddr(base+fmt.Sprint(r.IntN(20))))
		s.Local, s.Managed = r.IntN(3) == 0, r.IntN(8) > 0
		s.Endpoints = map[string]lb.Endpoints{fmt.Sprintf("node%d", r.IntN(6)): {Ready: r.IntN(2), Serving: r.IntN(2)}}
		s.Ports[0].Number = uint16(i)
		s.SharingKey = []string{"", "k"}[r.IntN(2)]
		v.Services = append(v.Services, s)
	}
	return v
}

func owners(d Decision) map[string]string {
	out := map[string]string{}
	for _, a := range d.Addresses {
		out[a.Addr.String()] = first(a)
	}
	return out
}

func shuffle[T any](r *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func TestEveryNodeDecidesTheSame(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		v := random(r)
		want := decide(v).Addresses
		v.Self = "another"
		v.Nodes, v.Speakers, v.Services = shuffle(r, v.Nodes), shuffle(r, v.Speakers), shuffle(r, v.Services)
		v.Pools, v.Advertisements = shuffle(r, v.Pools), shuffle(r, v.Advertisements)
		if diff := cmp.Diff(want, decide(v).Addresses, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("seed %d: another node with its lists in another order decides otherwise (-one +other):\n%s", seed, diff)
		}
	}
}

func TestDecisionIsWellFormed(t *testing.T) {
	for seed := range uint64(500) {
		checkDecision(t, random(rand.New(rand.NewPCG(seed, 2))))
	}
}

// checkDecision asserts what holds for every decision.
func checkDecision(t *testing.T, v View) {
	t.Helper()
	d := decide(v)
	if !slices.IsSortedFunc(d.Addresses, func(a, b Address) int { return a.Addr.Compare(b.Addr) }) {
		t.Fatal("addresses are not sorted")
	}
	known, proxied := map[string]bool{}, map[string]bool{}
	for _, n := range v.Nodes {
		known[n.Name] = true
	}
	for _, s := range v.Speakers {
		known[s.Node], proxied[s.Node] = true, s.KubeProxy == lb.Alive
	}
	for _, a := range d.Addresses {
		if (first(a) == "") != (a.Problem != nil) {
			t.Fatalf("%s: owner %q with problem %v: one of them must say what happens", a.Addr, first(a), a.Problem)
		}
		if first(a) != "" && a.Ranked()[0].Node != first(a) {
			t.Fatalf("%s: owner %q is not the first candidate", a.Addr, first(a))
		}
		for _, c := range a.Ranked() {
			if len(c.Interfaces) == 0 {
				t.Fatalf("%s: candidate %s would answer nowhere", a.Addr, c.Node)
			}
		}
		unhealthy := slices.ContainsFunc(a.Rejected, func(r Rejection) bool { return r.Reason == KubeProxyUnhealthy })
		if unhealthy && !slices.ContainsFunc(a.Candidates, func(c Candidate) bool { return proxied[c.Node] }) {
			t.Fatalf("%s: a node is left out for its kube-proxy, and no candidate has a better one", a.Addr)
		}
		if told := len(a.Candidates) + len(a.Rejected); told != len(known) && len(a.Rejected)+len(a.Candidates) != 0 {
			t.Fatalf("%s: %d nodes are told about, %d are known", a.Addr, told, len(known))
		}
	}
}

func TestLosingANodeMovesOnlyItsOwnAddresses(t *testing.T) {
	moved := 0
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		v := random(r)
		for i := range v.Services { // the rules for Local Services and kube-proxy compare nodes, which this property is not about
			v.Services[i].Local = false
			v.Services[i].Endpoints = map[string]lb.Endpoints{"": {Ready: 1}}
		}
		for i := range v.Speakers { // the same prefixes everywhere: losing the last one on a segment makes another the segment
			v.Speakers[i].Interfaces = []lb.Interface{up("eth0", onLAN), up("eth1", onMgmt), up("eth2")}
			v.Speakers[i].KubeProxy = lb.Unknown
		}
		if len(v.Speakers) == 0 {
			continue
		}
		before := decide(v)
		dead := r.IntN(len(v.Speakers))
		name := v.Speakers[dead].Node
		v.Speakers = slices.Delete(slices.Clone(v.Speakers), dead, dead+1)
		after := owners(decide(v))
		for _, a := range before.Addresses {
			switch {
			case first(a) == "": // losing the last node with a subnet may let others step in (the second row of onSegment)
			case first(a) != name && after[a.Addr.String()] != first(a):
				t.Fatalf("seed %d: %s was lost and %s moved from %s to %s", seed, name, a.Addr, first(a), after[a.Addr.String()])
			case first(a) == name && len(a.Candidates) > 1 && after[a.Addr.String()] != a.Ranked()[1].Node:
				t.Fatalf("seed %d: %s was lost and %s went to %s, not to the second candidate %s", seed, name, a.Addr,
					after[a.Addr.String()], a.Ranked()[1].Node)
			case first(a) == name:
				moved++
			}
		}
	}
	if moved < 100 {
		t.Errorf("only %d addresses moved: the worlds are too poor to show anything", moved)
	}
}

func TestTenThousandAddressesOnAHundredNodes(t *testing.T) {
	v := large(10_000, 100)
	start := time.Now()
	d := decide(v)
	took := time.Since(start)
	count := map[string]int{}
	for _, a := range d.Addresses {
		count[first(a)]++
	}
	if len(d.Addresses) != 10_000 || len(count) != 100 {
		t.Fatalf("%d addresses on %d nodes, want 10000 on 100", len(d.Addresses), len(count))
	}
	// A generous bound: only something that is no longer linear breaks it.
	if took > 20*time.Second {
		t.Errorf("deciding took %v", took)
	}
}

// large is a flat network with one Service for each address.
func large(addresses, nodes int) View {
	lan := netip.MustParsePrefix("10.0.0.0/8")
	v := View{Pools: []lb.Pool{{Name: "p", Ranges: ranges("10.0.0.0-10.255.255.255")}}, Advertisements: []lb.Advertisement{{Name: "ad"}}}
	for i := range nodes {
		name := fmt.Sprintf("worker-%03d.example.com", i)
		v.Nodes = append(v.Nodes, lb.Node{Name: name})
		v.Speakers = append(v.Speakers, lb.Speaker{Node: name, Interfaces: []lb.Interface{up("eth0", lan), up("eth1", onLAN)}})
	}
	for i := range addresses {
		s := service(fmt.Sprintf("s%05d", i), netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(10<<24+i)))))
		v.Services = append(v.Services, s)
	}
	return v
}

func BenchmarkDecide(b *testing.B) {
	v := large(10_000, 100)
	for b.Loop() {
		decide(v)
	}
}

func FuzzDecide(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkDecision(t, random(rand.New(rand.NewPCG(seed, 4)))) })
}
