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

func TestEventsWaitForStatusesAndNoneIsLostAtTheEnd(t *testing.T) {
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
			{"all the others soon when none waits", false, 2 * time.Second, 1900},
		} {
			before := counted.n.Load()
			busy.Store(c.busy)
			time.Sleep(c.wait)
			synctest.Wait()
			if got := counted.n.Load() - before; got < c.want-1 || got > c.want+101 {
				t.Errorf("%s: %d Events in %v, want about %d", c.name, got, c.wait, c.want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := counted.n.Load(); got != 3000 {
			t.Errorf("%d Events were sent in all, want 3000", got)
		}
	})
}
