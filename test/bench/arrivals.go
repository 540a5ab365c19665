package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// period is from the first to the last of something.
type period struct{ first, last time.Time }

func (p period) length() time.Duration { return p.last.Sub(p.first) }

// arrivals knows when each Service of the crowd first showed an address. A watch that the API server closes is resumed.
type arrivals struct {
	mu      sync.Mutex
	at      map[string]time.Time
	all     period
	touched time.Time     // when anything of any of them was last seen
	changed chan struct{} // closed and replaced at every change
}

// watchAll starts to watch, and returns when it sees what is there; stop ends it and waits for its end.
func watchAll(ctx context.Context, l *lab.Lab) (w *arrivals, stop func(), err error) {
	clients, err := kubernetes.NewForConfig(l.RESTConfig())
	if err != nil {
		return nil, nil, fmt.Errorf("making the API client: %w", err)
	}
	w = &arrivals{at: map[string]time.Time{}, changed: make(chan struct{})}
	see := func(obj any) {
		if svc, ok := obj.(*corev1.Service); ok {
			w.see(svc.Name, len(svc.Status.LoadBalancer.Ingress) > 0)
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(clients.CoreV1().RESTClient(), "services", crowd, fields.Everything()),
		ObjectType:    &corev1.Service{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: see, UpdateFunc: func(_, obj any) { see(obj) },
		},
	})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { informer.RunWithContext(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		stop()
		return nil, nil, fmt.Errorf("watching Services: %w", context.Cause(ctx))
	}
	return w, stop, nil
}

// see notes that a Service shows an address, or none.
func (w *arrivals) see(name string, addressed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touched = time.Now()
	if _, had := w.at[name]; had == addressed {
		return
	}
	if addressed {
		if len(w.at) == 0 {
			w.all.first = w.touched
		}
		w.at[name], w.all.last = w.touched, w.touched
	} else {
		delete(w.at, name)
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// until waits until done, which is called with w locked, says so.
func (w *arrivals) until(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	for {
		w.mu.Lock()
		ok, have, changed := done(), len(w.at), w.changed
		w.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d Services show an address: %w", have, ctx.Err())
		}
	}
}

// await waits until n Services show an address, and returns the period in which they came.
func (w *arrivals) await(ctx context.Context, n int) (all period, err error) {
	err = w.until(ctx, func() bool { all = w.all; return len(w.at) >= n })
	return all, err
}

// empty waits until no Service shows an address.
func (w *arrivals) empty(ctx context.Context) error {
	return w.until(ctx, func() bool { return len(w.at) == 0 })
}

// served waits until a Service shows an address, and returns when it did.
func (w *arrivals) served(ctx context.Context, name string) (at time.Time, err error) {
	err = w.until(ctx, func() bool { at = w.at[name]; return !at.IsZero() })
	if err != nil {
		return at, fmt.Errorf("waiting for the address of %s: %w", name, err)
	}
	return at, nil
}

// quietFor is how long nothing may have been written before it is taken that nothing more will be.
const quietFor = 3 * time.Second

// quiet waits until nobody has written a Service of the crowd for a while.
func (w *arrivals) quiet(ctx context.Context) error {
	return rig.Poll(ctx, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if time.Since(w.touched) < quietFor {
			return errors.New("the Services are still being written")
		}
		return nil
	})
}
