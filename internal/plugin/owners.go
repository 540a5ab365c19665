package plugin

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
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
	t := s.testimony()
	out := make([]AddressStatus, 0, len(t.held))
	for a := range t.held {
		out = append(out, t.address(a))
	}
	slices.SortFunc(out, func(a, b AddressStatus) int { return a.Address.Compare(b.Address) })
	return out
}

// testimony is a sight arranged by address, so that telling of one does not go through what was said of all the others.
type testimony struct {
	said    []live.View             // sorted by node
	own     map[netip.Addr][]claim  // what speakers claim for themselves, by node
	held    map[netip.Addr][]string // the Services that have an address, by name
	written map[netip.Addr]written  // what the status objects say
}

// claim is a speaker's word that an address is its own.
type claim struct {
	node, handTo string
}

// written is what the owner of an address wrote into the API.
type written struct {
	status *v1beta1.ServiceL2StatusStatus
	v1beta1.AddressOwnership
}

func (s sight) testimony() testimony {
	t := testimony{said: s.views(), own: map[netip.Addr][]claim{}, held: map[netip.Addr][]string{}, written: writtenBy(s.objects.Statuses)}
	for _, v := range t.said {
		for _, c := range self(v).Claims {
			t.own[c.Address] = append(t.own[c.Address], claim{v.Node, c.HandTo})
		}
	}
	names := map[netip.Addr][]lb.Name{}
	for _, svc := range s.world.Services {
		for _, a := range svc.Held {
			if svc.Managed {
				names[a] = append(names[a], svc.Name)
			}
		}
	}
	for a, list := range names {
		slices.SortFunc(list, lb.Name.Compare)
		for _, n := range list {
			t.held[a] = append(t.held[a], n.String())
		}
	}
	return t
}

// writtenBy arranges the status objects by address. While an address moves two may have it; the first one counts.
func writtenBy(statuses []v1beta1.ServiceL2Status) map[netip.Addr]written {
	out := map[netip.Addr]written{}
	for i := range statuses {
		st := &statuses[i].Status
		for _, owned := range st.Addresses {
			a, err := netip.ParseAddr(owned.Address)
			if _, there := out[a]; err == nil && !there {
				out[a] = written{st, owned}
			}
		}
	}
	return out
}

// address tells of one address.
func (s sight) address(a netip.Addr) AddressStatus { return s.testimony().address(a) }

// address tells of one address. The owner's own word counts, then that of any other speaker, then the status objects.
func (t testimony) address(a netip.Addr) AddressStatus {
	out := AddressStatus{Address: a, Services: append([]string{}, t.held[a]...)}
	claimants := t.claimants(a)
	if len(claimants) > 1 {
		out.Claimants = claimants
	}
	out.Opinions = opinions(t.said, a)
	best := t.best(a, claimants)
	if best < 0 {
		out.fill(t.written[a])
		return out
	}
	out.take(t.said[best], a)
	for _, v := range t.said {
		if said, ok := in(v, a); ok && said.StandIn != "" {
			out.StandIn = said.StandIn
		}
	}
	if w := t.written[a]; len(out.MACs) == 0 && w.status != nil && w.status.Node == out.Owner { // the owner was not asked
		out.MACs, out.Interfaces = w.status.MACs, w.interfaces()
	}
	return out
}

// best returns whose word about an address counts, as an index of said: a claimant's, else that of one who names an owner or a
// problem, else of one who knows the address at all; -1 for nobody's.
func (t testimony) best(a netip.Addr, claimants []string) int {
	named, known := -1, -1
	for i, v := range t.said {
		if slices.Contains(claimants, v.Node) {
			return i
		}
		said, ok := in(v, a)
		if ok && known < 0 {
			known = i
		}
		if ok && named < 0 && (said.Owner != "" || said.Problem != nil) {
			named = i
		}
	}
	if named >= 0 {
		return named
	}
	return known
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
		if sp.Node == said.Owner {
			out.MovingTo = handTo(sp.Claims, a)
		}
	}
	if said.Owner != v.Node {
		return
	}
	at, _ := slices.BinarySearchFunc(v.Answers, a, func(ans live.Answer, a netip.Addr) int { return ans.Address.Compare(a) })
	for _, ans := range v.Answers[at:] {
		if ans.Address != a {
			break
		}
		if ans.Kind == neighbor.Own.String() {
			out.Interfaces = ans.Interfaces
			out.MACs = macsOf(self(v), ans.Interfaces)
		}
	}
}

// handTo is the node to which a claim on the address, if there is one, is being handed.
func handTo(claims []live.Claim, a netip.Addr) string {
	at, ok := slices.BinarySearchFunc(claims, a, func(c live.Claim, a netip.Addr) int { return c.Address.Compare(a) })
	if !ok {
		return ""
	}
	return claims[at].HandTo
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

// fill fills in what the owner wrote into the API, if anything.
func (out *AddressStatus) fill(w written) {
	if w.status == nil {
		return
	}
	out.Source, out.Owner, out.MACs, out.Interfaces = fromStatus, w.status.Node, w.status.MACs, w.interfaces()
	out.Cause, out.From, out.Standby = w.Cause, w.From, w.Standby
	if w.Since != nil {
		out.Since = w.Since.Time
	}
}

// interfaces are the names of those on which the owner answers.
func (w written) interfaces() []string {
	var out []string
	for _, i := range w.status.Interfaces {
		out = append(out, i.Name)
	}
	return out
}

// claimants are the speakers that say of themselves that the address is theirs. One that is handing it to another of them is done.
func (t testimony) claimants(a netip.Addr) []string {
	var out []string
	for _, c := range t.own[a] {
		taken := slices.ContainsFunc(t.own[a], func(o claim) bool { return o.node == c.handTo })
		if !taken {
			out = append(out, c.node)
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
