package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// dice hands out small numbers from a byte string; when it is used up, zeros.
type dice struct{ data []byte }

func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % n
}

func (d *dice) one(of int) bool { return d.roll(of) == 0 }

// worldFrom builds a small crowded world: few addresses, few keys, few ports, so that every rule meets every other.
func worldFrom(data []byte) World {
	d := &dice{data}
	w := World{Namespaces: twoNamespaces()}
	for i := range d.roll(4) {
		w.Pools = append(w.Pools, d.pool(i))
	}
	for i := range 1 + d.roll(9) {
		w.Services = append(w.Services, d.service(i))
	}
	for range d.roll(4) {
		w.Recent = append(w.Recent, d.addr())
	}
	for range d.roll(3) {
		ns := []string{"default", "other"}[d.roll(2)]
		w.Retained = append(w.Retained, lb.Retention{Address: d.addr(), For: lb.Name{Namespace: ns, Name: fmt.Sprintf("s%d", d.roll(10))}, Until: at(d.roll(3))})
	}
	for range d.roll(3) {
		w.Conflicts = append(w.Conflicts, lb.Conflict{Address: d.addr(), Node: fmt.Sprintf("n%d", d.roll(2))})
	}
	return w
}

func (d *dice) ranges(n int) []netipx.IPRange {
	var out []netipx.IPRange
	for range n {
		a := d.addr()
		b := a
		for range d.roll(4) {
			b = b.Next()
		}
		out = append(out, netipx.IPRangeFrom(a, b))
	}
	return out
}

func (d *dice) addr() netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf([]string{"192.0.2.%d", "2001:db8::%d"}[d.roll(2)], d.roll(8)))
}

func (d *dice) pool(i int) lb.Pool {
	p := lb.Pool{Name: fmt.Sprintf("p%d", i), Created: at(d.roll(2)), AutoAssign: !d.one(4), AvoidBuggyIPs: d.one(4)}
	p.Ranges = d.ranges(1 + d.roll(3))
	if d.one(3) {
		p.Reserved = d.ranges(1 + d.roll(2))
	}
	if d.one(2) {
		p.RetainFor = time.Hour
	}
	for range max(0, d.roll(4)-1) {
		q := lb.Quota{Max: d.roll(4)}
		if d.one(2) {
			q.Namespaces = []string{"other"}
		}
		if d.one(3) {
			q.NamespaceSelectors = []lb.Selector{{{Key: "team", Op: lb.In, Values: []string{"a"}}}}
		}
		p.Quotas = append(p.Quotas, q)
	}
	if d.one(4) {
		p.Allocation = &lb.PoolAllocation{Priority: d.roll(3), Evict: d.one(3)}
		if d.one(2) {
			p.Allocation.Namespaces = []string{"other"}
		}
		if d.one(3) {
			p.Allocation.NamespaceSelectors = []lb.Selector{{{Key: "team", Op: lb.In, Values: []string{"a"}}}}
		}
		if d.one(4) {
			p.Allocation.ServiceSelectors = []lb.Selector{{{Key: "tier", Op: lb.Exists}}}
		}
	}
	return p
}

func (d *dice) service(i int) lb.Service {
	s := aService(fmt.Sprintf("s%d", i), created(d.roll(3)))
	s.UID = fmt.Sprint(d.roll(3))
	s.Managed, s.Deleting = !d.one(10), d.one(10)
	switch d.roll(6) {
	case 1:
		ipv6(&s)
	case 2:
		prefersDual(&s)
	case 3:
		requiresDual(&s)
	case 4:
		prefersDual(&s)
		ipv6First(&s)
	case 5:
		s.Policy = []lb.FamilyPolicy{lb.PreferDualStack, lb.RequireDualStack}[d.roll(2)]
	}
	if d.one(12) {
		s.Families = nil
	}
	if d.one(3) {
		s.Name.Namespace = "other"
	}
	s.SharingKey = []string{"", "k", "l"}[d.roll(3)]
	s.Local, s.Selector = d.one(4), []string{"app=a", "app=b"}[d.roll(2)]
	s.Ports = []lb.Port{{Protocol: "TCP", Number: uint16(d.roll(3))}}
	for range d.roll(3) {
		s.Held = append(s.Held, d.addr())
	}
	s.Held = slices.Compact(s.Held)
	if d.one(3) {
		for range 1 + d.roll(2) {
			s.Requested = append(s.Requested, d.addr())
		}
	}
	if d.one(4) {
		s.RequestedPool = fmt.Sprintf("p%d", d.roll(4))
	}
	if d.one(10) {
		s.Problems = []lb.Problem{{Reason: "InvalidRequest", Message: "what it asks for cannot be read"}}
	}
	return s
}
