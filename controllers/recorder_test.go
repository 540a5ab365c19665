package controllers

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

// countingRecorder counts Events.
type countingRecorder struct{ n atomic.Int64 }

func (r *countingRecorder) Eventf(_, _ runtime.Object, _, _, _, _ string, _ ...any) { r.n.Add(1) }

func TestEventsWaitForStatusesAndAFewAreSentAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		busy.Store(true)
		counted := &countingRecorder{}
		p := newPacedRecorder(counted)
		p.busy = busy.Load
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Start(ctx) }()
		synctest.Wait()
		for range 3000 {
			p.Eventf(nil, nil, "Normal", "R", "A", "note")
		}
		for _, c := range []struct {
			name string
			busy bool
			wait time.Duration
			want int64 // how many more have been sent, give or take one
		}{
			{"few while statuses wait", true, time.Second, 10},
			{"more when none waits", false, 2 * time.Second, 400},
		} {
			busy.Store(c.busy)
			time.Sleep(busyPause) // the pause before the change ends
			synctest.Wait()
			before := counted.n.Load()
			time.Sleep(c.wait)
			synctest.Wait()
			if got := counted.n.Load() - before; got < c.want-1 || got > c.want+1 {
				t.Errorf("%s: %d Events in %v, want about %d", c.name, got, c.wait, c.want)
			}
		}
		before, asked := counted.n.Load(), time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(asked); took != underWay {
			t.Errorf("it ended after %v: the last Events need %v to arrive", took, underWay)
		}
		if got := counted.n.Load() - before; got != lastOnes {
			t.Errorf("%d Events were sent at the end, want %d", got, lastOnes)
		}
		p.Eventf(nil, nil, "Normal", "R", "A", "of a write that was under way")
		if got := counted.n.Load() - before; got != lastOnes+1 {
			t.Errorf("%d Events were sent after one more, want %d", got, lastOnes+1)
		}
	})
}

func TestARecorderThatHasNothingUnderWayEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacedRecorder(&countingRecorder{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Start(ctx) }()
		p.Eventf(nil, nil, "Normal", "R", "A", "note")
		time.Sleep(time.Second)
		asked := time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(asked) != 0 {
			t.Errorf("it ended after %v with %v, and holds up the next leader for nothing", time.Since(asked), err)
		}
	})
}
