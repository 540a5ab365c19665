package ownership

import (
	"fmt"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// The rules, in the order in which they are asked. The first that a node does not pass is the reason it is given.
//
//	what is asked                                               depends on                       reason
//	a pool contains the address                                 address                          NoPool
//	an advertisement matches the pool and each Service          pool, Services                   NotAdvertised
//	an endpoint serves somewhere                                Services                         NoEndpoint
//	the speaker is known to gossip                              node                             NoSpeaker
//	there is a Node object                                      node                             NoNode
//	it is not labelled as excluded                              node                             Excluded
//	it is not drained                                           node                             Drained
//	it is in service                                            node                             OutOfService
//	its network is not unavailable                              node                             NetworkUnavailable
//	its speaker has told of an interface                        node                             NoInterfaces
//	a matching advertisement selects it                         node, advertisements             NotSelected
//	it has an interface that they allow                         node, advertisements             InterfaceMissing
//	one of those is on the segment of the address               node, advertisements, subnets    NotOnSegment
//	its host lives, and so does its speaker, or is waited for   node, segment                    NoSpeaker
//	and that interface is up                                    node, advertisements, subnets    InterfaceDown
//	it hears somebody there, and somebody hears it              node, segment                    Deaf, Mute
//	externalTrafficPolicy Local: the endpoints are here         node, Services                   NoLocalEndpoint
//	its kube-proxy is well, or nobody's is                      node, those that pass the rest   KubeProxyUnhealthy
//
// The third column is why the code has layers: node → group (a set of advertisements) → segment (a group and the subnets that
// hold an address). Each layer is worked out once and shared by all addresses in it.

// nodeRule asks one thing about a node and says what is wrong, or returns nil.
type nodeRule func(*node) *lb.Problem

// nodeRules are the rules that depend on the node only.
func nodeRules(ignoreExcludeLB bool) []nodeRule {
	rules := []nodeRule{speakerKnown, nodeExists}
	if !ignoreExcludeLB {
		rules = append(rules, notExcluded)
	}
	return append(rules, notDrained, inService, networkAvailable, hasInterfaces)
}

func speakerKnown(n *node) *lb.Problem {
	if n.speaker == nil {
		return noSpeaker()
	}
	return nil
}

func noSpeaker() *lb.Problem {
	return &lb.Problem{Reason: NoSpeaker, Message: "no living speaker is known there"}
}

func nodeExists(n *node) *lb.Problem {
	if n.object == nil {
		return &lb.Problem{Reason: NoNode, Message: "a speaker uses this name but there is no such Node"}
	}
	return nil
}

func notExcluded(n *node) *lb.Problem {
	if n.object.Excluded {
		return &lb.Problem{Reason: Excluded, Message: "the Node is labelled node.kubernetes.io/exclude-from-external-load-balancers"}
	}
	return nil
}

func notDrained(n *node) *lb.Problem {
	if n.object.Drained {
		return &lb.Problem{Reason: Drained, Message: "the Node is drained: it is labelled metallb.io/drained"}
	}
	return nil
}

func inService(n *node) *lb.Problem {
	if n.object.OutOfService {
		return &lb.Problem{Reason: OutOfService, Message: "the node is shutting down or has the taint node.kubernetes.io/out-of-service"}
	}
	return nil
}

func networkAvailable(n *node) *lb.Problem {
	if n.object.NetworkUnavailable {
		return &lb.Problem{Reason: NetworkUnavailable, Message: "the Node condition NetworkUnavailable is True"}
	}
	return nil
}

func hasInterfaces(n *node) *lb.Problem {
	if len(n.speaker.Interfaces) == 0 {
		return &lb.Problem{Reason: NoInterfaces, Message: "its speaker has told of no network interface (yet)"}
	}
	return nil
}

// advertised returns, for each Service on the address, the advertisements that match it and the pool, as indexes.
func (w *world) advertised(pool *lb.Pool, services []*lb.Service) ([][]int, *lb.Problem) {
	if pool == nil {
		return nil, &lb.Problem{Reason: NoPool, Message: "no IPAddressPool contains the address"}
	}
	sets := make([][]int, 0, len(services))
	for _, s := range services {
		set := w.matching(pool, s)
		if len(set) == 0 {
			return nil, &lb.Problem{Reason: NotAdvertised,
				Message: fmt.Sprintf("no L2Advertisement matches the pool %s and the Service %s", pool.Name, s.Name)}
		}
		if !slices.ContainsFunc(sets, func(o []int) bool { return slices.Equal(o, set) }) {
			sets = append(sets, set)
		}
	}
	return sets, nil
}

// servedAnywhere wants one endpoint that can answer, on any node, behind one of the Services: an address behind which nothing
// answers is better left silent, so that clients fail at once.
func servedAnywhere(services []*lb.Service) *lb.Problem {
	for _, s := range services {
		for _, e := range s.Endpoints {
			if e.Ready > 0 || e.Serving > 0 {
				return nil
			}
		}
	}
	names := make([]string, 0, len(services))
	for _, s := range services {
		names = append(names, s.Name.String())
	}
	return &lb.Problem{Reason: NoEndpoint, Message: "no endpoint of " + strings.Join(names, ", ") + " is ready or serving"}
}

// localOnly leaves out the nodes without endpoints of every Local Service. Ready endpoints count; where no candidate at all has
// them, those that are terminating and still serve do, as in kube-proxy (KEP-1669).
func localOnly(services []*lb.Service, eligible []Candidate, rejected []Rejection) ([]Candidate, []Rejection) {
	local := services[:0:0]
	for _, s := range services {
		if s.Local {
			local = append(local, s)
		}
	}
	if len(local) == 0 {
		return eligible, rejected
	}
	ready := func(e lb.Endpoints) bool { return e.Ready > 0 }
	serving := func(e lb.Endpoints) bool { return e.Ready > 0 || e.Serving > 0 }
	for _, enough := range []func(lb.Endpoints) bool{ready, serving} {
		stay, gone := partition(local, eligible, enough)
		if len(stay) > 0 || len(gone) == 0 {
			return stay, merge(rejected, gone)
		}
	}
	_, gone := partition(local, eligible, serving)
	return nil, merge(rejected, gone)
}

// partition splits the candidates by whether enough of every Local Service's endpoints are on the node.
func partition(local []*lb.Service, eligible []Candidate, enough func(lb.Endpoints) bool) (stay []Candidate, gone []Rejection) {
	for _, c := range eligible {
		missing := slices.IndexFunc(local, func(s *lb.Service) bool { return !enough(s.Endpoints[c.Node]) })
		if missing < 0 {
			stay = append(stay, c)
			continue
		}
		gone = append(gone, Rejection{c.Node, lb.Problem{Reason: NoLocalEndpoint,
			Message: fmt.Sprintf("externalTrafficPolicy is Local and no endpoint of %s is ready there", local[missing].Name)}})
	}
	return stay, gone
}

// merge returns both lists as one, sorted by node, and leaves them as they are.
func merge(a, b []Rejection) []Rejection {
	out := slices.Concat(a, b)
	slices.SortFunc(out, func(x, y Rejection) int { return strings.Compare(x.Node, y.Node) })
	return out
}
