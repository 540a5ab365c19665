package controllers

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
)

// TestAServiceThatChangesMeanwhileIsNoFailure: the version that the write was decided on has gone, and the cache shows it soon.
func TestAServiceThatChangesMeanwhileIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("s")
		var attempts atomic.Int64
		b := newBench(t, func(string) error { attempts.Add(1); return nil }, &svc)
		b.run(t, func() {
			old := b.get(t, "s")
			newer := old.DeepCopy()
			newer.Labels = map[string]string{"changed": "meanwhile"}
			if err := b.client.Update(context.Background(), newer); err != nil {
				t.Fatal(err)
			}
			b.writer.set(old, give("192.0.2.1"), allocate.Assignment{})
			time.Sleep(firstRetry / 2)
			if got, _ := current(b.get(t, "s")); len(got.ingress) != 0 {
				t.Error("an object that changed meanwhile was written")
			}
			heldAfter(b.writer.flights, b.get(t, "s"))
			b.writer.set(b.get(t, "s"), give("192.0.2.1"), allocate.Assignment{})
			synctest.Wait()
			if got, _ := current(b.get(t, "s")); len(got.ingress) != 1 {
				t.Error("the new version was not written")
			}
			time.Sleep(time.Hour)
		})
		if n, failed := attempts.Load(), testutil.ToFloat64(b.metrics.WriteErrors.WithLabelValues("service")); n != 2 || failed != 0 {
			t.Errorf("%d attempts and %v errors, want one attempt for each version and no error", n, failed)
		}
		wantEvents(t, b.events, eventAllocated)
	})
}

// TestADenialThatLooksLikeAChangeIsTriedAgainAndTold: a webhook may deny with any code, also with those that mean that the object
// is not what it was. Then the version stays, and no event of the Service ever comes.
func TestADenialThatLooksLikeAChangeIsTriedAgainAndTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		denial error
	}{
		{"a conflict", apierrors.NewConflict(services, "s", errors.New("denied by a webhook"))},
		{"not found", apierrors.NewNotFound(services, "s")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { denyFor(t, c.denial) })
		})
	}
}

func denyFor(t *testing.T, denial error) {
	svc := holding("", "192.0.2.1")
	policy := deniedUntil{denial: denial}
	b := newBench(t, policy.fate, svc)
	failures := func() float64 { return testutil.ToFloat64(b.metrics.WriteErrors.WithLabelValues("service")) }
	b.run(t, func() {
		old := b.get(t, "s")
		b.writer.set(old, give("192.0.2.2"), allocate.Assignment{})
		synctest.Wait()
		wantEvents(t, b.events) // it may be what it looks like
		if n := failures(); n != 0 {
			t.Errorf("%v errors after the first attempt, want none", n)
		}
		time.Sleep(10 * time.Second)
		if n := policy.attempts.Load(); n != 7 || failures() != 6 { // at 0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3 s
			t.Errorf("%d attempts in 10 s and %v errors, want 7 and 6", n, failures())
		}
		wantEvents(t, b.events, eventNotWritten)
		if d := cmp.Diff(addrs("192.0.2.2", "192.0.2.1"), heldAfter(b.writer.flights, old), sameAddr); d != "" {
			t.Errorf("held while it is denied (-want +got):\n%s", d)
		}
		policy.allowed.Store(true)
		time.Sleep(10 * time.Second)
		if got, _ := current(b.get(t, "s")); !slices.Equal(got.ingress, addrs("192.0.2.2")) {
			t.Errorf("after the policy has gone the Service has %v", got.ingress)
		}
	})
	wantEvents(t, b.events, eventReleased, eventAllocated)
}

// TestAFailureAfterOneThatWasNotToldIsTold: each row of failures is told once, whichever of them is the first that counts.
func TestAFailureAfterOneThatWasNotToldIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("s")
		fates := []error{apierrors.NewConflict(services, "s", errors.New("newer")), apierrors.NewForbidden(services, "s", errors.New("by a policy")),
			apierrors.NewConflict(services, "s", errors.New("newer")), nil}
		var attempts atomic.Int64
		b := newBench(t, func(string) error { return fates[min(attempts.Add(1), 4)-1] }, &svc)
		b.run(t, func() {
			b.writer.set(b.get(t, "s"), give("192.0.2.1"), allocate.Assignment{})
			time.Sleep(time.Minute)
		})
		wantEvents(t, b.events, eventNotWritten, eventAllocated)
	})
}

func TestADenialOfAPoolThatLooksLikeAChangeIsTriedSeldomAndTold(t *testing.T) {
	for _, denial := range []error{apierrors.NewConflict(poolResource, "p", errors.New("by a webhook")), apierrors.NewNotFound(poolResource, "p")} {
		synctest.Test(t, func(t *testing.T) {
			policy := deniedUntil{denial: denial}
			runPools(t, policy.fate, []string{"p"}, func(b poolBench) {
				for i := range int64(100) {
					b.plan(t, i+1, "p")
					time.Sleep(100 * time.Millisecond)
				}
				if n := policy.attempts.Load(); n < 4 || n > 9 {
					t.Errorf("%v: %d attempts in 10 s of a burst, want a growing delay from 100 ms on", denial, n)
				}
				wantEvents(t, b.events, eventNotWritten)
				policy.allowed.Store(true)
				time.Sleep(10 * time.Second)
				if n := b.pool(t, "p").Status.AssignedIPv4; n != 100 {
					t.Errorf("%v: after the policy has gone the pool says %d in use, want 100", denial, n)
				}
			})
		})
	}
}

// TestAPoolThatIsGoneIsForgotten: it is deleted between the plan and the write of its status.
func TestAPoolThatIsGoneIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		runPools(t, func(string) error { attempts.Add(1); return nil }, []string{"p"}, func(b poolBench) {
			p := b.pool(t, "p")
			if err := b.client.Delete(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			b.pools.set([]allocate.Usage{{Pool: "p", AssignedIPv4: 1}}, map[string]*v1beta1.IPAddressPool{"p": p})
			time.Sleep(time.Minute)
			if n := attempts.Load(); n != 0 || b.pools.retries.NumRequeues("p") != 0 {
				t.Errorf("%d writes of a pool that is gone, and %d failures", n, b.pools.retries.NumRequeues("p"))
			}
			wantEvents(t, b.events)
		})
	})
}
