package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Node converts a Node.
func Node(n *corev1.Node) lb.Node {
	_, excluded := n.Labels[corev1.LabelNodeExcludeBalancers]
	_, drained := n.Labels[v1beta1.LabelDrained]
	out := lb.Node{Name: n.Name, Labels: n.Labels, Excluded: excluded, Drained: drained, OutOfService: slices.ContainsFunc(n.Spec.Taints, OutOfServiceTaint)}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeNetworkUnavailable && c.Status == corev1.ConditionTrue {
			out.NetworkUnavailable = true
		}
		if ShuttingDown(c) {
			out.OutOfService = true
		}
	}
	return out
}

// OutOfServiceTaint says whether a taint is the one that an operator puts on a node that will not come back soon, whatever
// its value and effect (KEP-2268, non-graceful node shutdown).
func OutOfServiceTaint(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService }

// ShuttingDown says whether a node condition is what the kubelet writes while its host shuts down gracefully (KEP-2000):
// not Ready, by its own word, and the message among the others it may have to tell. When the kubelet is silent instead, the
// node controller writes Unknown: that is no good-bye.
func ShuttingDown(c corev1.NodeCondition) bool {
	return c.Type == corev1.NodeReady && c.Status == corev1.ConditionFalse &&
		c.Reason == "KubeletNotReady" && strings.Contains(c.Message, "node is shutting down")
}

// Advertisement converts an L2Advertisement. A selector that does not parse selects nothing and becomes a Problem.
func Advertisement(a *v1beta1.L2Advertisement) lb.Advertisement {
	out := lb.Advertisement{Name: a.Name, Pools: a.Spec.IPAddressPools, Interfaces: a.Spec.Interfaces,
		FailbackAlways: a.Spec.Failback == v1beta1.FailbackAlways}
	var pools, nodes, services, preferred []lb.Problem
	out.PoolSelectors, pools = selectors("ipAddressPoolSelectors", a.Spec.IPAddressPoolSelectors)
	out.NodeSelectors, nodes = selectors("nodeSelectors", a.Spec.NodeSelectors)
	out.ServiceSelectors, services = selectors("serviceSelectors", a.Spec.ServiceSelectors)
	for _, p := range a.Spec.PreferredNodeSelectors {
		sel, err := selector(p.Preference.Kubernetes())
		if err != nil {
			preferred = append(preferred, lb.Problem{
				Reason:  ReasonInvalidSelector,
				Message: "preferredNodeSelectors prefers no node because its preference is not a valid label selector: " + err.Error(),
			})
		}
		out.Preferred = append(out.Preferred, lb.Preference{Weight: int(p.Weight), Nodes: sel})
	}
	for _, p := range [][]lb.Problem{pools, nodes, services, preferred} {
		out.Problems = append(out.Problems, p...)
	}
	return out
}
