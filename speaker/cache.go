package speaker

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
)

// serviceIndex finds the EndpointSlices of a Service by "namespace/name".
const serviceIndex = "service"

// API requests per second of one speaker: only status objects and Events count, and those are written when an address moves.
const (
	apiQPS   = 100
	apiBurst = 200
)

// newCluster returns the caches and the client. Every node holds these caches, so objects are stripped of what is not read; they
// are handed out without a copy and must not be written to.
func newCluster(o Options) (cluster.Cluster, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering API types: %w", err)
		}
	}
	cfg := rest.CopyConfig(o.Config)
	cfg.QPS, cfg.Burst = apiQPS, apiBurst
	noCopy := true
	ours := map[string]cache.Config{o.Namespace: {}}
	cl, err := cluster.New(cfg, func(c *cluster.Options) {
		c.Scheme = scheme
		c.Logger = o.Log.V(1)
		c.Cache = cache.Options{
			DefaultUnsafeDisableDeepCopy: &noCopy,
			DefaultTransform:             strip,
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Pod{}:              {Namespaces: ours},
				&v1beta1.IPAddressPool{}:   {Namespaces: ours},
				&v1beta1.L2Advertisement{}: {Namespaces: ours},
				&v1beta1.ServiceL2Status{}: {Namespaces: ours},
			},
		}
	})
	if err != nil {
		return nil, fmt.Errorf("making the API client: %w", err)
	}
	return cl, nil
}

// strip drops what no part of the speaker reads, before it enters the cache.
func strip(in any) (any, error) {
	obj, ok := in.(client.Object)
	if !ok {
		return in, nil // a tombstone, or a list's metadata
	}
	obj.SetManagedFields(nil)
	switch o := obj.(type) {
	case *corev1.Service:
		stripService(o)
	case *discoveryv1.EndpointSlice:
		stripEndpointSlice(o)
	case *corev1.Node:
		o.Annotations = nil
		o.Spec = corev1.NodeSpec{Taints: slices.DeleteFunc(o.Spec.Taints, func(t corev1.Taint) bool { return !kube.OutOfServiceTaint(t) })}
		o.Status = corev1.NodeStatus{Addresses: o.Status.Addresses, Conditions: telling(o.Status.Conditions)}
	case *corev1.Pod:
		o.Annotations = nil
		o.Spec = corev1.PodSpec{NodeName: o.Spec.NodeName}
		o.Status = corev1.PodStatus{Phase: o.Status.Phase, HostIP: o.Status.HostIP, PodIP: o.Status.PodIP, PodIPs: o.Status.PodIPs}
	}
	return obj, nil
}

func stripService(s *corev1.Service) {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		s.Labels, s.Annotations, s.Status = nil, nil, corev1.ServiceStatus{}
		s.Spec = corev1.ServiceSpec{Type: s.Spec.Type}
		return
	}
	delete(s.Annotations, corev1.LastAppliedConfigAnnotation)
	s.Status.Conditions = nil
}

func stripEndpointSlice(s *discoveryv1.EndpointSlice) {
	s.Annotations, s.OwnerReferences, s.Ports = nil, nil, nil
	s.Labels = map[string]string{discoveryv1.LabelServiceName: s.Labels[discoveryv1.LabelServiceName]}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		s.Endpoints[i] = discoveryv1.Endpoint{Addresses: e.Addresses, Conditions: e.Conditions, NodeName: e.NodeName}
	}
}

// telling keeps the conditions that kube.Node reads, without their times, which change with each heartbeat.
func telling(all []corev1.NodeCondition) []corev1.NodeCondition {
	var out []corev1.NodeCondition
	for _, c := range all {
		if c.Type == corev1.NodeNetworkUnavailable || kube.ShuttingDown(c) {
			out = append(out, corev1.NodeCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message})
		}
	}
	return out
}

// serviceOf is the key of the Service that a slice belongs to, for serviceIndex.
func serviceOf(o client.Object) []string {
	name := o.GetLabels()[discoveryv1.LabelServiceName]
	if name == "" {
		return nil
	}
	return []string{o.GetNamespace() + "/" + name}
}

// watch opens the informers and lets each wake what reads it.
func (s *Speaker) watch(ctx context.Context, cl cluster.Cluster) error {
	c := cl.GetCache()
	if err := c.IndexField(ctx, &discoveryv1.EndpointSlice{}, serviceIndex, serviceOf); err != nil {
		return fmt.Errorf("indexing EndpointSlices: %w", err)
	}
	wakeLoop := func() { poke(s.wake) }
	for _, w := range []struct {
		obj     client.Object
		matters func(before, after client.Object) bool // before is nil for a new object, after for a deleted one
		wake    func()
	}{
		{&corev1.Service{}, anyLoadBalancer, wakeLoop},
		{&discoveryv1.EndpointSlice{}, s.ofLoadBalancer, wakeLoop},
		{&corev1.Node{}, nodeChanged, wakeLoop},
		{&v1beta1.IPAddressPool{}, specChanged, wakeLoop},
		{&v1beta1.L2Advertisement{}, always, wakeLoop},
		{&corev1.Pod{}, always, func() { poke(s.pods) }},
		{&v1beta1.ServiceL2Status{}, always, s.status.poke},
	} {
		inf, err := c.GetInformer(ctx, w.obj, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watching %T: %w", w.obj, err)
		}
		if _, err := inf.AddEventHandler(handler(w.matters, w.wake)); err != nil {
			return fmt.Errorf("watching %T: %w", w.obj, err)
		}
	}
	return nil
}

func handler(matters func(before, after client.Object) bool, wake func()) toolscache.ResourceEventHandler {
	see := func(before, after any) {
		if t, ok := before.(toolscache.DeletedFinalStateUnknown); ok {
			before = t.Obj
		}
		b, _ := before.(client.Object)
		a, _ := after.(client.Object)
		if matters(b, a) {
			wake()
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { see(nil, o) },
		UpdateFunc: func(before, after any) { see(before, after) },
		DeleteFunc: func(o any) { see(o, nil) },
	}
}

func always(_, _ client.Object) bool { return true }

// anyLoadBalancer spares the loop the events of the other Services, which are most of them.
func anyLoadBalancer(before, after client.Object) bool {
	for _, o := range []client.Object{before, after} {
		if s, ok := o.(*corev1.Service); ok && s.Spec.Type == corev1.ServiceTypeLoadBalancer {
			return true
		}
	}
	return false
}

// ofLoadBalancer asks the cache. A Service that is not there yet wakes the loop itself when it comes.
func (s *Speaker) ofLoadBalancer(before, after client.Object) bool {
	o := after
	if o == nil {
		o = before
	}
	name := o.GetLabels()[discoveryv1.LabelServiceName]
	var svc corev1.Service
	err := s.reader.Get(context.Background(), types.NamespacedName{Namespace: o.GetNamespace(), Name: name}, &svc)
	return err == nil && svc.Spec.Type == corev1.ServiceTypeLoadBalancer
}

// nodeChanged passes over heartbeats.
func nodeChanged(before, after client.Object) bool {
	b, ok1 := before.(*corev1.Node)
	a, ok2 := after.(*corev1.Node)
	return !ok1 || !ok2 || !reflect.DeepEqual(kube.Node(b), kube.Node(a))
}

// specChanged passes over the usage counters that the controller writes into the status.
func specChanged(before, after client.Object) bool {
	return before == nil || after == nil || before.GetGeneration() != after.GetGeneration() ||
		!reflect.DeepEqual(before.GetLabels(), after.GetLabels())
}

// poke puts a token into a one-slot channel; one that is there already stands for this one too.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
