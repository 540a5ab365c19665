package cluster

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Nodes returns what Decide looks at of each Node, in the order of the list.
func Nodes(list []corev1.Node) []lb.Node {
	out := make([]lb.Node, 0, len(list))
	for i := range list {
		out = append(out, kube.Node(&list[i]))
	}
	return out
}

// Advertisements returns what Decide looks at of each L2Advertisement, in the order of the list.
func Advertisements(list []v1beta1.L2Advertisement) []lb.Advertisement {
	out := make([]lb.Advertisement, 0, len(list))
	for i := range list {
		out = append(out, kube.Advertisement(&list[i]))
	}
	return out
}

// Endpoints counts those of each Service that has any, by node.
func Endpoints(list []discoveryv1.EndpointSlice) map[lb.Name]map[string]lb.Endpoints {
	parts := map[lb.Name][]*discoveryv1.EndpointSlice{}
	for i := range list {
		s := &list[i]
		name := lb.Name{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
		parts[name] = append(parts[name], s)
	}
	out := make(map[lb.Name]map[string]lb.Endpoints, len(parts))
	for name, slices := range parts {
		out[name] = kube.Endpoints(slices)
	}
	return out
}
