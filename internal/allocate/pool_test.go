package allocate

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// TestPoolCounts: those with "=" are the cases of MetalLB's test of that name. There, a big IPv6 range before others gave a negative
// count, and so did a /32 that is avoided.
func TestPoolCounts(t *testing.T) {
	for _, c := range []struct {
		name   string
		ranges []string
		avoid  bool
		v4, v6 int64
	}{
		{"/24 = 256", []string{"1.2.3.0/24"}, false, 256, 0},
		{"/24 + /25 = 384", []string{"1.2.3.0/24", "2.3.4.128/25"}, false, 384, 0},
		{"/24 + /25 without buggy addresses = 381", []string{"1.2.3.0/24", "2.3.4.128/25"}, true, 381, 0},
		{"/24 + a big IPv6 range = MaxInt64", []string{"1.2.3.0/24", "1000::/16"}, false, 256, math.MaxInt64},
		{"a big IPv6 range first", []string{"1000::/16", "1.2.3.0/24"}, false, 256, math.MaxInt64},
		{"two big IPv6 ranges", []string{"1000::/16", "2000::/16"}, false, 0, math.MaxInt64},
		{"all of IPv6", []string{"::/0"}, false, 0, math.MaxInt64},
		{"IPv4 /31 + IPv6 /127 without buggy addresses = 3", []string{"1.2.3.0/31", "1000::/127"}, true, 1, 2},
		{"a /32 that is buggy", []string{"1.2.3.0/32"}, true, 0, 0},
		{"a /32 that ends in 255", []string{"1.2.3.255/32"}, true, 0, 0},
		{"a /32 that is not buggy", []string{"1.2.3.7/32"}, true, 1, 0},
		{"a range over a boundary", []string{"1.2.3.254-1.2.4.1"}, true, 2, 0},
		{"all of IPv4", []string{"0.0.0.0/0"}, false, 1 << 32, 0},
		{"all of IPv4 without buggy addresses", []string{"0.0.0.0/0"}, true, 1<<32 - 2<<24, 0},
		{"an entry inside another counts once", []string{"1.2.3.0/24", "1.2.3.16/28"}, false, 256, 0},
		{"an entry around another counts once", []string{"1.2.3.16/28", "1.2.3.0/24"}, false, 256, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := aPool("p", c.ranges...)
			p.AvoidBuggyIPs = c.avoid
			u := usage(t, Plan(World{Pools: []lb.Pool{p}}), "p")
			if u.AvailableIPv4 != c.v4 || u.AvailableIPv6 != c.v6 || u.AssignedIPv4 != 0 || u.AssignedIPv6 != 0 {
				t.Errorf("usage = %+v, want %d and %d free", u, c.v4, c.v6)
			}
			if u.Waiting != 0 || len(u.Problems) != 0 {
				t.Errorf("usage = %+v, want no problem", u)
			}
		})
	}
}

// TestSizeAgreesWithCounting: the arithmetic for buggy addresses against a loop.
func TestSizeAgreesWithCounting(t *testing.T) {
	for first := range 520 {
		for _, n := range []int{0, 1, 2, 3, 254, 255, 256, 257, 511, 512} {
			a := netip.AddrFrom4([4]byte{10, 0, byte(first >> 8), byte(first)})
			last := first + n
			b := netip.AddrFrom4([4]byte{10, 0, byte(last >> 8), byte(last)})
			want := 0
			for x := a; x.Compare(b) <= 0; x = x.Next() {
				if !buggy(x) {
					want++
				}
			}
			if got := size(a, b, true).int64(); got != int64(want) {
				t.Fatalf("size(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestOverlappingPools(t *testing.T) {
	older, younger := aPool("z-older", "1.2.3.0/30"), aPool("a-younger", "1.2.3.2-1.2.3.5")
	older.Created, younger.Created = at(1), at(2)
	r := Plan(World{Pools: []lb.Pool{older, younger}, Services: []lb.Service{
		aService("a", fromPool("a-younger")), aService("b", asks("1.2.3.2")), aService("c", fromPool("a-younger"), asks("1.2.3.3")),
	}})
	if got, want := say(r), "a=1.2.3.4 b=1.2.3.2 c=-:PoolMismatch"; got != want {
		t.Errorf("plan = %s, want %s", got, want)
	}
	if p := find(r, lb.Name{Namespace: "default", Name: "b"}).Pool; p != "z-older" {
		t.Errorf("1.2.3.2 is from %s, want z-older", p)
	}
	u := usage(t, r, "a-younger")
	if len(u.Problems) != 1 || u.Problems[0].Reason != ReasonOverlap || !strings.Contains(u.Problems[0].Message, "z-older (1.2.3.2-1.2.3.3)") {
		t.Errorf("problems of the younger = %v, want one Overlap that names z-older and the addresses", u.Problems)
	}
	if u.AvailableIPv4 != 1 || u.AssignedIPv4 != 1 {
		t.Errorf("usage of the younger = %+v, want two addresses of its own", u)
	}
	if u := usage(t, r, "z-older"); len(u.Problems) != 0 {
		t.Errorf("problems of the older = %v, want none", u.Problems)
	}
	younger.Created = older.Created
	r = Plan(World{Pools: []lb.Pool{older, younger}})
	if len(usage(t, r, "z-older").Problems) != 1 {
		t.Error("of two pools of equal age the one with the smaller name shall keep the overlap")
	}
}

func TestRangesAreUsedInTheOrderWritten(t *testing.T) {
	r := Plan(World{Pools: []lb.Pool{aPool("p", "1.2.3.9/32", "1.2.3.1/32", "1.2.3.5/32")}, Services: []lb.Service{
		aService("a"), aService("b"), aService("c"), aService("d"),
	}})
	if got, want := say(r), "a=1.2.3.9 b=1.2.3.1 c=1.2.3.5 d=-:Exhausted"; got != want {
		t.Errorf("plan = %s, want %s", got, want)
	}
}

func TestTheLastAddressesOfEachFamilyAreGiven(t *testing.T) {
	r := Plan(World{Pools: []lb.Pool{aPool("p", "255.255.255.254/31", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127")}, Services: []lb.Service{
		aService("a", requiresDual), aService("b", requiresDual), aService("c", requiresDual),
	}})
	last := "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff"
	want := "a=255.255.255.254," + last + "e b=255.255.255.255," + last + "f c=-:Exhausted"
	if got := say(r); got != want {
		t.Errorf("plan = %s, want %s", got, want)
	}
}

func TestTwoPoolsAreNamedInTheOrderOfTheAddresses(t *testing.T) {
	r := Plan(World{Pools: []lb.Pool{aPool("four", "1.2.3.0/30"), aPool("six", "1000::/64")}, Services: []lb.Service{aService("s", requiresDual, ipv6First)}})
	if got := r.Services[0].Pool; got != "six,four" {
		t.Errorf("Pool = %q, want six,four", got)
	}
}
