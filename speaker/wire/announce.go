package wire

import (
	"context"
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// announce sends what the schedule says until ctx ends.
func (w *Wire) announce(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.due:
		case <-timer.C:
		}
		if next := w.announceDue(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// announceDue sends the frames that are due and returns when the next are; the zero time is never. Sending happens under the
// mutex, so that nothing is announced after Answer took it away: a batch is small and a write does not wait. Whether we are mute is
// asked before each frame, or a process that is stopped here would announce what is no longer its own when it wakes.
func (w *Wire) announceDue() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.guard.silent(time.Now()) {
		return time.Time{} // Mute(false) wakes us
	}
	due, next := w.schedule.Next(time.Now())
	for _, d := range due {
		p := w.ports[d.Interface]
		if p == nil {
			continue
		}
		f, frame := p.familyOf(d.Addr), d.Frame(*p.link.Load())
		if w.guard.silent(time.Now()) {
			return time.Time{}
		}
		if f.send(frame, f.announced[d.Form]) && d.Form != neighbor.Unlearning {
			w.metrics.tallies.announced(d.Addr)
		}
	}
	return next
}
