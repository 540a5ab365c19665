package controllers

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/statuspage"
)

// pageSource is where a StatusPage reads: the caches of one manager.
type pageSource struct {
	reader  client.Reader
	options Options
	elected <-chan struct{}     // closed when this replica leads
	recent  func() []netip.Addr // addresses freed lately, as the last plan had them
}

// attach makes the page read from a manager. Its cache of ServiceL2Statuses is filled when somebody looks for the first time, so
// that a page that nobody looks at costs nothing.
func (p *StatusPage) attach(mgr manager.Manager, o Options, recent func() []netip.Addr) {
	p.source.Store(&pageSource{reader: mgr.GetClient(), options: o, elected: mgr.Elected(), recent: recent})
}

// world reads what a page shows.
func (s *pageSource) world(ctx context.Context, now time.Time) (statuspage.World, error) {
	w := statuspage.World{Namespace: s.options.Namespace, Class: s.options.Class, Leader: s.leads()}
	if w.Leader {
		w.Recent = s.recent()
	}
	var pools v1beta1.IPAddressPoolList
	if err := s.list(ctx, &pools, client.InNamespace(s.options.Namespace)); err != nil {
		return w, fmt.Errorf("listing pools: %w", err)
	}
	for i := range pools.Items {
		if cluster.Exists(&pools.Items[i]) {
			w.Pools = append(w.Pools, poolState(&pools.Items[i], now))
		}
	}
	var services corev1.ServiceList
	if err := s.list(ctx, &services); err != nil {
		return w, fmt.Errorf("listing services: %w", err)
	}
	for i := range services.Items {
		if cluster.Concerns(&services.Items[i], s.options.Class) {
			w.Services = append(w.Services, serviceState(&services.Items[i], s.options.Class))
		}
	}
	var statuses v1beta1.ServiceL2StatusList
	if err := s.list(ctx, &statuses, client.InNamespace(s.options.Namespace)); err != nil {
		return w, fmt.Errorf("listing ServiceL2Statuses: %w", err)
	}
	for i := range statuses.Items {
		w.Owners = append(w.Owners, owners(&statuses.Items[i])...)
	}
	return w, nil
}

func (s *pageSource) list(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	return s.reader.List(ctx, into, append(opts, client.UnsafeDisableDeepCopy)...) // only read
}

func (s *pageSource) leads() bool {
	select {
	case <-s.elected:
		return true
	default:
		return false
	}
}

// poolState converts a pool with the conditions that tell of something wrong. Ready repeats what one of the others says, unless the
// pool itself is wrong; and conflicts are told one by one.
func poolState(p *v1beta1.IPAddressPool, now time.Time) statuspage.PoolState {
	out := statuspage.PoolState{Pool: kube.Pool(p), Retained: kube.Retained(p, now), Conflicts: cluster.Conflicts(p, now)}
	for _, c := range p.Status.Conditions {
		told := c.Type == v1beta1.ConditionOverlap || c.Type == v1beta1.ConditionExhausted
		invalid := c.Type == v1beta1.ConditionReady && c.Status == metav1.ConditionFalse && c.Reason == string(allocate.ReasonInvalid)
		if told && c.Status == metav1.ConditionTrue || invalid {
			out.Troubles = append(out.Troubles, lb.Problem{Reason: lb.Reason(c.Reason), Message: c.Message})
		}
	}
	return out
}

// serviceState converts a Service with our condition of it.
func serviceState(svc *corev1.Service, class string) statuspage.ServiceState {
	out := statuspage.ServiceState{Service: kube.Service(svc, class)}
	c := meta.FindStatusCondition(svc.Status.Conditions, v1beta1.ConditionAllocated)
	if c == nil {
		return out
	}
	out.Decided, out.Complete, out.Since = true, c.Status == metav1.ConditionTrue, c.LastTransitionTime.Time
	if c.Reason != reasonAllocated {
		out.Problem = &lb.Problem{Reason: lb.Reason(c.Reason), Message: c.Message}
	}
	return out
}

// owners converts what the owner of a Service's addresses wrote. What does not parse is left out.
func owners(o *v1beta1.ServiceL2Status) []statuspage.Ownership {
	var out []statuspage.Ownership
	for _, owned := range o.Status.Addresses {
		a, err := netip.ParseAddr(owned.Address)
		if err != nil || o.Status.Node == "" {
			continue
		}
		one := statuspage.Ownership{Address: a, Node: o.Status.Node, Standby: owned.Standby, From: owned.From, Cause: owned.Cause}
		if owned.Since != nil {
			one.Since = owned.Since.Time
		}
		out = append(out, one)
	}
	return out
}
