// Package core is a speaker without Kubernetes: it carries what gossip, the wire and the cluster's objects say to
// ownership.Decide, and the result to the wire and to gossip. The simulator runs it as it is, over a virtual network.
//
//	World (what the API server said last) ┐
//	gossip: who speaks, and what they say ├─ wake ─▶ View ─▶ ownership.Decide ─▶ what is answered ─▶ wire
//	wire: our interfaces, frames heard ─▶ liveness ┘                         └─▶ what we claim ─▶ gossip
//
// One goroutine owns all of it. It waits for nobody: the world is handed in, gossip and the wire have goroutines of their own.
package core

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/liveness"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/speaker/wire"
)

const (
	// startDelay bounds how long a speaker that starts waits for its peers. Without the wait it would see itself alone.
	startDelay = 2 * time.Second
	// stateDelay bounds how long it then waits for what peers say that have joined already.
	stateDelay = 300 * time.Millisecond
	// goodbye is how long a speaker that will come back goes on answering after it has said so: the time in which its
	// standbys begin to answer for it. Both say the same.
	goodbye = 300 * time.Millisecond
	// handover bounds how long a speaker waits for others to take its addresses when its node goes out of service.
	handover = 2 * time.Second
	// noWake is how far away the next look is when nothing is due.
	noWake = time.Hour
	// restFactor times what the last decision took is the least time to the next one, restMost at most, unless somebody may have
	// died. Every decision looks at every address: without the rest, a thousand Services made one by one, on three nodes that tell
	// each other of each, kept the speakers busy with nothing else. With few addresses it is less than a millisecond.
	restFactor = 4
	restMost   = time.Second
)

// World is what the API server says. The slices are only read.
type World struct {
	Nodes          []lb.Node
	Services       []lb.Service // those with an address
	Pools          []lb.Pool
	Advertisements []lb.Advertisement
	// MACs are hardware addresses that speakers have published by way of the API server, for those that gossip does not reach.
	MACs map[lb.MAC]string
}

// Options of a Core; all are needed but those marked optional.
type Options struct {
	Node            string
	Ring            *gossip.Ring
	Wire            *wire.Wire
	Timing          ownership.Timing
	IgnoreExcludeLB bool
	Log             logr.Logger
	// Tell is called after every decision, from the loop; it must not block. Optional.
	Tell func(ownership.View, ownership.Decision)
	// Waiting is called with what the speaker waits for before it decides, and with "" when it waits no longer. Optional.
	Waiting func(what string)
}

// Core is one speaker.
type Core struct {
	Options
	watch *liveness.Watch
	news  chan struct{} // one slot: the world changed

	mu        sync.Mutex
	world     World
	ready     bool    // Set was called
	kubeProxy lb.Life // as told by SetKubeProxy

	// All below belongs to the loop.
	speakers   []lb.Speaker
	peers      []gossip.Peer
	reborn     map[string]time.Time // peers in a new life that have said nothing yet, since when
	linkUp     map[string]bool      // our interfaces, as last seen
	pulses     map[string]pulse     // the peers, as last seen
	verdict    liveness.Verdict
	vouched    map[string]time.Time // when any witness last said that a peer's speaker works, or we were in no state to ask
	memory     ownership.Memory
	claims     []lb.Claim
	checks     checks
	foreign    foreign
	woken      time.Time // when we noticed that the process had been stopped, or that we are deaf no more; zero while all is well
	rejoinBy   time.Time // how long we wait for missing peers after having been deaf
	restarting bool
	decideAt   time.Time // when the last decision wants to be looked at again; zero for never
	undecided  bool      // something has changed since the last decision
	restUntil  time.Time // when the next decision may be made that is not urgent
}

// New returns a Core that does nothing until Run.
func New(o Options) *Core {
	if o.Tell == nil {
		o.Tell = func(ownership.View, ownership.Decision) {}
	}
	if o.Waiting == nil {
		o.Waiting = func(string) {}
	}
	return &Core{Options: o, watch: liveness.New(o.Node, o.Ring.Notice()), news: make(chan struct{}, 1), reborn: map[string]time.Time{}, vouched: map[string]time.Time{}, linkUp: map[string]bool{}}
}

// Set replaces the world. It may be called at any time, from any goroutine, and does not block.
func (c *Core) Set(w World) {
	c.mu.Lock()
	c.world, c.ready = w, true
	c.mu.Unlock()
	c.lookAgain()
}

