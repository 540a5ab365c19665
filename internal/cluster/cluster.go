// Package cluster turns the objects of a cluster into what the pure verbs look at: the World of allocate.Plan, and the Nodes,
// L2Advertisements and endpoints of ownership.Decide. The controller and the kubectl plugin both build their World here, so that what
// the plugin explains is what the controller does.
package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// Objects are all that Steelyard looks at, as the API server has them. They are only read. What is not needed may be left out:
// World looks at Services, Namespaces and Pools only.
type Objects struct {
	Services       []corev1.Service
	EndpointSlices []discoveryv1.EndpointSlice
	Nodes          []corev1.Node
	Namespaces     []corev1.Namespace
	Pools          []v1beta1.IPAddressPool
	Advertisements []v1beta1.L2Advertisement
	// Statuses say who owns what, as the owners wrote it.
	Statuses []v1beta1.ServiceL2Status
}

// Read lists everything; namespace is that of the pools and of what else is Steelyard's own. A list that fails is an error, never an
// empty list.
func Read(ctx context.Context, reader client.Reader, namespace string) (Objects, error) {
	var services corev1.ServiceList
	var slices discoveryv1.EndpointSliceList
	var nodes corev1.NodeList
	var namespaces corev1.NamespaceList
	var pools v1beta1.IPAddressPoolList
	var ads v1beta1.L2AdvertisementList
	var statuses v1beta1.ServiceL2StatusList
	for _, l := range []struct {
		what string
		list client.ObjectList
		opts []client.ListOption
	}{
		{"IPAddressPools", &pools, []client.ListOption{client.InNamespace(namespace)}},
		{"L2Advertisements", &ads, []client.ListOption{client.InNamespace(namespace)}},
		{"ServiceL2Statuses", &statuses, []client.ListOption{client.InNamespace(namespace)}},
		{"Services", &services, nil},
		{"EndpointSlices", &slices, nil},
		{"Nodes", &nodes, nil},
		{"Namespaces", &namespaces, nil},
	} {
		if err := reader.List(ctx, l.list, l.opts...); err != nil {
			return Objects{}, fmt.Errorf("listing %s: %w", l.what, err)
		}
	}
	return Objects{Services: services.Items, EndpointSlices: slices.Items, Nodes: nodes.Items, Namespaces: namespaces.Items,
		Pools: pools.Items, Advertisements: ads.Items, Statuses: statuses.Items}, nil
}
