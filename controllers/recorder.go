package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

const (
	busyPause = 100 * time.Millisecond // between two Events while statuses wait to be written
	idlePause = 5 * time.Millisecond   // otherwise: new Services must not wait behind thousands of Events either
	lastOnes  = 100                    // are sent when the process is asked to end: more would hold up the next leader
	// underWay is how long an Event is given to reach the API server before the process ends. client-go sends each from a
	// goroutine that nobody can wait for, and drops what is under way when the manager ends.
	underWay = 300 * time.Millisecond
)

// pacedRecorder lets Events wait while statuses do. An Event costs the API server as much as a status, so in a burst they
// would double the time until the last Service has its address. Events that wait when the process ends are lost, but for the
// oldest few and those of writes that end at once: the condition in the status says the same and is not lost.
type pacedRecorder struct {
	recorder events.EventRecorder
	busy     func() bool // statuses wait to be written

	mu    sync.Mutex
	queue []func()
	ended bool          // Events of the last writes are sent at once
	last  time.Time     // when an Event was sent last
	wake  chan struct{} // one slot
}

func newPacedRecorder(r events.EventRecorder) *pacedRecorder {
	return &pacedRecorder{recorder: r, busy: func() bool { return false }, wake: make(chan struct{}, 1)}
}

// Eventf implements events.EventRecorder.
func (p *pacedRecorder) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	send := func() { p.recorder.Eventf(regarding, related, kind, reason, action, note, args...) }
	p.mu.Lock()
	ended := p.ended
	if ended {
		p.last = time.Now()
	} else {
		p.queue = append(p.queue, send)
	}
	p.mu.Unlock()
	if ended {
		send()
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it is awake
	}
}

// Start sends Events until ctx ends, and then at once the oldest of those that are left. It returns when they have had time to
// arrive.
func (p *pacedRecorder) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := idlePause
		if p.busy() {
			pause = busyPause
		}
		if p.send() {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-p.wake:
		}
	}
	for range lastOnes {
		p.send()
	}
	for wait := p.end(); wait > 0; wait = p.end() {
		time.Sleep(wait)
	}
	return nil
}

// end lets no Event wait any more, and returns how long those that were sent may still be under way.
func (p *pacedRecorder) end() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	return time.Until(p.last.Add(underWay))
}

// send sends the oldest Event; false when there is none.
func (p *pacedRecorder) send() bool {
	p.mu.Lock()
	if len(p.queue) == 0 {
		p.mu.Unlock()
		return false
	}
	next := p.queue[0]
	p.queue[0], p.queue = nil, p.queue[1:]
	p.last = time.Now()
	p.mu.Unlock()
	next()
	return true
}
