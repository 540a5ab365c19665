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

	"github.com/steelyard-lb/steelyard/internal/allocate"
)

func TestAStatusThatTheAPIServerHasAlreadyIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("s")
		var attempts atomic.Int64
		b := newBench(t, func(string) error { return nil }, &svc)
		b.writer.client = newAPI(t, func(_ context.Context, _ string, _ func() error) error { attempts.Add(1); return nil }, &svc)
		b.run(t, func() {
			old := b.get(t, "s")
			for range 10 {
				b.writer.set(old, give("192.0.2.1"), allocate.Assignment{})
				time.Sleep(time.Minute)
			}
		})
		if n := attempts.Load(); n != 1 {
			t.Errorf("%d writes of what the API server has already, want 1", n)
		}
		wantEvents(t, b.events) // nothing has changed
	})
}

// TestAWriteThatChangesNothingSettlesNoneThatMayComeLate: the first attempt is given up, a new plan wants the old status back,
// which the API server has, and then it applies the first attempt after all: the version was still the same.
func TestAWriteThatChangesNothingSettlesNoneThatMayComeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := holding("", "192.0.2.1")
		var attempts atomic.Int64
		b := newBench(t, func(string) error { return nil })
		b.writer.client = newAPI(t, func(_ context.Context, _ string, apply func() error) error {
			if attempts.Add(1) > 1 {
				return nil
			}
			time.AfterFunc(lateWrite-100*time.Millisecond, func() { _ = apply() })
			return errors.New("reset")
		}, svc)
		b.client = b.writer.client
		b.run(t, func() {
			old := b.get(t, "s")
			have, _ := current(old)
			b.writer.set(old, give("192.0.2.2"), allocate.Assignment{})
			synctest.Wait()
			b.writer.set(old, have, allocate.Assignment{})
			time.Sleep(lateWrite - 200*time.Millisecond)
			if held := heldAfter(b.writer.flights, old); attempts.Load() < 2 || !slices.Contains(held, addrs("192.0.2.2")[0]) {
				t.Errorf("after %d attempts %v are held: the address of the first is free, and may be written yet", attempts.Load(), held)
			}
			time.Sleep(time.Second)
			if d := cmp.Diff(addrs("192.0.2.2"), heldAfter(b.writer.flights, b.get(t, "s")), sameAddr); d != "" {
				t.Errorf("held once the late write is seen (-want +got):\n%s", d)
			}
		})
	})
}
