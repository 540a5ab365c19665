package controllers

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/steelyard-lb/steelyard/internal/allocate"
)

// deniedUntil is a fate of writes: all that come before allowed is set are refused, and counted.
type deniedUntil struct {
	denial   error // nil: forbidden
	allowed  atomic.Bool
	attempts atomic.Int64
}

func (d *deniedUntil) fate(name string) error {
	d.attempts.Add(1)
	if d.allowed.Load() {
		return nil
	}
	if d.denial != nil {
		return d.denial
	}
	return apierrors.NewForbidden(services, name, errors.New("by a policy"))
}

func TestADeniedOneIsTriedSeldomHoweverOftenItsConditionChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("s")
		var policy deniedUntil
		b := newBench(t, policy.fate, &svc)
		b.run(t, func() {
			old := b.get(t, "s")
			for i := range 100 { // a burst, in which every plan finds other numbers
				d := desired{status: "False", reason: "Exhausted", message: fmt.Sprintf("p is full (%d in use)", i)}
				b.writer.set(old, d, allocate.Assignment{})
				time.Sleep(100 * time.Millisecond)
			}
			if n := policy.attempts.Load(); n < 4 || n > 9 {
				t.Errorf("%d attempts in 10 s, want a growing delay from 100 ms on", n)
			}
			wantEvents(t, b.events, eventNotWritten)
			policy.allowed.Store(true)
			time.Sleep(10 * time.Second)
			if got, _ := current(b.get(t, "s")); got.message != "p is full (99 in use)" {
				t.Errorf("the condition says %q, want the last", got.message)
			}
		})
	})
}

func TestADeniedOneThatIsEditedIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("s")
		var policy deniedUntil
		b := newBench(t, policy.fate, &svc)
		b.run(t, func() {
			b.writer.set(b.get(t, "s"), give("192.0.2.1"), allocate.Assignment{})
			time.Sleep(time.Hour) // now it is tried once a minute
			edited := b.get(t, "s")
			edited.Labels = map[string]string{"as": "the policy wants it"}
			if err := b.client.Update(t.Context(), edited); err != nil {
				t.Fatal(err)
			}
			policy.allowed.Store(true)
			seen := view(b.get(t, "s"))
			b.writer.flights.settle(&seen)
			b.writer.set(b.get(t, "s"), give("192.0.2.1"), allocate.Assignment{})
			synctest.Wait()
			if got, _ := current(b.get(t, "s")); len(got.ingress) != 1 {
				t.Error("an edited Service waits for the delay of the one before")
			}
		})
	})
}

func TestEachRowOfFailuresIsToldOnceAndBeginsWithTheShortDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("s")
		var policy deniedUntil
		b := newBench(t, policy.fate, &svc)
		b.run(t, func() {
			for i := range 2 {
				policy.allowed.Store(false)
				policy.attempts.Store(0)
				now := b.get(t, "s")
				seen := view(now)
				b.writer.flights.settle(&seen)
				b.writer.set(now, give(fmt.Sprintf("192.0.2.%d", i)), allocate.Assignment{})
				time.Sleep(10 * time.Second)
				if n := policy.attempts.Load(); n != 7 { // at 0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3 s
					t.Errorf("row %d: %d attempts in 10 s, want 7", i, n)
				}
				policy.allowed.Store(true)
				time.Sleep(time.Minute)
			}
		})
		wantEvents(t, b.events, eventNotWritten, eventAllocated, eventNotWritten, eventReleased, eventAllocated)
	})
}
