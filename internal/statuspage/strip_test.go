package statuspage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func ranges(list ...string) []netipx.IPRange {
	var out []netipx.IPRange
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, netipx.RangeOfPrefix(p))
			continue
		}
		out = append(out, netipx.MustParseIPRange(s))
	}
	return out
}

func poolOf(name string, addresses ...string) PoolState {
	return PoolState{Pool: lb.Pool{Name: name, Ranges: ranges(addresses...)}}
}

func holds(name string, addrs ...string) ServiceState {
	s := ServiceState{Service: lb.Service{Name: lb.Name{Namespace: "default", Name: name}, Managed: true, HeldFrom: "lan"}, Decided: true, Complete: true}
	for _, a := range addrs {
		s.Held = append(s.Held, ip(a))
	}
	return s
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func TestAStripIsBoundedWhateverThePoolIs(t *testing.T) {
	for _, c := range []struct {
		name, addresses string
		cells, block    int
		first, last     string // the first cell, and the end of the last
	}{
		{"one address", "192.0.2.7/32", 1, 0, "192.0.2.7-192.0.2.7", "192.0.2.7"},
		{"a /24", "192.0.2.0/24", 256, 0, "192.0.2.0-192.0.2.0", "192.0.2.255"},
		{"257 addresses", "192.0.2.0-192.0.3.0", 129, 31, "192.0.2.0-192.0.2.1", "192.0.3.0"},
		{"a range that no CIDR fits", "192.0.2.5-192.0.4.6", 129, 30, "192.0.2.5-192.0.2.7", "192.0.4.6"},
		{"a /8", "10.0.0.0/8", 256, 16, "10.0.0.0-10.0.255.255", "10.255.255.255"},
		{"all of IPv4", "0.0.0.0/0", 256, 8, "0.0.0.0-0.255.255.255", "255.255.255.255"},
		{"a /32 of IPv6", "2001:db8::/32", 256, 40, "2001:db8::-2001:db8:ff:ffff:ffff:ffff:ffff:ffff", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"all of IPv6", "::/0", 256, 8, "::-ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Of(World{Pools: []PoolState{poolOf("p", c.addresses)}}, noon).Pools[0].Strips[0]
			if first := s.Cells[0].First + "-" + s.Cells[0].Last; len(s.Cells) != c.cells || s.Block != c.block || first != c.first {
				t.Errorf("%d cells of /%d, the first %s; want %d of /%d, %s", len(s.Cells), s.Block, first, c.cells, c.block, c.first)
			}
			for i, cell := range s.Cells[1:] {
				if ip(cell.First) != ip(s.Cells[i].Last).Next() {
					t.Errorf("%s follows %s", cell.First, s.Cells[i].Last)
				}
			}
			if last := s.Cells[len(s.Cells)-1].Last; last != c.last || s.Last != c.last {
				t.Errorf("ends with %s, and says %s; want %s", last, s.Last, c.last)
			}
		})
	}
}

func TestManyRangesAndManyPoolsAreBounded(t *testing.T) {
	var holes []string
	for i := range 1000 {
		holes = append(holes, fmt.Sprintf("10.%d.%d.0/25", i/256, i%256))
	}
	p := Of(World{Pools: []PoolState{poolOf("p", holes...)}}, noon).Pools[0]
	if len(p.Strips) != MaxStrips || p.Left != 1000-MaxStrips || p.Counts.Free != 128_000 || p.Addresses != 128_000 {
		t.Errorf("%d strips, %d left, %d addresses", len(p.Strips), p.Left, p.Addresses)
	}
	if n := cellsOf(p); n > maxCells {
		t.Errorf("%d cells", n)
	}
	var pools []PoolState
	for i := range 500 {
		pools = append(pools, poolOf(fmt.Sprint(i), fmt.Sprintf("10.%d.0.0/17", i/2), fmt.Sprintf("2001:db8:%x::/64", i)))
	}
	n := 0
	for _, p := range Of(World{Pools: pools}, noon).Pools {
		n += cellsOf(p)
	}
	if n > allCells {
		t.Errorf("%d cells of all pools", n)
	}
}

func cellsOf(p Pool) int {
	n := 0
	for _, s := range p.Strips {
		n += len(s.Cells)
	}
	return n
}

