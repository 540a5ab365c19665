// Package adopt says what would become of a cluster that MetalLB serves if Steelyard served it: which addresses Services keep, and
// which settings would mean nothing.
//
// Contract: Check is a function. It runs allocate.Plan, as a controller will that starts on this cluster, so what it says of addresses is
// what happens. The package is pure.
package adopt

import (
	"cmp"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/doctor"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Cluster is what Check looks at.
type Cluster struct {
	World          allocate.World
	Advertisements []lb.Advertisement
	// Others are the objects of MetalLB's other kinds.
	Others []Object
	// Workloads are MetalLB's own.
	Workloads []doctor.Workload
	// Excluded are the patterns of its ConfigMap metallb-excludel2; nil without one.
	Excluded []string
	// Unread is what could not be read of Workloads.
	Unread []doctor.Unread
}

// Object is an object of a kind that Steelyard does not serve.
type Object struct{ Kind, Namespace, Name string }

// The verdicts on a Service.
const (
	Keeps   = "keeps"   // its addresses, and they are answered for
	Waits   = "waits"   // it has none and gets none, as before
	Gains   = "gains"   // it gets an address that it does not have
	Changes = "changes" // it loses an address that it has
	Silent  = "silent"  // it keeps its addresses, and nobody would answer for them by ARP or NDP
)

// Service is what becomes of one.
type Service struct {
	Service string       `json:"service"`
	Before  []netip.Addr `json:"before"`
	After   []netip.Addr `json:"after"`
	Pool    string       `json:"pool,omitempty"`
	Verdict string       `json:"verdict"`
	Why     string       `json:"why,omitempty"`
}

// Setting is something of MetalLB that is not taken over by itself.
type Setting struct {
	Where string `json:"where"`
	What  string `json:"what"`
	// Do is the value of Steelyard's chart that means the same, or a command; empty when there is nothing to do.
	Do string `json:"do,omitempty"`
	// Changes says that something that works with MetalLB would not.
	Changes bool `json:"changes"`
}

// Report is what Check says.
type Report struct {
	// Class is the load balancer class that was looked at.
	Class string `json:"class,omitempty"`
	// Kept is the number of addresses that Services keep, Held of those that they have.
	Kept int `json:"kept"`
	Held int `json:"held"`
	// Changes is how many things would not be as they are.
	Changes  int       `json:"changes"`
	Services []Service `json:"services"`
	Settings []Setting `json:"settings"`
}

// Check plans and compares.
func Check(c Cluster) Report {
	plan := allocate.Plan(c.World)
	r := Report{Services: []Service{}, Settings: c.settings(plan)}
	held := map[lb.Name]lb.Service{}
	for _, s := range c.World.Services {
		held[s.Name] = s
	}
	kept, all := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for _, a := range plan.Services {
		if !held[a.Service].Managed && len(a.Released) == 0 {
			continue // of another type, with an annotation from when it was a LoadBalancer
		}
		s := c.service(held[a.Service], a)
		for _, addr := range s.Before {
			all[addr] = true
			if slices.Contains(s.After, addr) {
				kept[addr] = true
			}
		}
		if s.Verdict != Keeps && s.Verdict != Waits {
			r.Changes++
		}
		r.Services = append(r.Services, s)
	}
	slices.SortStableFunc(r.Services, func(a, b Service) int { return cmp.Compare(rank(a.Verdict), rank(b.Verdict)) })
	for _, s := range r.Settings {
		if s.Changes {
			r.Changes++
		}
	}
	r.Kept, r.Held = len(kept), len(all)
	return r
}

// rank puts what changes first.
func rank(verdict string) int {
	return slices.Index([]string{Changes, Silent, Gains, Waits, Keeps}, verdict)
}

// service judges one Service by what the plan makes of it.
func (c Cluster) service(s lb.Service, a allocate.Assignment) Service {
	out := Service{Service: a.Service.String(), Before: s.Held, After: a.Addresses, Pool: a.Pool, Verdict: Keeps}
	if out.Before == nil {
		out.Before = []netip.Addr{}
	}
	if out.After == nil {
		out.After = []netip.Addr{}
	}
	if a.Problem != nil {
		out.Why = string(a.Problem.Reason) + ": " + a.Problem.Message
	}
	switch {
	case len(a.Released) > 0:
		out.Verdict, out.Why = Changes, string(a.Released[0].Why.Reason)+": "+a.Released[0].Why.Message
	case len(a.Assigned) > 0:
		out.Verdict, out.Why = Gains, "MetalLB gave it none"
	case len(a.Addresses) == 0:
		out.Verdict = Waits
	case !c.advertised(s, a):
		out.Verdict, out.Why = Silent, "no L2Advertisement is about its pool and its labels"
	}
	return out
}

// advertised says whether an advertisement is about the Service and every pool that it has an address from.
func (c Cluster) advertised(s lb.Service, a allocate.Assignment) bool {
	for _, addr := range a.Addresses {
		pool := slices.IndexFunc(c.World.Pools, func(p lb.Pool) bool {
			return slices.ContainsFunc(p.Ranges, func(r netipx.IPRange) bool { return r.Contains(addr) })
		})
		about := func(ad lb.Advertisement) bool {
			return ad.About(&c.World.Pools[pool]) && (len(ad.ServiceSelectors) == 0 || lb.AnyMatches(ad.ServiceSelectors, s.Labels))
		}
		if pool < 0 || !slices.ContainsFunc(c.Advertisements, about) {
			return false
		}
	}
	return true
}
