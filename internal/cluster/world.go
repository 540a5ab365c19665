package cluster

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// MaxConflicts is the number of entries of a pool's status.conflicts.
const MaxConflicts = 64

// World returns what Plan looks at, for a controller of the class. Recent is not in it: only a controller that runs knows which
// addresses were freed lately.
func (o Objects) World(class string, now time.Time) allocate.World {
	w := allocate.World{Namespaces: Namespaces(o.Namespaces)}
	for i := range o.Pools {
		p := &o.Pools[i]
		if !Exists(p) {
			continue
		}
		w.Pools = append(w.Pools, kube.Pool(p))
		w.Retained = append(w.Retained, kube.Retained(p, now)...)
		w.Conflicts = append(w.Conflicts, Conflicts(p, now)...)
	}
	for i := range o.Services {
		if svc := &o.Services[i]; Concerns(svc, class) {
			w.Services = append(w.Services, kube.Service(svc, class))
		}
	}
	return w
}

// Exists says whether a pool has any addresses: while a finalizer holds the object of a deleted one, they are gone for us.
func Exists(p *v1beta1.IPAddressPool) bool { return p.DeletionTimestamp == nil }

// Namespaces returns the labels of each namespace, by name.
func Namespaces(list []corev1.Namespace) map[string]map[string]string {
	out := make(map[string]map[string]string, len(list))
	for i := range list {
		out[list[i].Name] = list[i].Labels
	}
	return out
}

// Conflicts returns the conflicts in the status of a pool that have not ended; of too many, those that end last.
func Conflicts(p *v1beta1.IPAddressPool, now time.Time) []lb.Conflict {
	list := kube.Conflicts(p, now)
	if len(list) <= MaxConflicts {
		return list
	}
	slices.SortStableFunc(list, func(a, b lb.Conflict) int { return b.Until.Compare(a.Until) })
	return list[:MaxConflicts]
}

// Concerns says whether the Service is ours to look at: of type LoadBalancer with exactly our class, or of another type and
// still with our marks. When the type changes the API server drops the class too, so the marks alone tell. A Service with
// another class is somebody else's and is not touched, whatever it carries.
func Concerns(svc *corev1.Service, class string) bool {
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		return kube.Class(svc) == class
	}
	return Marked(svc)
}

// Marked says that the Service carries our annotation or our condition.
func Marked(svc *corev1.Service) bool {
	_, annotated := svc.Annotations[v1beta1.AnnotationAllocatedFromPool]
	return annotated || slices.ContainsFunc(svc.Status.Conditions, func(c metav1.Condition) bool { return c.Type == v1beta1.ConditionAllocated })
}
