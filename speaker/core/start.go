package core

import (
	"context"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

const (
	// awaitEvery is the pause between two looks while we wait to begin.
	awaitEvery = 20 * time.Millisecond
	// settleEvery is the pause between two looks whether a speaker that was stopped may speak again.
	settleEvery = 20 * time.Millisecond
	// rejoining is how long a speaker that was deaf waits for gossip to be whole again.
	rejoining = 500 * time.Millisecond
	// silence is how long a speaker that was stopped waits to hear a peer that it believed alive before.
	silence = 2 * time.Second
)

// await waits for the world without limit, and for the peers as long as startDelay; then it takes up what an earlier life of this
// speaker owned, as far as the peers remember. Nothing is published before that: to the others a state without claims says that this
// node has given all addresses up.
func (c *Core) await(ctx context.Context) {
	c.Waiting("reading Services, nodes and pools from the API server")
	if !c.poll(ctx, 0, c.known) {
		return
	}
	c.Waiting("joining the other speakers")
	joined := func() bool { return len(c.Ring.Missing()) == 0 && len(c.Wire.Interfaces()) > 0 }
	if !c.poll(ctx, startDelay, joined) && ctx.Err() == nil {
		c.Log.Info("deciding without waiting any longer, and taking only addresses that nobody answers for", "missing", len(c.Ring.Missing()),
			"interfaces", len(c.Wire.Interfaces()))
	}
	c.poll(ctx, stateDelay, c.heardOut)
	if before, ok := c.Ring.Mine(); ok && len(before.Claims) > 0 {
		c.Log.Info("taking up what this node owned before the restart", "addresses", len(before.Claims))
		c.memory = ownership.Resume(before.Claims)
	}
}

// known says whether the world has been handed in.
func (c *Core) known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

// heardOut says whether every peer that has joined has told what it owns.
func (c *Core) heardOut() bool {
	said := c.Ring.Speakers()
	return !slices.ContainsFunc(c.Ring.Peers(), func(p gossip.Peer) bool {
		return p.Gossip == lb.Alive && !slices.ContainsFunc(said, func(s lb.Speaker) bool { return s.Node == p.Node && s.Boot > 0 })
	})
}

// poll waits until done, ctx ends, or limit is over (0 is no limit), and says whether it is done.
func (c *Core) poll(ctx context.Context, limit time.Duration, done func() bool) bool {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// wake notes that we know nothing of the last moments: the process had been stopped, or was deaf. The wire is mute, and stays so until
// settle allows it to speak.
func (c *Core) wake(now time.Time) {
	c.woken = now
	for _, p := range c.peers {
		c.vouched[p.Node] = now
	}
	c.Ring.Look()
}

// hearAgain notes that an interface is deaf no more, or has its link back. Whom we believe dead may have been heard by all but us, so that we take nothing,
// and say nothing of what we took, before we have asked.
func (c *Core) hearAgain(now time.Time) {
	c.Log.Info("hearing the LAN again, silent until the other speakers are found", "missing", len(c.Ring.Missing()))
	c.Wire.Mute(true)
	c.wake(now)
	c.rejoinBy = now.Add(rejoining)
}

// settle lets the wire speak again after a stop or deafness, once a peer has told us how the world is, or when there is none who could
// and we are not deaf. It says whether it did.
func (c *Core) settle(now time.Time) bool {
	if c.woken.IsZero() || now.Before(c.rejoinBy) && len(c.Ring.Missing()) > 0 {
		return false
	}
	alone := !slices.ContainsFunc(c.peers, func(p gossip.Peer) bool { return p.Gossip != lb.Dead }) || now.Sub(c.woken) > silence
	if !c.Ring.Heard().After(c.woken) && (!alone || len(c.verdict.Deaf) > 0) {
		return false
	}
	c.decide(now) // what we have lost meanwhile is gone from the table before the wire speaks
	c.woken = time.Time{}
	c.Wire.Mute(false)
	return true
}
