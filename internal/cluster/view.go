package cluster

import (
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// View puts the objects into what a speaker of the class knows besides: its Nodes, Services, Pools and Advertisements become those of
// the cluster.
func (o Objects) View(v ownership.View, class string) ownership.View {
	v.Nodes, v.Services, v.Pools, v.Advertisements = nil, o.announced(class), nil, nil
	for i := range o.Nodes {
		v.Nodes = append(v.Nodes, kube.Node(&o.Nodes[i]))
	}
	for i := range o.Pools {
		v.Pools = append(v.Pools, kube.Pool(&o.Pools[i]))
	}
	for i := range o.Advertisements {
		v.Advertisements = append(v.Advertisements, kube.Advertisement(&o.Advertisements[i]))
	}
	return v
}

// announced are the Services of the class that hold an address, with their endpoints, sorted by name.
func (o Objects) announced(class string) []lb.Service {
	endpoints := o.Endpoints()
	var out []lb.Service
	for i := range o.Services {
		svc := kube.Service(&o.Services[i], class)
		if !svc.Managed || len(svc.Held) == 0 {
			continue
		}
		svc.Endpoints = endpoints[svc.Name]
		out = append(out, svc)
	}
	slices.SortFunc(out, func(a, b lb.Service) int { return a.Name.Compare(b.Name) })
	return out
}

// Endpoints counts those of each Service that has any, by node.
func (o Objects) Endpoints() map[lb.Name]map[string]lb.Endpoints {
	parts := map[lb.Name][]*discoveryv1.EndpointSlice{}
	for i := range o.EndpointSlices {
		s := &o.EndpointSlices[i]
		name := lb.Name{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
		parts[name] = append(parts[name], s)
	}
	out := make(map[lb.Name]map[string]lb.Endpoints, len(parts))
	for name, list := range parts {
		out[name] = kube.Endpoints(list)
	}
	return out
}
