package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

const (
	firstRetry = 100 * time.Millisecond // doubles with every failure of the same object
	lastRetry  = time.Minute
)

// retries says after which delay an object that could not be written is tried again, each by its own count, and of which the user
// was told. Both begin anew when the object is forgotten.
type retries[T comparable] struct {
	workqueue.TypedRateLimiter[T]
	mu   sync.Mutex
	told map[T]bool
}

func newRetries[T comparable]() *retries[T] {
	return &retries[T]{TypedRateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[T](firstRetry, lastRetry), told: map[T]bool{}}
}

// tell returns true once.
func (r *retries[T]) tell(object T) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.told[object]
	r.told[object] = true
	return !was
}

// Forget implements workqueue.TypedRateLimiter.
func (r *retries[T]) Forget(object T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.told, object)
	r.TypedRateLimiter.Forget(object)
}

// serve hands what is queued to do, up to n at the same time, until ctx ends. It returns when those under way are done; what
// is queued still is left.
func serve[T comparable](ctx context.Context, queue workqueue.TypedInterface[T], n int, do func(context.Context, T)) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				item, down := queue.Get()
				if down {
					return
				}
				if ctx.Err() == nil {
					do(ctx, item)
				}
				queue.Done(item)
			}
		})
	}
	<-ctx.Done()
	queue.ShutDown()
	all.Wait()
}
