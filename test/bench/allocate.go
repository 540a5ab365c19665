package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/rig"
)

const (
	// crowd is the namespace of the Services that only want an address.
	crowd = "bench-crowd"
	// crowdPool is their pool. Nothing advertises it, so that the controller alone is measured.
	crowdPool = "bench-crowd"
	// workers is how many requests the client has under way in the burst and in the floor alike.
	workers = 16
	// crowdLimit bounds each measurement.
	crowdLimit = 5 * time.Minute
)

// newCrowdPool is the pool of the crowd: 65,536 addresses.
func newCrowdPool() *v1beta1.IPAddressPool {
	no := false
	return &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Name: crowdPool, Namespace: rig.Namespace},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{"10.200.0.0/16"}, AutoAssign: &no},
	}
}

// crowdService is a Service that kube-proxy passes over and that takes no node ports: the cluster's own work for it is small.
func crowdService(i int) *corev1.Service {
	none := false
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("crowd-%04d", i), Namespace: crowd,
			Labels:      map[string]string{"service.kubernetes.io/service-proxy-name": "none"},
			Annotations: map[string]string{v1beta1.AnnotationAddressPool: crowdPool},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, AllocateLoadBalancerNodePorts: &none,
			Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
}

// oneByOne makes n Services, each after the one before has its address, and returns how long each waited: from the create
// request to the watch event that shows the address.
func (b *bench) oneByOne(ctx context.Context, n int) (took samples, err error) {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	w, stop, err := watchAll(ctx, b.Lab)
	if err != nil {
		return nil, err
	}
	defer stop()
	for i := range n {
		svc := crowdService(i)
		start := time.Now()
		if err := b.API.Create(ctx, svc); err != nil {
			return took, fmt.Errorf("creating a Service: %w", err)
		}
		at, err := w.served(ctx, svc.Name)
		if err != nil {
			return took, err
		}
		took = append(took, at.Sub(start))
	}
	return took, b.dismiss(ctx)
}

// burst makes n Services at once and returns how long it took until the last was made and until the last had its address.
func (b *bench) burst(ctx context.Context, n int) (made, addressed time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	w, stop, err := watchAll(ctx, b.Lab)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	start := time.Now()
	if err := b.gather(ctx, n, ""); err != nil {
		return 0, 0, err
	}
	made = time.Since(start)
	all, err := w.await(ctx, n)
	return made, all.last.Sub(start), err
}

// release makes n Services while there is no pool for them, and returns how long it takes from the moment the pool is made
// until the last has its address: allocation alone, to be held against the floor.
func (b *bench) release(ctx context.Context, n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	if err := b.API.Delete(ctx, newCrowdPool()); err != nil {
		return 0, fmt.Errorf("deleting the pool: %w", err)
	}
	w, stop, err := watchAll(ctx, b.Lab)
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := b.gather(ctx, n, ""); err != nil {
		return 0, err
	}
	if err := w.quiet(ctx); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := b.API.Create(ctx, newCrowdPool()); err != nil {
		return 0, fmt.Errorf("creating the pool: %w", err)
	}
	all, err := w.await(ctx, n)
	return all.last.Sub(start), err
}

// gather creates n Services of a class as fast as the API server takes them.
func (b *bench) gather(ctx context.Context, n int, class string) error {
	err := inParallel(n, func(i int) error {
		svc := crowdService(i)
		if class != "" {
			svc.Spec.LoadBalancerClass = &class
		}
		return b.API.Create(ctx, svc)
	})
	if err != nil {
		return fmt.Errorf("creating Services: %w", err)
	}
	return nil
}

// floor makes n Services that no implementation serves and returns how long that takes, and how long a bare loop takes to
// write an address into the status of each: what a controller that decides in no time would need.
func (b *bench) floor(ctx context.Context, n int) (made, patched time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	start := time.Now()
	if err := b.gather(ctx, n, "example.com/nobody"); err != nil {
		return 0, 0, err
	}
	made = time.Since(start)
	start = time.Now()
	err = inParallel(n, func(i int) error {
		patch := fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":"10.200.%d.%d"}]}}}`, i>>8, i&255)
		return b.API.Status().Patch(ctx, crowdService(i), client.RawPatch("application/merge-patch+json", []byte(patch)))
	})
	if err != nil {
		return 0, 0, fmt.Errorf("patching statuses: %w", err)
	}
	patched = time.Since(start)
	return made, patched, b.dismiss(ctx)
}

// inParallel calls f for 0 to n-1, some at a time, and returns the first error.
func inParallel(n int, f func(i int) error) error { return inParallelBy(workers, n, f) }

// inParallelBy is inParallel with that many calls at a time.
func inParallelBy(workers, n int, f func(i int) error) error {
	next := make(chan int)
	errs := make(chan error, workers)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			var failed error
			for i := range next {
				if failed == nil {
					failed = f(i)
				}
			}
			errs <- failed
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// dismiss deletes the crowd and waits until it is gone.
func (b *bench) dismiss(ctx context.Context) error {
	if err := b.API.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(crowd)); err != nil {
		return fmt.Errorf("deleting Services: %w", err)
	}
	return rig.Poll(ctx, func() error {
		var list corev1.ServiceList
		if err := b.API.List(ctx, &list, client.InNamespace(crowd), client.Limit(1)); err != nil {
			return fmt.Errorf("listing Services: %w", err)
		}
		if len(list.Items) > 0 {
			return fmt.Errorf("%d or more Services are left", len(list.Items))
		}
		return nil
	})
}
