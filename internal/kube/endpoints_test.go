package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func endpoint(addr, node string, ready, serving *bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{addr}, Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: serving}}
	if node != "" {
		e.NodeName = &node
	}
	return e
}

func slice(t discoveryv1.AddressType, es ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{AddressType: t, Endpoints: es}
}

func TestEndpoints(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name   string
		slices []*discoveryv1.EndpointSlice
		want   map[string]lb.Endpoints
	}{
		{"none", nil, map[string]lb.Endpoints{}},
		{"unset conditions mean ready and serving",
			[]*discoveryv1.EndpointSlice{slice("IPv4", endpoint("10.0.0.1", "n1", nil, nil))},
			map[string]lb.Endpoints{"n1": {Ready: 1, Serving: 1}}},
		{"not ready with serving unset is not serving",
			[]*discoveryv1.EndpointSlice{slice("IPv4", endpoint("10.0.0.1", "n1", &no, nil))},
			map[string]lb.Endpoints{"n1": {}}},
		{"terminating and still serving",
			[]*discoveryv1.EndpointSlice{slice("IPv4", endpoint("10.0.0.1", "n1", &no, &yes))},
			map[string]lb.Endpoints{"n1": {Serving: 1}}},
		{"an address in two slices counts once",
			[]*discoveryv1.EndpointSlice{slice("IPv4", endpoint("10.0.0.1", "n1", &no, &no)), slice("IPv4", endpoint("10.0.0.1", "n1", &yes, &yes))},
			map[string]lb.Endpoints{"n1": {Ready: 1, Serving: 1}}},
		{"a dual-stack pod counts once",
			[]*discoveryv1.EndpointSlice{slice("IPv4", endpoint("10.0.0.1", "n1", nil, nil)), slice("IPv6", endpoint("fd00::1", "n1", nil, nil))},
			map[string]lb.Endpoints{"n1": {Ready: 1, Serving: 1}}},
		{"each node has its own count",
			[]*discoveryv1.EndpointSlice{slice("IPv4", endpoint("10.0.0.1", "n1", nil, nil), endpoint("10.0.0.2", "n2", nil, nil), endpoint("10.0.0.3", "n2", nil, nil))},
			map[string]lb.Endpoints{"n1": {Ready: 1, Serving: 1}, "n2": {Ready: 2, Serving: 2}}},
		{"an endpoint without a node",
			[]*discoveryv1.EndpointSlice{slice("IPv4", endpoint("198.51.100.9", "", nil, nil))},
			map[string]lb.Endpoints{"": {Ready: 1, Serving: 1}}},
		{"host names and empty entries are nothing we can count",
			[]*discoveryv1.EndpointSlice{slice("FQDN", endpoint("db.example", "n1", nil, nil)), slice("IPv4", discoveryv1.Endpoint{})},
			map[string]lb.Endpoints{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, Endpoints(c.slices)); d != "" {
				t.Errorf("Endpoints (-want +got):\n%s", d)
			}
		})
	}
}
