package simnet

import (
	"sync"
	"time"
)

// Process is a life of a program on a Host.
type Process struct {
	mu      sync.Mutex
	running chan struct{} // closed while it runs
	died    chan struct{}
	dead    bool
	stopped bool
}

// NewProcess returns one that runs.
func NewProcess() *Process {
	p := &Process{running: make(chan struct{}), died: make(chan struct{})}
	close(p.running)
	return p
}

// Stop is SIGSTOP, or the pause of a virtual machine.
func (p *Process) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		p.stopped, p.running = true, make(chan struct{})
	}
}

// Continue is SIGCONT.
func (p *Process) Continue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		p.stopped = false
		close(p.running)
	}
}

// Kill is SIGKILL: nothing goes in or out any more. Who waits is let go, so that the goroutines of the program can end.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.dead = true
		close(p.died)
	}
}

// Runs says whether it is neither stopped nor dead.
func (p *Process) Runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.stopped && !p.dead
}

// Wait returns when the process runs; at once and with false when it is dead.
func (p *Process) Wait() bool {
	for {
		p.mu.Lock()
		running := p.running
		p.mu.Unlock()
		select {
		case <-p.died:
			return false
		case <-running:
		}
		if p.Runs() {
			return true
		}
	}
}

// Beats is a ticker that ticks only while the process runs, until it is dead.
func (p *Process) Beats(every time.Duration) <-chan time.Time {
	out := make(chan time.Time, 1)
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for p.Wait() {
			select {
			case <-p.died:
			case <-ticker.C:
				if p.Runs() {
					select {
					case out <- time.Now():
					default:
					}
				}
			}
		}
	}()
	return out
}
