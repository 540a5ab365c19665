package plugin

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
)

// AddressStatus is who answers for one address.
type AddressStatus struct {
	Address  netip.Addr `json:"address"`
	Pool     string     `json:"pool,omitempty"`
	Services []string   `json:"services"`
	// Refused are Services that hold the address too and may not share it.
	Refused []string `json:"refused,omitempty"`
	// Owner is the node that answers; empty when Problem says why nobody does, or while the next one is found.
	Owner   string        `json:"owner,omitempty"`
	Problem *live.Problem `json:"problem,omitempty"`
	Since   time.Time     `json:"since,omitzero"`
	Cause   string        `json:"cause,omitempty"`
	From    string        `json:"from,omitempty"`
	Standby string        `json:"standby,omitempty"`
	// StandIn answers in the owner's name, whose speaker does not.
	StandIn string `json:"standIn,omitempty"`
	// MovingTo is the node that is taking it over by a planned move.
	MovingTo   string   `json:"movingTo,omitempty"`
	Interfaces []string `json:"interfaces,omitempty"`
	MACs       []string `json:"macs,omitempty"` // those that answers on these interfaces can carry
	// Source is who said so: the node of the speaker that was asked, or "ServiceL2Status" when none could be.
	Source string `json:"source,omitempty"`
	// Claimants are the speakers that say that the address is theirs, if that is more than one.
	Claimants []string `json:"claimants,omitempty"`
	// Opinions are the owners that speakers name, each with the speakers, when they do not agree.
	Opinions map[string][]string `json:"opinions,omitempty"`
}

// fromStatus is Source when no speaker was asked.
const fromStatus = "ServiceL2Status"

// addressesOf tells of every address that a Service has, sorted.
func addressesOf(s sight) []AddressStatus {
	seen := map[netip.Addr]bool{}
	out := []AddressStatus{}
	for _, svc := range s.world.Services {
		for _, a := range svc.Held {
			if svc.Managed && !seen[a] {
				seen[a] = true
				out = append(out, s.address(a))
			}
		}
	}
	slices.SortFunc(out, func(a, b AddressStatus) int { return a.Address.Compare(b.Address) })
	return out
}

// address tells of one address. The owner's own word counts, then that of any other speaker, then the status objects.
func (s sight) address(a netip.Addr) AddressStatus {
	out := AddressStatus{Address: a, Services: s.holders(a)}
	views := s.views()
	claimants := s.claimants(a)
	if len(claimants) > 1 {
		out.Claimants = claimants
	}
	out.Opinions = opinions(views, a)
	best := slices.IndexFunc(views, func(v live.View) bool { return slices.Contains(claimants, v.Node) })
	if best < 0 {
		best = slices.IndexFunc(views, func(v live.View) bool { said, ok := in(v, a); return ok && (said.Owner != "" || said.Problem != nil) })
	}
	if best < 0 { // between two owners, or nobody knows it yet
		best = slices.IndexFunc(views, func(v live.View) bool { _, ok := in(v, a); return ok })
	}
	if best < 0 {
		s.byStatus(a, &out)
		return out
	}
	out.take(views[best], a)
	for _, v := range views {
		if said, ok := in(v, a); ok && said.StandIn != "" {
			out.StandIn = said.StandIn
		}
	}
	if len(out.MACs) == 0 { // the owner was not asked
		written := AddressStatus{}
		if s.byStatus(a, &written); written.Owner == out.Owner {
			out.MACs, out.Interfaces = written.MACs, written.Interfaces
		}
	}
	return out
}

// take fills in what one speaker says.
func (out *AddressStatus) take(v live.View, a netip.Addr) {
	said, ok := in(v, a)
	if !ok {
		return
	}
	out.Source, out.Pool, out.Services, out.Refused, out.Problem = v.Node, said.Pool, said.Services, said.Refused, said.Problem
	out.Owner, out.Since, out.Cause, out.From, out.Standby = said.Owner, said.Since, said.Cause, said.From, said.Standby
	for _, sp := range v.Speakers {
		if sp.Node != said.Owner {
			continue
		}
		for _, c := range sp.Claims {
			if c.Address == a {
				out.MovingTo = c.HandTo
			}
		}
	}
	for _, ans := range v.Answers {
		if ans.Address == a && ans.Kind == "own" && said.Owner == v.Node {
			out.Interfaces = ans.Interfaces
			out.MACs = macsOf(self(v), ans.Interfaces)
		}
	}
}

// macsOf returns the hardware addresses of a speaker's interfaces.
func macsOf(s live.Speaker, interfaces []string) []string {
	var out []string
	for _, i := range s.Interfaces {
		if slices.Contains(interfaces, i.Name) {
			out = append(out, i.MACs...)
		}
	}
	return out
}

// byStatus fills in what the owner wrote into the API.
func (s sight) byStatus(a netip.Addr, out *AddressStatus) {
	for _, o := range s.objects.Statuses {
		for _, owned := range o.Status.Addresses {
			if owned.Address != a.String() {
				continue
			}
			out.Source, out.Owner, out.MACs = fromStatus, o.Status.Node, o.Status.MACs
			out.Cause, out.From, out.Standby = owned.Cause, owned.From, owned.Standby
			if owned.Since != nil {
				out.Since = owned.Since.Time
			}
			for _, i := range o.Status.Interfaces {
				out.Interfaces = append(out.Interfaces, i.Name)
			}
			return
		}
	}
}

// holders are the Services that have the address, by name.
func (s sight) holders(a netip.Addr) []string {
	var names []lb.Name
	for _, svc := range s.world.Services {
		if svc.Managed && slices.Contains(svc.Held, a) {
			names = append(names, svc.Name)
		}
	}
	slices.SortFunc(names, lb.Name.Compare)
	out := []string{}
	for _, n := range names {
		out = append(out, n.String())
	}
	return out
}

// claimants are the speakers that say of themselves that the address is theirs. One that is handing it to another of them is done.
func (s sight) claimants(a netip.Addr) []string {
	claims := map[string]live.Claim{}
	for _, v := range s.views() {
		for _, c := range self(v).Claims {
			if c.Address == a {
				claims[v.Node] = c
			}
		}
	}
	var out []string
	for _, v := range s.views() {
		c, claimed := claims[v.Node]
		if _, taken := claims[c.HandTo]; claimed && !taken {
			out = append(out, v.Node)
		}
	}
	return out
}

// opinions returns which speakers name which owner, or nil when all agree. "" stands for nobody.
func opinions(views []live.View, a netip.Addr) map[string][]string {
	out := map[string][]string{}
	for _, v := range views {
		if said, ok := in(v, a); ok {
			out[said.Owner] = append(out[said.Owner], v.Node)
		}
	}
	if len(out) < 2 {
		return nil
	}
	return out
}
