package speaker

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// decisionCollector exports the last decision. All the counting is done when somebody asks, so that a decision costs no more than
// a pointer. Labels are words of the code, but for metallb_speaker_announced, which has a series for each Service and address of
// this node: over all speakers, one for each that is announced. It is gone when the address goes. Its label node is that of OnNode.
type decisionCollector struct {
	last atomic.Pointer[decided]

	owned, standIn, trailed, unowned, contested *prometheus.Desc
	deaf, kubeProxy, nodes, announced           *prometheus.Desc
}

func newDecisionCollector() *decisionCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("steelyard_speaker_"+name, help, labels, nil)
	}
	return &decisionCollector{
		owned:     desc("addresses_owned", "Addresses that this node answers for."),
		standIn:   desc("addresses_standing_in", "Addresses of nodes whose speaker does not answer, for which this node answers in their name."),
		trailed:   desc("addresses_trailing", "Addresses that this node has handed over and for which it still answers the new owner."),
		unowned:   desc("addresses_unowned", "Addresses that a Service holds and no node may answer for, by reason.", "reason"),
		contested: desc("addresses_contested", "Addresses that more than one living speaker claims, as this one has heard."),
		deaf:      desc("deaf_interfaces", "Interfaces that are up and on which nobody is heard, though somebody should be there."),
		kubeProxy: desc("kube_proxy_dead", "1 while kube-proxy on this node fails its health check; 0 also where it is not asked."),
		nodes: desc("nodes", "Nodes of the cluster, by what gossip knows of a speaker there: speaking, silent (heard before, and not now) or never (heard).",
			"state"),
		announced: prometheus.NewDesc("metallb_speaker_announced", "1 for each Service and address that this node answers for. MetalLB's name.",
			[]string{"service", "protocol", "ip"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *decisionCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.owned, c.standIn, c.trailed, c.unowned, c.contested, c.deaf, c.kubeProxy, c.nodes, c.announced} {
		out <- d
	}
}

// Collect implements prometheus.Collector. Before the first decision there is nothing.
func (c *decisionCollector) Collect(out chan<- prometheus.Metric) {
	last := c.last.Load()
	if last == nil {
		return
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	v, d := last.view, last.decision
	kinds := map[neighbor.Kind]int{}
	for _, a := range d.Answers {
		kinds[a.Kind]++
	}
	gauge(c.owned, kinds[neighbor.Own])
	gauge(c.standIn, kinds[neighbor.StandIn])
	gauge(c.trailed, kinds[neighbor.Trail])
	for reason, n := range withoutOwner(d) {
		gauge(c.unowned, n, string(reason))
	}
	gauge(c.contested, contested(v, d))
	gauge(c.deaf, deaf(v))
	gauge(c.kubeProxy, kubeProxyDead(v))
	for state, n := range nodes(v) {
		gauge(c.nodes, n, state)
	}
	for _, a := range d.Addresses {
		if a.Owner != v.Self {
			continue
		}
		for _, s := range a.Services {
			gauge(c.announced, 1, s.String(), "layer2", a.Addr.String())
		}
	}
}

// withoutOwner counts addresses without an owner by reason. Where there is none of a reason that means something is broken, it is
// absent; NoEndpoint, the ordinary one, is always there.
func withoutOwner(d ownership.Decision) map[lb.Reason]int {
	out := map[lb.Reason]int{ownership.NoEndpoint: 0}
	for _, a := range d.Addresses {
		if a.Problem != nil {
			out[a.Problem.Reason]++
		}
	}
	return out
}

// alive are the nodes whose speakers live, ourselves included.
func alive(v ownership.View) map[string]bool {
	out := map[string]bool{v.Self: true}
	for _, p := range v.Peers {
		if p.Gossip == lb.Alive {
			out[p.Node] = true
		}
	}
	return out
}

// contested counts the addresses that more than one living speaker claims. One that asks another to take its address does not
// contest it.
func contested(v ownership.View, d ownership.Decision) int {
	living, claims, n := alive(v), make(map[netip.Addr]int, len(d.Addresses)), 0
	for _, s := range v.Speakers {
		if s.Node == v.Self {
			s.Claims = d.Claims // those in the View are of the decision before
		}
		for _, c := range s.Claims {
			if !living[s.Node] || c.HandTo != "" {
				continue
			}
			if claims[c.Addr]++; claims[c.Addr] == 2 {
				n++
			}
		}
	}
	return n
}

// deaf counts our interfaces that hear nobody.
func deaf(v ownership.View) int {
	n := 0
	for _, s := range v.Speakers {
		for _, itf := range s.Interfaces {
			if s.Node == v.Self && itf.Deaf {
				n++
			}
		}
	}
	return n
}

// kubeProxyDead is 1 when our kube-proxy is dead.
func kubeProxyDead(v ownership.View) int {
	if slices.ContainsFunc(v.Speakers, func(s lb.Speaker) bool { return s.Node == v.Self && s.KubeProxy == lb.Dead }) {
		return 1
	}
	return 0
}

// nodes counts the nodes by whether a speaker is heard there.
func nodes(v ownership.View) map[string]int {
	heard := map[string]bool{}
	for _, s := range v.Speakers {
		heard[s.Node] = true
	}
	living, out := alive(v), map[string]int{"speaking": 0, "silent": 0, "never": 0}
	for _, node := range v.Nodes {
		switch {
		case living[node.Name]:
			out["speaking"]++
		case heard[node.Name]:
			out["silent"]++
		default:
			out["never"]++
		}
	}
	return out
}