// SetKubeProxy says what is believed of the node's kube-proxy; until then it is not asked, which is lb.Unknown. It may be called
// like Set.
func (c *Core) SetKubeProxy(l lb.Life) {
	c.mu.Lock()
	c.kubeProxy = l
	c.mu.Unlock()
	c.lookAgain()
}

// lookAgain wakes the loop because the world has changed.
func (c *Core) lookAgain() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// Run lives until ctx ends, and then leaves in peace: its addresses wait for it, or go to others when the node goes out of
// service. The error is for what waiting does not mend, such as a port in use.
func (c *Core) Run(ctx context.Context) error {
	// What outlives ctx does so to say good-bye.
	life, die := context.WithCancelCause(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	defer parts.Wait()
	defer die(nil)
	start := func(what string, ctx context.Context, run func(context.Context) error) {
		parts.Go(func() {
			if err := run(ctx); err != nil && life.Err() == nil {
				die(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	start("gossip", life, c.Ring.Run)
	start("answering on the LAN", life, c.Wire.Run)

	until, done := either(ctx, life)
	defer done()
	c.await(until)
	c.Waiting("")
	c.loop(until, func() bool { return false })
	if life.Err() == nil {
		c.leave(life)
	}
	return context.Cause(life)
}

// either returns a context that ends with the first of the two.
func either(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}

// leave hands over what we own, or says that we shall be back, and leaves the ring. Until it returns we answer.
func (c *Core) leave(life context.Context) {
	ctx, cancel := context.WithTimeout(life, goodbye)
	if c.outOfService() {
		cancel()
		ctx, cancel = context.WithTimeout(life, handover)
		c.Log.Info("handing over, the node goes out of service", "addresses", len(c.claims))
		c.loop(ctx, func() bool { return len(c.claims) == 0 })
	} else {
		c.Log.Info("leaving, to come back", "addresses", len(c.claims))
		c.restarting = true
		c.decide(time.Now()) // which publishes it
		c.loop(ctx, func() bool { return false })
	}
	cancel()
	c.Ring.Leave()
}

// outOfService says whether the node may own nothing any more, so that nothing should wait for us.
func (c *Core) outOfService() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.world.Nodes {
		if n.Name == c.Node {
			return n.OutOfService || n.Drained || n.Excluded && !c.IgnoreExcludeLB
		}
	}
	return true // there is no such node any more
}

// loop looks whenever something has changed or is due, until ctx ends or enough says so.
func (c *Core) loop(ctx context.Context, enough func() bool) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	people, dirty := true, true
	for !enough() {
		select {
		case <-ctx.Done():
			return
		case <-c.news:
			dirty = true
		case <-c.Ring.Changed():
			people = true
		case <-c.Wire.Changed():
			people = true
		case <-c.Wire.Stalled():
			c.wake(time.Now())
			dirty = true
		case s := <-c.Wire.Sightings():
			dirty = c.see(s) || dirty
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return // stop deciding: the world may look different already because of us
		}
		now := time.Now()
		timer.Reset(c.step(now, people, dirty).Sub(now))
		people, dirty = false, false
	}
}

// step is one look. It returns when the next is due if nothing happens.
func (c *Core) step(now time.Time, people, dirty bool) time.Time {
	urgent := people && c.meet(now)
	probes, next := c.watch.Next(now)
	next = sooner(now.Add(noWake), next)
	more, at := c.checks.due(now)
	next = sooner(next, at)
	if probes = append(probes, more...); len(probes) > 0 {
		c.Wire.Probe(probes)
	}
	urgent = c.judge(now) || urgent
	urgent = c.settle(now) || urgent
	dirty = c.checks.finished(now) || dirty
	c.undecided = c.undecided || urgent || dirty || people
	if urgent || c.due(now) {
		c.decide(now)
		if _, at := c.checks.due(now); !at.IsZero() { // new ones begin at once
			next = sooner(next, at)
		}
	}
	if !c.woken.IsZero() {
		next = sooner(next, now.Add(settleEvery))
	}
	return sooner(next, c.nextDecision(now))
}

// due says whether to decide although nothing is urgent.
func (c *Core) due(now time.Time) bool {
	at := c.nextDecision(now)
	return !at.IsZero() && !now.Before(at)
}

// nextDecision is when to decide if nothing else happens; zero for never.
func (c *Core) nextDecision(now time.Time) time.Time {
	at := c.decideAt
	if c.undecided {
		at = sooner(at, now)
	}
	if !at.IsZero() && at.Before(c.restUntil) {
		return c.restUntil
	}
	return at
}

// sooner returns the earlier of two times; the zero time is never.
func sooner(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}
