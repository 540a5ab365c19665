package speaker

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/speaker/core"
)

// GossipPort is where speakers gossip unless --gossip-bind-address says otherwise. It is not memberlist's own default, 7946, which
// MetalLB's speakers have on the same nodes during a migration.
const GossipPort = 17944

// Two labels mark a speaker Pod; the short one is what older manifests have.
const (
	componentLabel      = "app.kubernetes.io/component"
	shortComponentLabel = "component"
	speakerComponent    = "speaker"
)

// world reads the caches. It fails only when a cache cannot be read at all, which an API server that is away does not cause.
func (s *Speaker) world(ctx context.Context) (core.World, error) {
	v := core.World{MACs: s.status.macs()}
	var nodes corev1.NodeList
	var pools v1beta1.IPAddressPoolList
	var ads v1beta1.L2AdvertisementList
	for _, list := range []client.ObjectList{&nodes, &pools, &ads} {
		if err := s.reader.List(ctx, list); err != nil {
			return v, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	for i := range nodes.Items {
		v.Nodes = append(v.Nodes, kube.Node(&nodes.Items[i]))
	}
	for i := range pools.Items {
		v.Pools = append(v.Pools, kube.Pool(&pools.Items[i]))
	}
	for i := range ads.Items {
		v.Advertisements = append(v.Advertisements, kube.Advertisement(&ads.Items[i]))
	}
	var err error
	v.Services, err = s.services(ctx)
	return v, err
}

// services returns those that we serve and that hold an address, with their endpoints, sorted by name.
func (s *Speaker) services(ctx context.Context) ([]lb.Service, error) {
	var list corev1.ServiceList
	if err := s.reader.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing Services: %w", err)
	}
	var out []lb.Service
	for i := range list.Items {
		if list.Items[i].Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		svc := kube.Service(&list.Items[i], s.Class)
		if !svc.Managed || len(svc.Held) == 0 {
			continue
		}
		var slicesOf discoveryv1.EndpointSliceList
		if err := s.reader.List(ctx, &slicesOf, client.MatchingFields{serviceIndex: svc.Name.String()}); err != nil {
			return nil, fmt.Errorf("listing EndpointSlices of %s: %w", svc.Name, err)
		}
		pointers := make([]*discoveryv1.EndpointSlice, len(slicesOf.Items))
		for j := range slicesOf.Items {
			pointers[j] = &slicesOf.Items[j]
		}
		svc.Endpoints = kube.Endpoints(pointers)
		out = append(out, svc)
	}
	slices.SortFunc(out, func(a, b lb.Service) int { return a.Name.Compare(b.Name) })
	return out, nil
}

// peers returns where the speaker Pods gossip: their address of the family that we use, at the port that we use. Pods that have
// ended or are ending are left out; our own is in, the ring knows it.
func (s *Speaker) peers(ctx context.Context, bind netip.AddrPort) []netip.AddrPort {
	var pods corev1.PodList
	if err := s.reader.List(ctx, &pods, client.InNamespace(s.Namespace)); err != nil {
		s.Log.V(1).Info("listing speaker Pods", "reason", err.Error())
		return nil
	}
	var out []netip.AddrPort
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Labels[componentLabel] != speakerComponent && p.Labels[shortComponentLabel] != speakerComponent {
			continue
		}
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		if a, ok := podAddress(p, lb.FamilyOf(bind.Addr())); ok {
			out = append(out, netip.AddrPortFrom(a, bind.Port()))
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return out
}

// podAddress returns a Pod's address of the family, else its first address, else its host's.
func podAddress(p *corev1.Pod, f lb.Family) (netip.Addr, bool) {
	texts := []string{}
	for _, ip := range p.Status.PodIPs {
		texts = append(texts, ip.IP)
	}
	texts = append(texts, p.Status.PodIP, p.Status.HostIP)
	return pick(texts, f)
}

// pick returns the first address of the family, or else the first address at all.
func pick(texts []string, f lb.Family) (netip.Addr, bool) {
	var addrs []netip.Addr
	for _, t := range texts {
		if a, err := netip.ParseAddr(t); err == nil {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return netip.Addr{}, false
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(rankFamily(a, f), rankFamily(b, f)) })
	return addrs[0], true
}

func rankFamily(a netip.Addr, f lb.Family) int {
	if lb.FamilyOf(a) == f {
		return 0
	}
	return 1
}

// gossipAddress completes --gossip-bind-address with what it leaves out.
func (s *Speaker) gossipAddress(ctx context.Context) (netip.AddrPort, error) {
	addr, port := s.GossipBind.Addr(), s.GossipBind.Port()
	if port == 0 {
		port = GossipPort
	}
	if !addr.IsValid() {
		var err error
		if addr, err = s.awaitInternalIP(ctx); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(addr, port), nil
}

// awaitInternalIP waits for our Node and returns its InternalIP, the IPv4 one if there are two.
func (s *Speaker) awaitInternalIP(ctx context.Context) (netip.Addr, error) {
	said := ""
	for {
		addr, missing, err := s.internalIP(ctx)
		if err != nil || missing == "" {
			return addr, err
		}
		s.Probes.NotReady(missing)
		if missing != said {
			said = missing
			s.Log.Info("waiting for an address to gossip on", "node", s.Node, "reason", missing)
		}
		select {
		case <-ctx.Done():
			return addr, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// internalIP returns the address, or what is missing.
func (s *Speaker) internalIP(ctx context.Context) (addr netip.Addr, missing string, err error) {
	var node corev1.Node
	switch err := s.reader.Get(ctx, types.NamespacedName{Name: s.Node}, &node); {
	case apierrors.IsNotFound(err):
		return addr, fmt.Sprintf("there is no Node named %q (is --node-name right?)", s.Node), nil
	case err != nil:
		return addr, "", fmt.Errorf("reading Node %s: %w", s.Node, err)
	}
	var texts []string
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			texts = append(texts, a.Address)
		}
	}
	addr, ok := pick(texts, lb.IPv4)
	if !ok {
		return addr, fmt.Sprintf("Node %q has no InternalIP (set --gossip-bind-address)", s.Node), nil
	}
	return addr, "", nil
}
