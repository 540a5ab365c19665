package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// snapshot is what the cache showed at one moment: the objects, and the World made of them. The objects belong to the cache
// and are only read.
type snapshot struct {
	world    allocate.World
	services map[lb.Name]*corev1.Service
	pools    map[string]*v1beta1.IPAddressPool
}

// lister reads snapshots.
type lister struct {
	reader    client.Reader
	namespace string // of the pools
	class     string // --lb-class
	// known are the nouns of the last snapshot, so that a Service is converted once for each of its versions.
	known map[types.UID]converted
}

type converted struct {
	version string
	service lb.Service
}

// list reads everything. A list that fails is an error and never an empty world: an empty world releases every address.
func (l *lister) list(ctx context.Context) (snapshot, error) {
	s := snapshot{services: map[lb.Name]*corev1.Service{}, pools: map[string]*v1beta1.IPAddressPool{}}
	if err := l.listPools(ctx, &s); err != nil {
		return s, fmt.Errorf("listing pools: %w", err)
	}
	var namespaces corev1.NamespaceList
	if err := l.reader.List(ctx, &namespaces, client.UnsafeDisableDeepCopy); err != nil {
		return s, fmt.Errorf("listing namespaces: %w", err)
	}
	s.world.Namespaces = cluster.Namespaces(namespaces.Items)
	if err := l.listServices(ctx, &s); err != nil {
		return s, fmt.Errorf("listing services: %w", err)
	}
	return s, nil
}

func (l *lister) listPools(ctx context.Context, s *snapshot) error {
	var pools v1beta1.IPAddressPoolList
	if err := l.reader.List(ctx, &pools, client.InNamespace(l.namespace), client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	for i := range pools.Items {
		p := &pools.Items[i]
		if !cluster.Exists(p) {
			continue
		}
		s.pools[p.Name] = p
		s.world.Pools = append(s.world.Pools, kube.Pool(p))
	}
	return nil
}

func (l *lister) listServices(ctx context.Context, s *snapshot) error {
	var list corev1.ServiceList
	if err := l.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	known := make(map[types.UID]converted, len(l.known))
	s.world.Services = make([]lb.Service, 0, len(l.known))
	for i := range list.Items {
		svc := &list.Items[i]
		if !cluster.Concerns(svc, l.class) {
			continue
		}
		c, ok := l.known[svc.UID]
		if !ok || c.version != svc.ResourceVersion {
			c = converted{version: svc.ResourceVersion, service: kube.Service(svc, l.class)}
		}
		known[svc.UID] = c
		s.services[c.service.Name] = svc
		s.world.Services = append(s.world.Services, c.service)
	}
	l.known = known
	return nil
}
