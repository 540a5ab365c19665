package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// fakeLock accepts every record, or returns err, and lets time pass while it does.
type fakeLock struct {
	resourcelock.Interface
	err   error
	clock *time.Time
	takes time.Duration // of each call
}

func (l *fakeLock) Identity() string { return "me" }
func (l *fakeLock) Create(context.Context, resourcelock.LeaderElectionRecord) error {
	*l.clock = l.clock.Add(l.takes)
	return l.err
}
func (l *fakeLock) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	*l.clock = l.clock.Add(l.takes)
	return l.err
}

func TestFenceFollowsTheLease(t *testing.T) {
	me, nobody := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}, resourcelock.LeaderElectionRecord{}
	for _, c := range []struct {
		name string
		do   func(lock resourcelock.Interface, inner *fakeLock)
		wait time.Duration // after do
		want time.Duration // left for a write; 0: fenced
	}{
		{"never held", func(resourcelock.Interface, *fakeLock) {}, 0, 0},
		{"just taken", func(l resourcelock.Interface, _ *fakeLock) { _ = l.Create(context.Background(), me) }, 0, 2 * time.Second},
		{"renewed four seconds ago", func(l resourcelock.Interface, _ *fakeLock) { _ = l.Update(context.Background(), me) }, 4 * time.Second, time.Second},
		{"stopped for longer than the lease", func(l resourcelock.Interface, _ *fakeLock) { _ = l.Update(context.Background(), me) }, 5 * time.Second, 0},
		{"a renewal counts from before it was sent", func(l resourcelock.Interface, in *fakeLock) {
			in.takes = 4500 * time.Millisecond
			_ = l.Update(context.Background(), me)
		}, 0, 500 * time.Millisecond},
		{"a failed renewal changes nothing", func(l resourcelock.Interface, in *fakeLock) {
			_ = l.Update(context.Background(), me)
			in.err, in.takes = errors.New("no"), 4*time.Second
			_ = l.Update(context.Background(), me)
		}, 0, time.Second},
		{"taken again after another has led", func(l resourcelock.Interface, _ *fakeLock) {
			_ = l.Update(context.Background(), me)
			later := me
			later.LeaderTransitions++
			if err := l.Update(context.Background(), later); !errors.Is(err, errAnotherTerm) {
				t.Errorf("the renewal in another term: %v", err)
			}
		}, 0, 0},
		{"released", func(l resourcelock.Interface, _ *fakeLock) {
			_ = l.Update(context.Background(), me)
			_ = l.Update(context.Background(), nobody)
		}, 0, 0},
		{"released, and the release failed", func(l resourcelock.Interface, in *fakeLock) {
			_ = l.Update(context.Background(), me)
			in.err = errors.New("no")
			_ = l.Update(context.Background(), nobody)
		}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkFence(t, c.do, c.wait, c.want)
		})
	}
}

// checkFence lets do take or renew a lease, waits, and looks how long a write of 2 s may take then; 0 means not at all.
func checkFence(t *testing.T, do func(resourcelock.Interface, *fakeLock), wait, want time.Duration) {
	t.Helper()
	clock := time.Unix(1000, 0)
	f := NewFence()
	f.now = func() time.Time { return clock }
	inner := &fakeLock{clock: &clock}
	do(f.Lock(inner), inner)
	clock = clock.Add(wait)
	ctx, cancel, err := f.guard(context.Background(), 2*time.Second)
	if want == 0 {
		if !errors.Is(err, errFenced) {
			t.Errorf("err = %v, want errFenced", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	deadline, _ := ctx.Deadline()
	if left := time.Until(deadline); left > want || left < want-400*time.Millisecond {
		t.Errorf("a write has %v, want %v", left, want)
	}
}
