package controllers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// fakeLock holds one record, as the API server does. A call takes some time, and may lose its answer or be refused.
type fakeLock struct {
	resourcelock.Interface
	record *resourcelock.LeaderElectionRecord
	takes  time.Duration
	lost   error // is answered although the record was taken over
	err    error // is answered, and nothing is done
}

func (l *fakeLock) Identity() string { return "me" }
func (l *fakeLock) Describe() string { return "a lease" }
func (l *fakeLock) RecordEvent(string) {
}

func (l *fakeLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if l.record == nil {
		return nil, nil, apierrors.NewNotFound(schema.GroupResource{Group: coordinationv1.GroupName, Resource: "leases"}, LeaseName)
	}
	r := *l.record
	return &r, []byte(r.HolderIdentity + r.RenewTime.String()), nil
}

func (l *fakeLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, r)
}

func (l *fakeLock) Update(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	time.Sleep(l.takes)
	if l.err != nil {
		return l.err
	}
	l.record = &r
	return l.lost
}

func by(holder string, transitions int) resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: holder, LeaderTransitions: transitions, LeaseDurationSeconds: 5}
}

// take does what the elector does with a lease that is free: it reads it and writes its record.
func take(t *testing.T, l resourcelock.Interface) error {
	t.Helper()
	old, _, err := l.Get(t.Context())
	if err != nil {
		return l.Create(t.Context(), by("me", 0))
	}
	if old.HolderIdentity == "me" {
		return l.Update(t.Context(), by("me", old.LeaderTransitions))
	}
	return l.Update(t.Context(), by("me", old.LeaderTransitions+1))
}

func TestTheFenceFollowsTheLease(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, l resourcelock.Interface, inner *fakeLock)
		want time.Duration // that is left of the lease; 0: fenced
	}{
		{"never held", func(*testing.T, resourcelock.Interface, *fakeLock) {}, 0},
		{"just taken", func(t *testing.T, l resourcelock.Interface, _ *fakeLock) { _ = take(t, l) }, LeaseDuration},
		{"renewed four seconds ago", func(t *testing.T, l resourcelock.Interface, _ *fakeLock) {
			_ = take(t, l)
			time.Sleep(3 * time.Second)
			_ = l.Update(t.Context(), by("me", 0))
			time.Sleep(4 * time.Second)
		}, time.Second},
		{"stopped for longer than the lease", func(t *testing.T, l resourcelock.Interface, _ *fakeLock) {
			_ = take(t, l)
			time.Sleep(LeaseDuration)
		}, 0},
		{"a renewal counts from before it was sent", func(t *testing.T, l resourcelock.Interface, inner *fakeLock) {
			inner.takes = 4500 * time.Millisecond
			_ = take(t, l)
		}, 500 * time.Millisecond},
		{"a failed renewal changes nothing", func(t *testing.T, l resourcelock.Interface, inner *fakeLock) {
			_ = take(t, l)
			inner.err, inner.takes = errors.New("no"), 4*time.Second
			_ = l.Update(t.Context(), by("me", 0))
		}, time.Second},
		{"taken again after another has led", func(t *testing.T, l resourcelock.Interface, _ *fakeLock) {
			_ = take(t, l)
			if err := l.Update(t.Context(), by("me", 1)); !errors.Is(err, errAnotherTerm) {
				t.Errorf("the renewal in another term: %v", err)
			}
		}, 0},
		{"released", func(t *testing.T, l resourcelock.Interface, _ *fakeLock) {
			_ = take(t, l)
			_, _, _ = l.Get(t.Context())
			if err := l.Update(t.Context(), by("", 0)); err != nil {
				t.Error(err)
			}
		}, 0},
		{"released, and the release failed", func(t *testing.T, l resourcelock.Interface, inner *fakeLock) {
			_ = take(t, l)
			inner.err = errors.New("no")
			_ = l.Update(t.Context(), by("", 0))
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, inner := &Fence{}, &fakeLock{}
				c.do(t, f.Lock(inner), inner)
				if left := max(0, f.enter()); left != c.want {
					t.Errorf("the lease is ours for %v, want %v", left, c.want)
				}
			})
		})
	}
}

