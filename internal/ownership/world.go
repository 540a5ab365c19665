package ownership

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// world is a View with what the rules look up often, and the answers they gave already.
type world struct {
	now     time.Time
	self    string
	timing  Timing
	peers   []lb.Peer
	said    map[string]*lb.Speaker
	byLinks map[string]map[string]Condition
	ads     []lb.Advertisement
	pools   []lb.Pool // the oldest first
	nodes   []node    // sorted by name: every Node and every speaker
	byPool  map[string][]int
	groups  map[string]*group
}

// node is one name, with what Kubernetes and gossip say of it.
type node struct {
	name    string
	object  *lb.Node    // nil when there is no Node of that name
	speaker *lb.Speaker // nil when gossip knows none
	problem *lb.Problem // the first of nodeRules that it does not pass
}

// labels of the Node; none when there is no object.
func (n *node) labels() map[string]string {
	if n.object == nil {
		return nil
	}
	return n.object.Labels
}

func newWorld(v View) *world {
	w := &world{now: v.Now, self: v.Self, timing: v.Timing.orDefault(), peers: v.Peers, said: map[string]*lb.Speaker{},
		byLinks: map[string]map[string]Condition{}, ads: slices.Clone(v.Advertisements), pools: slices.Clone(v.Pools), byPool: map[string][]int{}, groups: map[string]*group{}}
	slices.SortFunc(w.ads, func(a, b lb.Advertisement) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(w.pools, func(a, b lb.Pool) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	for i := range v.Speakers {
		w.said[v.Speakers[i].Node] = &v.Speakers[i]
	}
	w.nodes = joinNodes(v.Nodes, v.Speakers)
	rules := nodeRules(v.IgnoreExcludeLB)
	for i := range w.nodes {
		for _, rule := range rules {
			if w.nodes[i].problem = rule(&w.nodes[i]); w.nodes[i].problem != nil {
				break
			}
		}
	}
	return w
}

// joinNodes puts Nodes and speakers together by name.
func joinNodes(objects []lb.Node, speakers []lb.Speaker) []node {
	at := make(map[string]int, len(objects))
	var nodes []node
	get := func(name string) *node {
		i, ok := at[name]
		if !ok {
			i = len(nodes)
			at[name] = i
			nodes = append(nodes, node{name: name})
		}
		return &nodes[i]
	}
	for i := range objects {
		get(objects[i].Name).object = &objects[i]
	}
	for i := range speakers {
		get(speakers[i].Node).speaker = &speakers[i]
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.name, b.name) })
	return nodes
}

// poolOf returns the oldest pool that contains the address, or nil.
func (w *world) poolOf(addr netip.Addr) *lb.Pool {
	for i := range w.pools {
		for _, r := range w.pools[i].Ranges {
			if r.Contains(addr) {
				return &w.pools[i]
			}
		}
	}
	return nil
}

// matching returns the indexes of the advertisements that match the pool and the Service.
func (w *world) matching(pool *lb.Pool, s *lb.Service) []int {
	ofPool, ok := w.byPool[pool.Name]
	if !ok {
		for i, ad := range w.ads {
			if ad.About(pool) {
				ofPool = append(ofPool, i)
			}
		}
		w.byPool[pool.Name] = ofPool
	}
	var set []int
	for _, i := range ofPool {
		if sel := w.ads[i].ServiceSelectors; len(sel) == 0 || lb.AnyMatches(sel, s.Labels) {
			set = append(set, i)
		}
	}
	return set
}

// group returns the nodes' standing for these sets of advertisements, one set for each Service that differs.
func (w *world) group(sets [][]int) *group {
	var key []byte
	for _, set := range sets {
		for _, i := range set {
			key = strconv.AppendInt(append(key, ','), int64(i), 10)
		}
		key = append(key, ';')
	}
	g, ok := w.groups[string(key)]
	if !ok {
		g = newGroup(w, sets)
		w.groups[string(key)] = g
	}
	return g
}
