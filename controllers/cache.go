package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/cluster"
)

// trimService keeps of a Service what a plan looks at. All Services of the cluster are in the cache (a watch cannot select
// by type), and most are none of our business: of those only the identity is kept. Status conditions of others are not
// needed to keep them: the patch merges by type.
func trimService(class string) toolscache.TransformFunc {
	return func(obj any) (any, error) {
		svc, ok := obj.(*corev1.Service)
		if !ok {
			return nil, fmt.Errorf("a %T in the cache of Services", obj)
		}
		keep := metav1.ObjectMeta{
			Namespace: svc.Namespace, Name: svc.Name, UID: svc.UID, ResourceVersion: svc.ResourceVersion,
			CreationTimestamp: svc.CreationTimestamp, DeletionTimestamp: svc.DeletionTimestamp,
			Annotations: ours(svc.Annotations),
		}
		if !cluster.Concerns(svc, class) {
			return &corev1.Service{ObjectMeta: keep, Spec: corev1.ServiceSpec{Type: svc.Spec.Type, LoadBalancerClass: svc.Spec.LoadBalancerClass}}, nil
		}
		keep.Labels = svc.Labels
		out := &corev1.Service{ObjectMeta: keep, Spec: svc.Spec}
		out.Status.LoadBalancer = svc.Status.LoadBalancer
		out.Status.Conditions = slices.DeleteFunc(slices.Clone(svc.Status.Conditions), func(c metav1.Condition) bool { return !isOurs(c) })
		return out, nil
	}
}

func ours(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	maps.DeleteFunc(out, func(k, _ string) bool {
		return !strings.HasPrefix(k, v1beta1.AnnotationPrefix) && !strings.HasPrefix(k, v1beta1.LegacyAnnotationPrefix)
	})
	return out
}

// trimNamespace keeps the name and the labels.
func trimNamespace(obj any) (any, error) {
	ns, ok := obj.(*corev1.Namespace)
	if !ok {
		return nil, fmt.Errorf("a %T in the cache of Namespaces", obj)
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: ns.Name, UID: ns.UID, ResourceVersion: ns.ResourceVersion, Labels: ns.Labels,
	}}, nil
}

// concerning lets through the events of Services that a plan looks at, or looked at before the change.
func concerning(class string) predicate.Predicate {
	yes := func(o client.Object) bool {
		svc, ok := o.(*corev1.Service)
		return ok && cluster.Concerns(svc, class)
	}
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return yes(e.Object) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return yes(e.Object) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return yes(e.ObjectOld) || yes(e.ObjectNew) },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// poolChanged lets through what matters of a pool: what users write, and the conflicts that speakers report in its status.
// Our own writes of the status are of no interest to the next plan.
func poolChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, // the others let these through
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, ok := e.ObjectOld.(*v1beta1.IPAddressPool)
			is, ok2 := e.ObjectNew.(*v1beta1.IPAddressPool)
			return ok && ok2 && !slices.Equal(was.Status.Conflicts, is.Status.Conflicts)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	})
}
