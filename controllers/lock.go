package controllers

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

var (
	// errAnotherTerm says that somebody else has led since. The renewal is not sent and the lease is lost, although it could
	// be had again: what this replica has in its cache and on its way is from before. It starts afresh, see Setup.
	errAnotherTerm = errors.New("another replica has led meanwhile")
	// errNotOurs says that a lease was not released because somebody else holds it by now. The elector does not look.
	errNotOurs = errors.New("another replica holds the lease")
)

// fencedLock keeps the fence in step with the lease, and makes a released lease mean something to who takes it next:
//
//	the taker finds            so of the leader before               and its first plan
//	no lease                   there was none                        need not wait for late writes
//	a lease without a holder   nothing can be applied any more       need not wait for late writes
//	a lease that has expired   a write may still be on its way       waits, see Fence.unsettled
type fencedLock struct {
	resourcelock.Interface
	fence *Fence

	// Only the elector's goroutine uses these.
	term   int    // LeaderTransitions of our first record, which everybody who takes the lease from another increases; -1 before
	holder string // in the record that was read last; "" when it was released, or when there was none
	clean  bool   // what we took, or tried to take, was nobody's
}

// Lock returns lock, with the fence kept in step. The lock is for one term: it is not taken again after another has led.
func (f *Fence) Lock(lock resourcelock.Interface) resourcelock.Interface {
	return &fencedLock{Interface: lock, fence: f, term: -1}
}

// Get implements resourcelock.Interface.
func (l *fencedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	r, raw, err := l.Interface.Get(ctx)
	l.holder = ""
	if err == nil {
		l.holder = r.HolderIdentity
	}
	return r, raw, err
}

// Create implements resourcelock.Interface.
func (l *fencedLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.hold(r, func() error { return l.Interface.Create(ctx, r) })
}

// Update implements resourcelock.Interface: it takes, renews or releases the lease.
func (l *fencedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if r.HolderIdentity != l.Identity() {
		return l.release(ctx, r)
	}
	return l.hold(r, func() error { return l.Interface.Update(ctx, r) })
}

// hold moves the fence to LeaseDuration after the moment *before* the record was sent: others count from when they see it.
func (l *fencedLock) hold(r resourcelock.LeaderElectionRecord, send func() error) error {
	first := l.term < 0
	if !first && l.term != r.LeaderTransitions {
		l.fence.extend(time.Time{})
		return errAnotherTerm
	}
	if first && l.holder != l.Identity() { // else an attempt was applied whose answer was lost; what it found counts
		l.clean = l.holder == ""
	}
	before := time.Now()
	if err := send(); err != nil {
		return err
	}
	if first && !l.clean {
		l.fence.doubt()
	}
	l.term = r.LeaderTransitions
	l.fence.extend(before.Add(LeaseDuration))
	return nil
}

// release empties the lease when nothing that was sent under it can be applied any more. Otherwise it is left to expire,
// which tells the next leader to wait. The elector releases also when it could not renew, with writes under way.
func (l *fencedLock) release(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if err := l.fence.close(ctx); err != nil {
		return err
	}
	if l.holder != l.Identity() {
		return errNotOurs
	}
	return l.Interface.Update(ctx, r)
}
