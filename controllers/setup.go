// Package controllers carries the world to allocate.Plan and its result back: caches in, status patches and Events out. It
// decides nothing about addresses. The Services' own status is the database; what is remembered besides are writes that the
// cache does not show yet (inFlight), which a plan would be wrong without, and which addresses were freed lately (memory). Everything that is written goes through writers that hold up nobody else,
// and that send nothing once the leader's lease may be somebody else's (Fence).
//
// +kubebuilder:rbac:groups="",resources=services;namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=services/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=metallb.io,namespace=metallb-system,resources=ipaddresspools,verbs=get;list;watch
// +kubebuilder:rbac:groups=metallb.io,namespace=metallb-system,resources=ipaddresspools/status,verbs=patch
// +kubebuilder:rbac:groups=metallb.io,namespace=metallb-system,resources=servicel2statuses,verbs=list;watch
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=metallb-system,resources=leases,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=metallb-system,resources=leases,resourceNames=steelyard-controller,verbs=get;update
package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// LeaseName is the Lease that the leader holds, in Options.Namespace.
const LeaseName = "steelyard-controller"

// shutdown is the longest that the writers may take to return when the process is asked to end. Each write ends within
// writeTimeout; the lease must be released within the 30 s that a pod is given by default.
const shutdown = 10 * time.Second

// Options of the controller.
type Options struct {
	Namespace string // of the pools and of the lease
	Class     string // serve Services with exactly this loadBalancerClass; empty: those without one
	Identity  string // of this replica in the lease; must be unique
	Metrics   *Metrics
	Page      *StatusPage // may be nil
}

// Setup wires a manager that is ready to be started. A manager runs once: after a lost lease, set up another.
func Setup(cfg *rest.Config, o Options) (manager.Manager, error) {
	fence := &Fence{}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, o.Namespace, LeaseName,
		resourcelock.ResourceLockConfig{Identity: o.Identity}, cfg, RenewDeadline)
	if err != nil {
		return nil, fmt.Errorf("making the lease lock: %w", err)
	}
	mgr, err := ctrl.NewManager(cfg, managerOptions(o, fence.Lock(lock)))
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	recorder := newPacedRecorder(mgr.GetEventRecorder("steelyard-controller"))
	events := &reporter{recorder: recorder}
	w := newWriter(mgr.GetClient(), fence, events, o.Metrics)
	recorder.busy = func() bool { return w.queue.Len() > 0 }
	pools := newPoolWriter(mgr.GetClient(), o.Namespace, fence, events, o.Metrics)
	p := &planner{
		lister:  &lister{reader: mgr.GetClient(), namespace: o.Namespace, class: o.Class},
		barrier: &barrier{live: mgr.GetAPIReader(), namespace: o.Namespace, class: o.Class, unsettled: fence.unsettled, now: time.Now},
		writer:  w, pools: pools, metrics: o.Metrics, now: time.Now,
	}
	if o.Page != nil {
		o.Page.attach(mgr, o, p.recentlyFreed)
	}
	stop := onStop(func() { w.queue.ShutDown(); pools.queue.ShutDown() }) // also of a replica that never led
	for _, r := range []manager.Runnable{w, pools, recorder, leading(o.Metrics), stop} {
		if err := mgr.Add(r); err != nil {
			return nil, fmt.Errorf("adding a writer: %w", err)
		}
	}
	if err := watch(mgr, o, p); err != nil {
		return nil, fmt.Errorf("watching: %w", err)
	}
	return mgr, nil
}

func managerOptions(o Options, lock resourcelock.Interface) ctrl.Options {
	scheme := runtime.NewScheme()
	_ = clientgoscheme.AddToScheme(scheme) // neither fails: the kinds are compiled in
	_ = v1beta1.AddToScheme(scheme)
	return ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&v1beta1.IPAddressPool{}:   {Namespaces: map[string]cache.Config{o.Namespace: {}}},
				&v1beta1.ServiceL2Status{}: {Namespaces: map[string]cache.Config{o.Namespace: {}}}, // watched once StatusPage asks
				&corev1.Service{}:          {Transform: trimService(o.Class)},
				&corev1.Namespace{}:        {Transform: trimNamespace},
			},
		},
		LeaderElection:                      true,
		LeaderElectionID:                    LeaseName,
		LeaderElectionNamespace:             o.Namespace,
		LeaderElectionResourceLockInterface: lock,
		LeaderElectionReleaseOnCancel:       true, // after the writers have returned: the manager stops them first
		GracefulShutdownTimeout:             new(shutdown),
		LeaseDuration:                       new(LeaseDuration),
		RenewDeadline:                       new(RenewDeadline),
		RetryPeriod:                         new(RetryPeriod),
		Metrics:                             metricsserver.Options{BindAddress: "0"}, // both are served by the binary,
		HealthProbeBindAddress:              "0",                                     // also before there is a manager
		Controller:                          config.Controller{SkipNameValidation: new(true)},
	}
}

// watch wakes the planner by everything that a plan looks at. There is one key, so a burst of events is one plan.
func watch(mgr manager.Manager, o Options, p *planner) error {
	plan := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: "plan"}}}
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("plan").
		Watches(&corev1.Service{}, plan, builder.WithPredicates(concerning(o.Class))).
		Watches(&corev1.Namespace{}, plan, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&v1beta1.IPAddressPool{}, plan, builder.WithPredicates(poolChanged())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 1,
			EnableWarmup:            new(true), // a standby has its caches filled when it takes over
		}).
		Complete(p)
}

// leading shows in the metrics that this replica is the leader.
func leading(m *Metrics) manager.RunnableFunc {
	return func(ctx context.Context) error {
		m.Lead(true)
		<-ctx.Done()
		m.Lead(false)
		return nil
	}
}

// onStop is called when the manager ends, on every replica.
type onStop func()

// Start implements manager.Runnable.
func (f onStop) Start(ctx context.Context) error {
	<-ctx.Done()
	f()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (onStop) NeedLeaderElection() bool { return false }

// Synced waits until the manager's caches are filled; false when ctx ended before. Standbys fill theirs too.
func Synced(ctx context.Context, mgr manager.Manager) bool {
	for _, kind := range []client.Object{&corev1.Service{}, &corev1.Namespace{}, &v1beta1.IPAddressPool{}} {
		if _, err := mgr.GetCache().GetInformer(ctx, kind); err != nil { // waits for the sync
			return false
		}
	}
	return true
}
