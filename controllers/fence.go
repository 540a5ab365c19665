package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The timing of the leader's lease. A leader that cannot renew gives up after RenewDeadline; another may take over
// LeaseDuration after the last renewal. Nothing may be written from there on.
const (
	LeaseDuration = 5 * time.Second
	RenewDeadline = 3 * time.Second
	RetryPeriod   = 1 * time.Second
)

const (
	// writeTimeout is the longest that one write may take.
	writeTimeout = 2 * time.Second
	// lateWrite is how long the API server may still apply a write that its client has given up, or was killed with. No
	// source bounds it: the server cancels a request whose client is gone, but not what it has passed on to etcd.
	lateWrite = writeTimeout
)

// errFenced says that a write was not sent because the lease may not be ours until it would end.
var errFenced = errors.New("the leader's lease is about to end")

// Fence knows until when the lease is certainly ours, and which writes may still reach the API server's store. A process that
// was stopped and wakes up still believes it is the leader; its clock does not. The times are monotonic. The zero Fence lets
// nothing through until the lease is held.
type Fence struct {
	mu    sync.Mutex
	until time.Time // when the lease can be somebody else's; zero: it is not ours
	late  time.Time // until then a write that nobody waits for may be applied: of the leader before, or one we gave up
	// sending counts the writes under way. None begins while until is zero.
	sending sync.WaitGroup
}

// send calls write with a context that ends within writeTimeout and before the lease can be somebody else's, or returns
// errFenced. That context does not end with ctx: when the process is asked to end, a write under way is finished rather than
// cut off with an unknown outcome.
func (f *Fence) send(ctx context.Context, write func(context.Context) error) error {
	left := f.enter()
	if left <= 0 {
		return errFenced
	}
	defer f.sending.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(left, writeTimeout))
	defer cancel()
	err := write(ctx)
	if err != nil && judge(err) == unknown {
		f.doubt()
	}
	return err
}

// enter counts a write in, if it returns more than 0: the time that the lease is still ours.
func (f *Fence) enter() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := time.Until(f.until)
	if left > 0 {
		f.sending.Add(1)
	}
	return left
}

// extend opens the fence until the given time.
func (f *Fence) extend(until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = until
}

// doubt notes that a write nobody waits for any more may be applied late, from now on.
func (f *Fence) doubt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = time.Now().Add(lateWrite)
}

// unsettled is how long a write that nobody waits for may still be applied; 0 or less: no longer.
func (f *Fence) unsettled() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Until(f.late)
}

// close lets no write begin, waits for those under way, and returns nil when none can be applied any more. It is an error
// when ctx ends before that.
func (f *Fence) close(ctx context.Context) error {
	f.extend(time.Time{})
	f.sending.Wait() // each ends within writeTimeout
	if wait := f.unsettled(); wait > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for writes of unknown outcome: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
	return nil
}
