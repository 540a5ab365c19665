package wire

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// When a frame is too old to be answered. A speaker that was stopped (SIGSTOP, a paused virtual machine, a starved CPU) wakes
// with requests in its sockets that another has answered since; answering them now would pull clients back to it.
const (
	staleAfter = 200 * time.Millisecond // age of a frame in the socket
	beatEvery  = 50 * time.Millisecond
	stallAfter = 300 * time.Millisecond // a gap between beats that counts as having been stopped
)

// guard tells stale frames from fresh ones. Whoever notices a stall first, the beat, a reader or who announces, makes every frame
// stale that was received before that moment, which is what is in the sockets, and mutes the Wire.
type guard struct {
	start     time.Time    // for monotonic readings
	lastBeat  atomic.Int64 // nanoseconds after start, monotonic
	freshFrom atomic.Int64 // wall clock, nanoseconds since 1970; frames received before are stale
	muted     atomic.Bool
	stalled   chan time.Duration
	waking    sync.Mutex // taken only by those who see a gap, so that it is acted on once
}

func newGuard(now time.Time) *guard {
	return &guard{start: now, stalled: make(chan time.Duration, 1)}
}

// begin starts the watch: what was before is no stall.
func (g *guard) begin(now time.Time) { g.lastBeat.Store(int64(now.Sub(g.start))) }

// tick notes that the process runs. It must be called every beatEvery.
func (g *guard) tick(now time.Time) {
	g.notice(now)
	g.lastBeat.Store(int64(now.Sub(g.start)))
}

// gap returns the time since the process was last known to run.
func (g *guard) gap(now time.Time) time.Duration {
	return now.Sub(g.start) - time.Duration(g.lastBeat.Load())
}

// notice checks for a stall that ended just now.
func (g *guard) notice(now time.Time) {
	if g.gap(now) <= stallAfter {
		return
	}
	g.waking.Lock()
	defer g.waking.Unlock()
	gap := g.gap(now)
	if gap <= stallAfter {
		return // another has dealt with it
	}
	g.freshFrom.Store(now.UnixNano())
	g.muted.Store(true)
	g.lastBeat.Store(int64(now.Sub(g.start)))
	select {
	case g.stalled <- gap:
	default: // one is waiting already
	}
}

// silent says whether nothing may be said now.
func (g *guard) silent(now time.Time) bool {
	g.notice(now)
	return g.muted.Load()
}

// stale says whether a frame received at the given time must not be answered now.
func (g *guard) stale(received, now time.Time) bool {
	g.notice(now)
	if received.IsZero() {
		received = now
	}
	from := g.freshFrom.Load()
	if from > now.UnixNano() {
		// The wall clock was set back. Until it caught up again every frame would look stale.
		g.freshFrom.CompareAndSwap(from, 0)
		from = 0
	}
	return now.Sub(received) > staleAfter || received.UnixNano() < from
}

// beat ticks the guard until ctx ends.
func (w *Wire) beat(ctx context.Context) {
	beats := w.beats
	if beats == nil {
		ticker := time.NewTicker(beatEvery)
		defer ticker.Stop()
		beats = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-beats:
			w.guard.tick(time.Now())
		}
	}
}
