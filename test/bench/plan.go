package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// planRuns is how often each plan is made; the table has the median.
const planRuns = 9

// planFigure is how long one plan takes.
type planFigure struct {
	what string
	took samples
}

// plans measures allocate.Plan alone: no API server, no reading, no writing.
func plans(n int) []planFigure {
	small := pool("small", "10.0.0.0/15") // room for the most Services that are asked for, and no more
	huge := pool("huge", "10.0.0.0/8", "2001:db8::/32")
	full := pool("full", "10.0.0.0/16")
	settled := settle(allocate.World{Pools: []lb.Pool{small}, Services: crowdOf(n)})
	used := settle(allocate.World{Pools: []lb.Pool{full}, Services: crowdOf(1 << 16 * 9 / 10)})
	plusOne := func(w allocate.World) allocate.World {
		w.Services = append(slices.Clone(w.Services), crowdOf(1 << 16)[1<<16-1])
		return w
	}
	inHuge := settled
	inHuge.Pools = []lb.Pool{huge}
	var out []planFigure
	for _, c := range []struct {
		what  string
		world allocate.World
	}{
		{fmt.Sprintf("replan of %d Services that have their addresses", n), settled},
		{"the same and one new Service, from a pool of an IPv4 /8 and an IPv6 /32", plusOne(inHuge)},
		{fmt.Sprintf("%d new Services from a pool of an IPv4 /15", n), allocate.World{Pools: []lb.Pool{small}, Services: crowdOf(n)}},
		{fmt.Sprintf("%d new Services from a pool of an IPv4 /8 and an IPv6 /32", n), allocate.World{Pools: []lb.Pool{huge}, Services: crowdOf(n)}},
		{fmt.Sprintf("one new Service in a /16 of which 90 %% are used (%d Services)", len(used.Services)), plusOne(used)},
	} {
		f := planFigure{what: c.what}
		for range planRuns {
			start := time.Now()
			allocate.Plan(c.world)
			f.took = append(f.took, time.Since(start))
		}
		out = append(out, f)
	}
	return out
}

// crowdOf is n Services that have nothing and want one IPv4 address each.
func crowdOf(n int) []lb.Service {
	out := make([]lb.Service, n)
	born := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range out {
		name := fmt.Sprintf("s%05d", i)
		out[i] = lb.Service{
			Name: lb.Name{Namespace: "bench", Name: name}, UID: name, Created: born.Add(time.Duration(i) * time.Second), Managed: true,
			Families: []lb.Family{lb.IPv4}, Policy: lb.SingleStack, Ports: []lb.Port{{Protocol: "TCP", Number: 80}},
		}
	}
	return out
}

func pool(name string, prefixes ...string) lb.Pool {
	p := lb.Pool{Name: name, AutoAssign: true}
	for _, prefix := range prefixes {
		p.Ranges = append(p.Ranges, netipx.RangeOfPrefix(netip.MustParsePrefix(prefix)))
	}
	return p
}

// settle gives every Service what the plan says.
func settle(w allocate.World) allocate.World {
	has := map[lb.Name]allocate.Assignment{}
	for _, a := range allocate.Plan(w).Services {
		has[a.Service] = a
	}
	for i := range w.Services {
		a := has[w.Services[i].Name]
		w.Services[i].Held, w.Services[i].HeldFrom = a.Addresses, a.Pool
	}
	return w
}

func (t table) writePlans(b *strings.Builder) {
	if len(t.plans) == 0 {
		return
	}
	b.WriteString("\n| one plan, without reading and writing: min / median / max | |\n|---|---|\n")
	for _, f := range t.plans {
		fmt.Fprintf(b, "| %s | %s |\n", f.what, spread(f.took))
	}
}
