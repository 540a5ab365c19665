package ownership

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// group is how the nodes stand towards one set of advertisements.
type group struct {
	standings []standing // in the order of world.nodes
	// prefixes are all on-link prefixes of the interfaces that the advertisements allow, on any node they select, up or not.
	prefixes []netip.Prefix
	segments map[string]*segment
}

// standing is what the advertisements of a group say of one node.
type standing struct {
	name    string
	speaker *lb.Speaker
	problem *lb.Problem
	weight  int
	allowed []lb.Interface // sorted by name
}

func newGroup(w *world, sets [][]int) *group {
	g := &group{segments: map[string]*segment{}}
	for i := range w.nodes {
		n := &w.nodes[i]
		st := w.stand(n, sets)
		for _, itf := range st.allowed {
			g.prefixes = append(g.prefixes, itf.Prefixes...)
		}
		if n.problem != nil {
			st.problem = n.problem
		}
		g.standings = append(g.standings, st)
	}
	slices.SortFunc(g.prefixes, comparePrefix)
	g.prefixes = slices.Compact(g.prefixes)
	return g
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// stand asks the advertisements about one node: each Service's set must select it, and the interfaces that it may use are those
// that every set allows. An advertisement without interfaces allows all; a set allows what any of its advertisements allows.
func (w *world) stand(n *node, sets [][]int) standing {
	st := standing{name: n.name, speaker: n.speaker}
	if n.speaker == nil || len(n.speaker.Interfaces) == 0 {
		return st // a rule of the node says so
	}
	st.allowed = n.speaker.Interfaces
	counted := map[int]bool{}
	for _, set := range sets {
		selecting := slices.DeleteFunc(slices.Clone(set), func(i int) bool {
			sel := w.ads[i].NodeSelectors
			return len(sel) > 0 && !lb.AnyMatches(sel, n.labels())
		})
		if len(selecting) == 0 {
			return standing{name: n.name, speaker: n.speaker, problem: &lb.Problem{Reason: NotSelected,
				Message: "the nodeSelectors of L2Advertisement " + w.adNames(set) + " do not select the node"}}
		}
		st.allowed = w.allow(selecting, st.allowed)
		for _, i := range selecting {
			if !counted[i] {
				counted[i] = true
				st.weight += weight(w.ads[i], n.labels())
			}
		}
	}
	if len(st.allowed) == 0 {
		st.problem = w.interfaceMissing(sets)
	}
	return st
}

// allow returns the interfaces that one of the advertisements allows.
func (w *world) allow(ads []int, from []lb.Interface) []lb.Interface {
	var names []string
	for _, i := range ads {
		if len(w.ads[i].Interfaces) == 0 {
			return from
		}
		names = append(names, w.ads[i].Interfaces...)
	}
	var out []lb.Interface
	for _, itf := range from {
		if slices.Contains(names, itf.Name) {
			out = append(out, itf)
		}
	}
	return out
}

func (w *world) interfaceMissing(sets [][]int) *lb.Problem {
	var names []string
	for _, i := range slices.Concat(sets...) {
		names = append(names, w.ads[i].Interfaces...)
	}
	slices.Sort(names)
	return &lb.Problem{Reason: InterfaceMissing, Message: fmt.Sprintf("it has no interface %s, which L2Advertisement %s wants",
		strings.Join(slices.Compact(names), ", "), w.adNames(slices.Concat(sets...)))}
}

func (w *world) adNames(set []int) string {
	names := make([]string, 0, len(set))
	for _, i := range set {
		names = append(names, w.ads[i].Name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// weight is the sum of the preferences that match the node.
func weight(ad lb.Advertisement, labels map[string]string) int {
	sum := 0
	for _, p := range ad.Preferred {
		if p.Nodes.Matches(labels) {
			sum += p.Weight
		}
	}
	return sum
}

// segment returns the outcome for an address. Addresses that are held by the same prefixes have the same outcome.
func (g *group) segment(w *world, addr netip.Addr) *segment {
	var key []byte
	var holding []netip.Prefix
	for i, p := range g.prefixes {
		if p.Contains(addr) {
			key = strconv.AppendInt(append(key, ','), int64(i), 10)
			holding = append(holding, p)
		}
	}
	s, ok := g.segments[string(key)]
	if !ok {
		s = g.newSegment(w, holding)
		g.segments[string(key)] = s
	}
	return s
}
