package ownership

import (
	"cmp"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// loads counts the addresses of each node, and bounds them: consistent hashing with bounded loads, factor 1.25. The load is
// looked at when a free address is given out and when an owner gives one away, and never in a takeover: there each candidate
// would wait for another.
type loads struct {
	count map[string]int
	bound int
}

// newLoads counts what is claimed now. The bound is over all addresses, also those that nobody has yet: so it does not grow while
// they are given out, and every speaker has the same.
//
// The mean is over the nodes that work and may own addresses at all; what an advertisement or a segment leaves out still counts.
func newLoads(addresses int, claims map[string]int, nodes []node, conditions map[string]Condition) *loads {
	n := 0
	for _, x := range nodes {
		if x.problem == nil && conditions[x.name] == Working {
			n++
		}
	}
	l := &loads{count: claims, bound: addresses}
	if n > 0 {
		l.bound = (5*addresses + 4*n - 1) / (4 * n) // ceil(1.25 × addresses ÷ n)
	}
	return l
}

func (l *loads) full(node string) bool { return l.count[node] >= l.bound }

// byLoad returns the candidates in the order in which they should be given an address: as ranked, but those that are full after
// those that have room and are preferred as much. The preferred would get it back all the same.
func (l *loads) byLoad(ranked []Candidate) []Candidate {
	full := func(c Candidate) int {
		if l.full(c.Node) {
			return 1
		}
		return 0
	}
	ranked = slices.Clone(ranked)
	slices.SortStableFunc(ranked, func(a, b Candidate) int {
		return cmp.Or(-cmp.Compare(a.Weight, b.Weight), cmp.Compare(full(a), full(b)))
	})
	return ranked
}

// countClaims counts the claims of every speaker; ours are the holdings. Nobody asks for those of one that is gone.
func countClaims(speakers []lb.Speaker, self string, own int) map[string]int {
	out := map[string]int{self: own}
	for _, s := range speakers {
		if s.Node != self {
			out[s.Node] = len(s.Claims)
		}
	}
	return out
}
