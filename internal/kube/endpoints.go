package kube

import (
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// endpointKey is one endpoint of a Service as one family sees it.
type endpointKey struct {
	family discoveryv1.AddressType
	addr   string
}

type endpointState struct {
	node           string
	ready, serving bool
}

// Endpoints counts what can serve on each node, from all the EndpointSlices of one Service; endpoints without a node count
// under "". An address counts once, however many slices hold it. A dual-stack pod has a slice entry in each family, so the
// families are counted apart and the larger count is taken. ready unset means ready, serving unset means as ready
// (k8s.io/api/discovery/v1, EndpointConditions).
func Endpoints(slices []*discoveryv1.EndpointSlice) map[string]lb.Endpoints {
	seen := map[endpointKey]endpointState{}
	for _, s := range slices {
		if s.AddressType != discoveryv1.AddressTypeIPv4 && s.AddressType != discoveryv1.AddressTypeIPv6 {
			continue
		}
		for _, e := range s.Endpoints {
			if len(e.Addresses) == 0 {
				continue
			}
			k := endpointKey{s.AddressType, e.Addresses[0]} // all of them are the same endpoint
			st := seen[k]
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			st.serving = st.serving || (e.Conditions.Serving == nil && ready) || (e.Conditions.Serving != nil && *e.Conditions.Serving)
			st.ready = st.ready || ready
			if e.NodeName != nil && (st.node == "" || *e.NodeName < st.node) {
				st.node = *e.NodeName // the smaller name, so that the order of slices does not matter
			}
			seen[k] = st
		}
	}
	return countEndpoints(seen)
}

func countEndpoints(seen map[endpointKey]endpointState) map[string]lb.Endpoints {
	perFamily := map[discoveryv1.AddressType]map[string]lb.Endpoints{}
	for k, st := range seen {
		if perFamily[k.family] == nil {
			perFamily[k.family] = map[string]lb.Endpoints{}
		}
		c := perFamily[k.family][st.node]
		if st.ready {
			c.Ready++
		}
		if st.serving {
			c.Serving++
		}
		perFamily[k.family][st.node] = c
	}
	out := map[string]lb.Endpoints{}
	for _, nodes := range perFamily {
		for node, c := range nodes {
			have := out[node]
			out[node] = lb.Endpoints{Ready: max(have.Ready, c.Ready), Serving: max(have.Serving, c.Serving)}
		}
	}
	return out
}