func TestAnAddressHasTheFirstOfItsStates(t *testing.T) {
	lan := poolOf("lan", "192.0.2.0/28")
	lan.AvoidBuggyIPs, lan.RetainFor = true, time.Hour
	lan.Reserved = ranges("192.0.2.8-192.0.2.99")
	lan.Retained = []lb.Retention{{Address: ip("192.0.2.2"), For: lb.Name{Namespace: "n", Name: "gone"}}, {Address: ip("192.0.2.1")}, {Address: ip("192.0.2.9")}}
	lan.Conflicts = []lb.Conflict{{Address: ip("192.0.2.3")}, {Address: ip("192.0.2.4")}}
	w := World{Pools: []PoolState{lan}, Services: []ServiceState{holds("web", "192.0.2.1"), holds("contested", "192.0.2.4"), holds("asked", "192.0.2.10"), holds("shares", "192.0.2.1")},
		Recent: []netip.Addr{ip("192.0.2.5"), ip("192.0.2.1"), ip("192.0.2.11")}}
	p := Of(w, noon).Pools[0]
	var got []string
	for _, c := range p.Strips[0].Cells {
		got = append(got, c.Text())
	}
	want := []string{"192.0.2.0: left out", "192.0.2.1: assigned to default/shares, default/web", "192.0.2.2: retained for n/gone", "192.0.2.3: in conflict",
		"192.0.2.4: in conflict, assigned to default/contested", "192.0.2.5: quarantined", "192.0.2.6: free", "192.0.2.7: free", "192.0.2.8: reserved",
		"192.0.2.9: retained for /", "192.0.2.10: assigned to default/asked", "192.0.2.11: reserved", "192.0.2.12: reserved", "192.0.2.13: reserved",
		"192.0.2.14: reserved", "192.0.2.15: reserved"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	if want := (Counts{Conflict: 2, Assigned: 2, Retained: 2, Reserved: 6, Avoided: 1, Quarantined: 1, Free: 2}); p.Counts != want || p.Addresses != 16 {
		t.Errorf("counts %+v of %d, want %+v", p.Counts, p.Addresses, want)
	}
}

func TestBlocksSayHowFullTheyAre(t *testing.T) {
	p := poolOf("p", "2001:db8::/32", "10.0.0.0/16")
	p.Reserved = ranges("2001:db8:ff00::/40", "10.0.1.0/24")
	w := World{Pools: []PoolState{p}}
	for i := range 200 {
		w.Services = append(w.Services, holds(fmt.Sprint(i), fmt.Sprintf("10.0.0.%d", i)))
	}
	w.Services = append(w.Services, holds("v6", "2001:db8::1"), holds("one", "10.0.2.1"))
	got := Of(w, noon).Pools[0]
	v4, v6 := got.Strips[0].Cells, got.Strips[1].Cells
	for i, want := range []string{"assigned q4", "reserved", "assigned q1", "free"} {
		if v4[i].Class() != want {
			t.Errorf("cell %d is %q (%s), want %q", i, v4[i].Class(), v4[i].Text(), want)
		}
	}
	if v6[0].Class() != "assigned q1" || v6[0].Counts.Free != math.MaxInt64 || v6[255].Class() != "reserved" {
		t.Errorf("IPv6: %q %q", v6[0].Class(), v6[255].Class())
	}
	if text := v4[0].Text(); text != "10.0.0.0 to 10.0.0.255: 200 assigned, 56 free" {
		t.Error(text)
	}
}

// TestCountsAgreeWithThePlan compares, for random pools and Services, with what the controller counts.
func TestCountsAgreeWithThePlan(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		some := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(r.IntN(2)), byte(r.IntN(n))}) }
		span := func() netipx.IPRange {
			a, b := some(256), some(256)
			if b.Less(a) {
				a, b = b, a
			}
			return netipx.IPRangeFrom(a, b)
		}
		var w World
		var plan allocate.World
		for i := range 1 + r.IntN(3) {
			p := PoolState{Pool: lb.Pool{Name: fmt.Sprint(i), Created: noon.Add(time.Duration(r.IntN(3))), AutoAssign: true, AvoidBuggyIPs: r.IntN(2) == 0,
				Ranges: []netipx.IPRange{span(), span()}, Reserved: []netipx.IPRange{span()}, RetainFor: time.Hour}}
			for range r.IntN(3) {
				p.Conflicts = append(p.Conflicts, lb.Conflict{Address: some(256), Node: "n"})
			}
			w.Pools, plan.Pools, plan.Conflicts = append(w.Pools, p), append(plan.Pools, p.Pool), append(plan.Conflicts, p.Conflicts...)
		}
		for i := range r.IntN(20) {
			plan.Services = append(plan.Services, lb.Service{Name: lb.Name{Namespace: "n", Name: fmt.Sprint(i)}, UID: fmt.Sprint(i), Managed: true, Families: []lb.Family{lb.IPv4}})
		}
		result := allocate.Plan(plan)
		for i, a := range result.Services {
			plan.Services[i].Name, plan.Services[i].Held = a.Service, a.Addresses
			w.Services = append(w.Services, ServiceState{Service: plan.Services[i]})
		}
		status := Of(w, noon)
		for i, u := range result.Pools {
			c := status.Pools[i].Counts
			if c.Free != u.AvailableIPv4 || c.Assigned != u.AssignedIPv4 {
				t.Fatalf("seed %d, pool %s: %+v; the plan has %d assigned, %d available", seed, u.Pool, c, u.AssignedIPv4, u.AvailableIPv4)
			}
			if status.Pools[i].Addresses != c.total() {
				t.Fatalf("seed %d: %d addresses, counted %d", seed, status.Pools[i].Addresses, c.total())
			}
		}
	}
}
