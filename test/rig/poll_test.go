package rig

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPollReturnsWhenTheConditionHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		start := time.Now()
		err := Poll(t.Context(), func() error {
			if looks++; looks < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || looks != 4 || time.Since(start) != 3*pollEvery {
			t.Errorf("%d looks in %v, error %v; want 4 looks in %v", looks, time.Since(start), err, 3*pollEvery)
		}
	})
}

func TestPollSaysWhatWasMissingLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		missing := errors.New("no address yet")
		err := Poll(ctx, func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return missing
		})
		if !errors.Is(err, missing) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want what was missing and that the time was up", err)
		}
	})
}
