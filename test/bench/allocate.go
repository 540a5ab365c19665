package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
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
	seen, stop, err := b.watchCrowd(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	for i := range n {
		start := time.Now()
		if err := b.API.Create(ctx, crowdService(i)); err != nil {
			return took, fmt.Errorf("creating a Service: %w", err)
		}
		if err := awaitAddressed(ctx, seen, 1); err != nil {
			return took, err
		}
		took = append(took, time.Since(start))
	}
	return took, b.dismiss(ctx)
}

// burst makes n Services at once and returns how long it took until the last was made and until the last had its address.
func (b *bench) burst(ctx context.Context, n int) (made, addressed time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	seen, stop, err := b.watchCrowd(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	start := time.Now()
	creating := make(chan error, 1)
	go func() {
		err := inParallel(n, func(i int) error { return b.API.Create(ctx, crowdService(i)) })
		made = time.Since(start)
		creating <- err
	}()
	waiting := awaitAddressed(ctx, seen, n)
	addressed = time.Since(start)
	if err := <-creating; err != nil {
		return 0, 0, fmt.Errorf("creating Services: %w", err)
	}
	return made, addressed, waiting
}

// floor makes n Services that no implementation serves and returns how long a bare loop takes to write an address into the
// status of each: what a controller that decides in no time would need.
func (b *bench) floor(ctx context.Context, n int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	class := "example.com/nobody"
	err := inParallel(n, func(i int) error {
		svc := crowdService(i)
		svc.Spec.LoadBalancerClass = &class
		return b.API.Create(ctx, svc)
	})
	if err != nil {
		return 0, fmt.Errorf("creating Services: %w", err)
	}
	start := time.Now()
	err = inParallel(n, func(i int) error {
		patch := fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":"10.200.%d.%d"}]}}}`, i>>8, i&255)
		return b.API.Status().Patch(ctx, crowdService(i), client.RawPatch("application/merge-patch+json", []byte(patch)))
	})
	if err != nil {
		return 0, fmt.Errorf("patching statuses: %w", err)
	}
	return time.Since(start), b.dismiss(ctx)
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

// watchCrowd returns a channel with the name of each Service of the crowd when it first shows an address.
func (b *bench) watchCrowd(ctx context.Context) (<-chan string, func(), error) {
	var list corev1.ServiceList
	w, err := b.API.Watch(ctx, &list, client.InNamespace(crowd))
	if err != nil {
		return nil, nil, fmt.Errorf("watching Services: %w", err)
	}
	seen := make(chan string, 1<<16)
	go func() {
		defer close(seen)
		have := map[string]bool{}
		for e := range w.ResultChan() {
			svc, ok := e.Object.(*corev1.Service)
			if !ok || e.Type == watch.Deleted || have[svc.Name] || len(svc.Status.LoadBalancer.Ingress) == 0 {
				continue
			}
			have[svc.Name] = true
			seen <- svc.Name
		}
	}()
	return seen, w.Stop, nil
}

// awaitAddressed takes n names from seen.
func awaitAddressed(ctx context.Context, seen <-chan string, n int) error {
	for got := range n {
		select {
		case _, ok := <-seen:
			if !ok {
				return fmt.Errorf("the watch ended when %d of %d Services had an address", got, n)
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d Services got an address: %w", got, n, ctx.Err())
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
