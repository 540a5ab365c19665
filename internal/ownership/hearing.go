package ownership

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// segment is the outcome for the addresses that the same prefixes hold.
type segment struct {
	eligible []Candidate // sorted by node
	// clinging are those that nothing speaks against but that they are deaf or mute; sorted by node. They take nothing. When
	// no working node is better off, they keep what they have.
	clinging []Candidate
	rejected []Rejection // sorted by node
	// proxied and refused are eligible and rejected after the rule about kube-proxy, for addresses without a Local Service.
	proxied []Candidate
	refused []Rejection
	// conditions of all speakers, as our interfaces on the segment see them.
	conditions map[string]Condition
}

// seat is a node on a segment.
type seat struct {
	Candidate
	speaker *lb.Speaker
}

func (g *group) newSegment(w *world, holding []netip.Prefix) *segment {
	s := &segment{conditions: w.conditions(g.ours(w, holding))}
	var seats []seat
	for _, st := range g.standings {
		problem := st.problem
		if problem == nil && s.conditions[st.name] == Gone {
			problem = noSpeaker()
		}
		if problem != nil {
			s.rejected = append(s.rejected, Rejection{st.name, *problem})
			continue
		}
		hearing, deaf, problem := onSegment(st.allowed, holding)
		c := Candidate{Node: st.name, Weight: st.weight, Interfaces: hearing, Condition: s.conditions[st.name]}
		switch {
		case len(hearing) > 0:
			seats = append(seats, seat{c, st.speaker})
		case len(deaf) > 0:
			c.Interfaces = deaf
			s.clinging = append(s.clinging, c)
			fallthrough
		default:
			s.rejected = append(s.rejected, Rejection{st.name, *problem})
		}
	}
	mute := w.mute(seats)
	for _, x := range seats {
		if mute[x.Node] {
			s.clinging = append(s.clinging, x.Candidate)
			s.rejected = append(s.rejected, Rejection{x.Node, lb.Problem{Reason: Mute, Message: "none of the other nodes hears it on the segment any more"}})
			continue
		}
		s.eligible = append(s.eligible, x.Candidate)
	}
	slices.SortFunc(s.clinging, func(a, b Candidate) int { return strings.Compare(a.Node, b.Node) })
	slices.SortFunc(s.rejected, func(a, b Rejection) int { return strings.Compare(a.Node, b.Node) })
	s.proxied, s.refused = w.withKubeProxy(s.eligible, s.rejected)
	return s
}

// ours returns the names of our interfaces on the segment, up or not.
func (g *group) ours(w *world, holding []netip.Prefix) []string {
	var out []string
	for _, st := range g.standings {
		if st.name != w.self {
			continue
		}
		for _, itf := range st.allowed {
			if len(holding) == 0 || slices.ContainsFunc(itf.Prefixes, func(p netip.Prefix) bool { return slices.Contains(holding, p) }) {
				out = append(out, itf.Name)
			}
		}
	}
	return out
}

// answered says whether a working node on the segment answers the questions that we send it there. Then it hears us, and what it
// said of us before is out of date: after a partition both sides say for a moment that they have lost each other.
func (w *world) answered(self seat, all []seat) bool {
	return slices.ContainsFunc(w.peers, func(p lb.Peer) bool {
		there := slices.ContainsFunc(all, func(x seat) bool { return x.Node == p.Node && x.Condition == Working })
		return there && hostLife(p, self.Interfaces) == lb.Alive
	})
}

// mute returns the nodes that nobody hears any more: at least one other working node that hears the segment says so, and all of
// those do. A node that the others never heard (isolated switch ports) is not mute: nobody lost it.
//
// When one is mute, so is any other that has no sound pair left: with every other working node, one of the two says that it has lost
// the other. When a switch parts all its ports, somebody is the first to be lost by all, and nobody is better off.
func (w *world) mute(all []seat) map[string]bool {
	either := func(p, x seat) bool { return lost(p, x) || lost(x, p) }
	out := map[string]bool{}
	for _, broken := range []func(p, x seat) bool{lost, either} {
		for _, x := range all {
			if cutOff(x, all, broken) && !(x.Node == w.self && w.answered(x, all)) {
				out[x.Node] = true
			}
		}
		if len(out) == 0 {
			return nil
		}
	}
	return out
}

// lost says whether p says that it has lost x on the segment.
func lost(p, x seat) bool {
	return slices.ContainsFunc(p.speaker.Lost, func(l lb.Loss) bool { return l.Node == x.Node && slices.Contains(p.Interfaces, l.Interface) })
}

// cutOff says whether x has a pair with another working node, and each of them is broken.
func cutOff(x seat, all []seat, broken func(p, x seat) bool) bool {
	pairs := 0
	for _, p := range all {
		if p.Node == x.Node || p.Condition != Working {
			continue
		}
		if !broken(p, x) {
			return false
		}
		pairs++
	}
	return pairs > 0
}

// onSegment returns the names of the interfaces on which the node would answer, those that are deaf apart:
//
//	prefixes that hold the address      interfaces                        what is wrong otherwise
//	some, on this node or another       those with one of them, and up    NotOnSegment, InterfaceDown, Deaf
//	none on any node                    all that are up                   InterfaceDown, Deaf
//
// The second row is for pools that no node has an address in (docs/adr/0003-on-the-segment.md). A prefix counts even when its
// interface is down: an unplugged cable must not turn the first row into the second and the address onto another network.
func onSegment(allowed []lb.Interface, holding []netip.Prefix) (hearing, deaf []string, problem *lb.Problem) {
	var down []string
	for _, itf := range allowed {
		holds := func(p netip.Prefix) bool { return slices.Contains(holding, p) }
		if len(holding) > 0 && !slices.ContainsFunc(itf.Prefixes, holds) {
			continue
		}
		switch {
		case !itf.Up:
			down = append(down, itf.Name)
		case itf.Deaf:
			deaf = append(deaf, itf.Name)
		default:
			hearing = append(hearing, itf.Name)
		}
	}
	for _, list := range [][]string{hearing, deaf, down} {
		slices.Sort(list)
	}
	switch {
	case len(hearing) > 0:
		return hearing, deaf, nil
	case len(deaf) > 0:
		return nil, deaf, &lb.Problem{Reason: Deaf, Message: "up, but it hears nobody there: " + strings.Join(deaf, ", ")}
	case len(down) > 0:
		return nil, nil, &lb.Problem{Reason: InterfaceDown, Message: "down or without carrier there: " + strings.Join(down, ", ")}
	}
	return nil, nil, &lb.Problem{Reason: NotOnSegment, Message: "it has no address in the subnet of the address on an interface that may be used"}
}