func TestWhoTakesALeaseWaitsForLateWritesUnlessItWasReleased(t *testing.T) {
	released, killed := by("", 7), by("other", 7)
	for _, c := range []struct {
		name  string
		found *resourcelock.LeaderElectionRecord
		lost  bool                               // the answer to the first attempt
		meant *resourcelock.LeaderElectionRecord // comes before the second attempt, the first being refused
		want  time.Duration
	}{
		{"nobody had led", nil, false, nil, 0},
		{"released", &released, false, nil, 0},
		{"expired", &killed, false, nil, lateWrite},
		{"nobody had led, and the answer was lost", nil, true, nil, 0},
		{"released, and the answer was lost", &released, true, nil, 0},
		{"expired, and the answer was lost", &killed, true, nil, lateWrite},
		{"released, and another was faster and died", &released, false, &killed, lateWrite},
		{"expired, and another was faster and released it", &killed, false, &released, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, inner := &Fence{}, &fakeLock{record: c.found}
				l := f.Lock(inner)
				if c.lost {
					inner.lost = errors.New("no answer")
				}
				if c.meant != nil {
					inner.err = apierrors.NewConflict(schema.GroupResource{}, LeaseName, errors.New("another was faster"))
				}
				if err := take(t, l); (err != nil) != (c.lost || c.meant != nil) {
					t.Fatal(err)
				} else if err != nil {
					inner.lost, inner.err = nil, nil
					if c.meant != nil {
						inner.record = c.meant
					}
					if err := take(t, l); err != nil {
						t.Fatal(err)
					}
				}
				if got := max(0, f.unsettled()); got != c.want {
					t.Errorf("waits for %v, want %v", got, c.want)
				}
				if err := l.Update(t.Context(), *inner.record); err != nil || max(0, f.unsettled()) != c.want {
					t.Errorf("after a renewal (%v) it waits for %v, want %v", err, f.unsettled(), c.want)
				}
			})
		})
	}
}

func TestALeaseIsReleasedWhenNothingCanBeAppliedAnyMore(t *testing.T) {
	expired := by("other", 3)
	for _, c := range []struct {
		name  string
		found *resourcelock.LeaderElectionRecord
		do    func(t *testing.T, f *Fence, inner *fakeLock)
		after time.Duration
		want  string // the holder then
	}{
		{"idle", nil, func(*testing.T, *Fence, *fakeLock) {}, 0, ""},
		{"a write is under way", nil, func(t *testing.T, f *Fence, _ *fakeLock) {
			go func() {
				_ = f.send(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil })
			}()
			synctest.Wait()
		}, time.Second, ""},
		{"taken a moment ago from one that was killed", &expired, func(*testing.T, *Fence, *fakeLock) {
			time.Sleep(500 * time.Millisecond)
		}, lateWrite - 500*time.Millisecond, ""},
		{"a write is never answered: left to expire", nil, func(t *testing.T, f *Fence, _ *fakeLock) {
			go func() {
				_ = f.send(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			}()
			synctest.Wait()
		}, RenewDeadline, "me"},
		{"another holds it by now: left alone", nil, func(_ *testing.T, _ *Fence, inner *fakeLock) {
			other := by("other", 1)
			inner.record = &other
		}, 0, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, inner := &Fence{}, &fakeLock{record: c.found}
				l := f.Lock(inner)
				if err := take(t, l); err != nil {
					t.Fatal(err)
				}
				c.do(t, f, inner)
				ctx, cancel := context.WithTimeout(t.Context(), RenewDeadline) // as the elector does it
				defer cancel()
				start := time.Now()
				_, _, _ = l.Get(ctx)
				err := l.Update(ctx, by("", 0))
				if got := inner.record.HolderIdentity; got != c.want || (err != nil) != (c.want != "") || time.Since(start) != c.after {
					t.Errorf("held by %q after %v (%v), want %q after %v", got, time.Since(start), err, c.want, c.after)
				}
			})
		})
	}
}
