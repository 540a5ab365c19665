package allocate

import (
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Location is what the pools and the Services say of one address.
type Location struct {
	// Pool is the one that may give the address out; empty when none does.
	Pool string
	// Reserved says that only a Service that asks for it by number gets it.
	Reserved bool
	// Avoided says that a pool contains it and leaves it out, because it ends in .0 or .255 (avoidBuggyIPs). Pool is empty then.
	Avoided bool
	// Services have it by the plan, sorted by name.
	Services []lb.Name
	// Retained are the deleted Services that it is kept for; Conflicts are the strangers that answer for it.
	Retained  []lb.Retention
	Conflicts []lb.Conflict
}

// Locate looks an address up in the finished plan of the World.
func Locate(w World, a netip.Addr) Location {
	p := finishedPlan(w)
	out := Location{Retained: p.retained[a]}
	if span := spanOf(p.index, a); span != nil {
		out.Pool, out.Reserved = span.pool.Name, span.reserved
		for _, c := range span.pool.conflicts {
			if c.Address == a {
				out.Conflicts = append(out.Conflicts, c)
			}
		}
	} else if i := sort(p.index, a); i < len(p.index) && !a.Less(p.index[i].first) {
		out.Avoided = true
	}
	for _, s := range p.services {
		if slices.Contains(s.ingress(), a) {
			out.Services = append(out.Services, s.Name)
		}
	}
	slices.SortFunc(out.Services, lb.Name.Compare)
	return out
}
