package ownership

import (
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// late asks the rules that compare the nodes which pass all others: externalTrafficPolicy Local, then kube-proxy. Where no Service
// is Local the outcome is the same for all addresses of the segment.
func (w *world) late(services []*lb.Service, seg *segment) ([]Candidate, []Rejection) {
	if !slices.ContainsFunc(services, func(s *lb.Service) bool { return s.Local }) {
		return seg.proxied, seg.refused
	}
	return w.withKubeProxy(localOnly(services, seg.eligible, seg.rejected))
}

// withKubeProxy leaves out the nodes whose kube-proxy is dead: they would take the packets for an address and hand them on by old
// rules, or by none. A node that does not ask its kube-proxy counts as well.
//
//	of those that pass every other rule             left out
//	a working one asks, and its kube-proxy is well  those whose kube-proxy is dead
//	none                                            nobody
//
// The second row is for a wrong URL, a cluster without kube-proxy, and one that fails everywhere: what all have in common is no
// reason to prefer one, and an address that nobody answers for helps nobody. So only a node that could have this very address
// speaks for the rule: one that the advertisements leave out, or one without a local endpoint, has no rules to compare. Nodes that
// do not ask prove nothing either: while the flag is being set, node by node, a wrong URL moves nothing.
func (w *world) withKubeProxy(eligible []Candidate, rejected []Rejection) ([]Candidate, []Rejection) {
	says := func(c Candidate, l lb.Life) bool { return w.said[c.Node] != nil && w.said[c.Node].KubeProxy == l }
	dead := func(c Candidate) bool { return says(c, lb.Dead) }
	well := func(c Candidate) bool { return c.Condition == Working && says(c, lb.Alive) }
	if !slices.ContainsFunc(eligible, dead) || !slices.ContainsFunc(eligible, well) {
		return eligible, rejected
	}
	var stay []Candidate
	var gone []Rejection
	for _, c := range eligible {
		if !dead(c) {
			stay = append(stay, c)
			continue
		}
		gone = append(gone, Rejection{c.Node, lb.Problem{Reason: KubeProxyUnhealthy,
			Message: "kube-proxy there fails its health check, and elsewhere it does not"}})
	}
	return stay, merge(rejected, gone)
}

// bides says whether it is too early to give an address up for kube-proxy's sake, and notes since when there is a reason to. When
// kube-proxy dies on all nodes at once, the first to find out would give its addresses to the second, and that one all to the third.
func (d *decider) bides(l *lot, own *holding) bool {
	if d.rejection(l).Reason != KubeProxyUnhealthy {
		own.unproxied = time.Time{}
		return false
	}
	if own.unproxied.IsZero() {
		own.unproxied = d.Now
	}
	due := own.unproxied.Add(proxyWait)
	if !d.Now.Before(due) {
		return false
	}
	d.wake(due)
	return true
}
