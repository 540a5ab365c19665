package controllers

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The timing of the leader's lease. A leader that cannot renew gives up after RenewDeadline; another may take over
// LeaseDuration after the last renewal. Nothing may be written from there on.
const (
	LeaseDuration = 5 * time.Second
	RenewDeadline = 3 * time.Second
	RetryPeriod   = 1 * time.Second
)

// errFenced says that a write was not sent because the lease may not be ours until it would end.
var errFenced = errors.New("the leader's lease is about to end")

// Fence knows until when the lease is certainly ours. A process that was stopped and wakes up still believes it is the
// leader; its clock does not. The time used is monotonic.
type Fence struct {
	now   func() time.Time
	until atomic.Pointer[time.Time]
}

// NewFence returns a Fence that lets nothing through until the lease is held.
func NewFence() *Fence { return &Fence{now: time.Now} }

// guard returns a context that ends within timeout and before the lease can be somebody else's, or errFenced.
func (f *Fence) guard(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc, error) {
	until := f.until.Load()
	if until == nil {
		return nil, nil, errFenced
	}
	left := until.Sub(f.now())
	if left <= 0 {
		return nil, nil, errFenced
	}
	ctx, cancel := context.WithTimeout(ctx, min(timeout, left))
	return ctx, cancel, nil
}

// Lock returns lock, with every renewal noted in the fence.
func (f *Fence) Lock(lock resourcelock.Interface) resourcelock.Interface {
	return &fencedLock{Interface: lock, fence: f, term: -1}
}

// errAnotherTerm says that somebody else has led since. The renewal is not sent and the lease is lost, although it could be
// had again: what this replica has in its cache and on its way is from before. It starts afresh, see Setup.
var errAnotherTerm = errors.New("another replica has led meanwhile")

type fencedLock struct {
	resourcelock.Interface
	fence *Fence
	// term is the LeaderTransitions of our first record, which everybody who takes the lease from another increases; -1
	// before. Only the elector's goroutine uses it.
	term int
}

// Create implements resourcelock.Interface.
func (l *fencedLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.note(r, func() error { return l.Interface.Create(ctx, r) })
}

// Update implements resourcelock.Interface.
func (l *fencedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.note(r, func() error { return l.Interface.Update(ctx, r) })
}

// note moves the fence to LeaseDuration after the moment *before* the renewal was sent: others count from when they see it.
func (l *fencedLock) note(r resourcelock.LeaderElectionRecord, renew func() error) error {
	ours := r.HolderIdentity == l.Identity()
	if !ours {
		l.fence.until.Store(nil) // released
	} else if l.term >= 0 && l.term != r.LeaderTransitions {
		l.fence.until.Store(nil)
		return errAnotherTerm
	}
	before := l.fence.now()
	err := renew()
	if err == nil && ours {
		l.term = r.LeaderTransitions
		until := before.Add(LeaseDuration)
		l.fence.until.Store(&until)
	}
	return err
}
