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

// newRetries returns the delays after which objects that could not be written are tried again, each by its own count.
func newRetries[T comparable]() workqueue.TypedRateLimiter[T] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[T](firstRetry, lastRetry)
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
