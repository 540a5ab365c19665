package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// Who ranks next waits RankDelay longer, for the standby.
func TestTheOwnerAndItsStandbyDieTogether(t *testing.T) {
	t.Parallel()
	inBubble(t, shape{seed: 2, nodes: 5, addresses: 6}, func(c *cluster) {
		vip := c.vips[0]
		claim, _ := c.victim().life.owns(vip)
		gone := []*node{c.victim(), c.named(claim.Standby)}
		c.expect(gone, func() {
			for _, n := range gone {
				n.cutPower()
			}
		}, 1300*time.Millisecond)
		for _, n := range gone {
			n.boot()
		}
		time.Sleep(10 * time.Second)
		c.settled("after both are back")
	})
}

// expect does something to some nodes: their addresses and no others move, and nobody is silent for longer than the limit.
func (c *cluster) expect(to []*node, do func(), limit time.Duration) {
	c.t.Helper()
	before := c.owners()
	c.witness.reset()
	c.log("FAULT")
	do()
	time.Sleep(limit + after)
	c.settled("after the fault")
	ofThem := func(vip netip.Addr) bool {
		return slices.ContainsFunc(to, func(n *node) bool { return n.name == before[vip] })
	}
	now := c.owners()
	for _, vip := range c.vips {
		if moved := before[vip] != now[vip]; moved != ofThem(vip) {
			c.errorf("promise 8: %v went from %q to %q", vip, before[vip], now[vip])
		}
	}
	silence, double := c.witness.silence(ofThem)
	c.t.Logf("silent %v, two answerers %v", silence, double)
	if silence > limit+round || double > after {
		c.errorf("promise 3: silent for %v, limit %v; two answerers for %v", silence, limit, double)
	}
	if silence, double := c.witness.silence(func(vip netip.Addr) bool { return !ofThem(vip) }); silence > 0 || double > 0 {
		c.errorf("promise 8: addresses of others were silent for %v, or had two answerers for %v", silence, double)
	}
}

func TestFiftySpeakers(t *testing.T) {
	t.Parallel()
	inBubble(t, shape{seed: 9, nodes: 50, addresses: 10}, func(c *cluster) {
		v := c.victim()
		before := c.owners()
		c.witness.reset()
		v.stop()
		time.Sleep(2 * time.Second)
		c.settled("while a process is stopped")
		v.cont()
		time.Sleep(after)
		c.settled("after it was stopped")
		if silence, double := c.witness.worst(); silence > time.Second+round || double > after || len(c.moves(before, c.owners())) > 0 {
			c.errorf("promise 4: silent for %v, two answerers for %v, moved %v", silence, double, c.moves(before, c.owners()))
		}
		c.flows(before)
		c.expect([]*node{v}, v.cutPower, time.Second)
	})
}

func TestAHostDiesWhileItsSpeakerIsStopped(t *testing.T) {
	t.Parallel()
	inBubble(t, shape{seed: 3, nodes: 3, addresses: 4}, func(c *cluster) {
		v := c.victim()
		v.stop()
		time.Sleep(3 * time.Second)
		c.settled("while it is stopped")
		c.expect([]*node{v}, v.cutPower, time.Second)
	})
}

func TestTheStandbyDiesWhileItStandsIn(t *testing.T) {
	t.Parallel()
	inBubble(t, shape{seed: 4, nodes: 4, addresses: 4, timing: ownership.Timing{Hold: 30 * time.Second, HoldRestart: time.Minute,
		RankDelay: 300 * time.Millisecond, Tail: time.Minute}}, func(c *cluster) {
		v := c.victim()
		claim, _ := v.life.owns(c.vips[0])
		standby := c.named(claim.Standby)
		before := c.owners()
		v.stop()
		time.Sleep(3 * time.Second)
		c.witness.reset()
		standby.cutPower()
		time.Sleep(2 * time.Second)
		c.settled("after the standby's death")
		if silence, _ := c.witness.worst(); silence > time.Second+round {
			c.errorf("silent for %v", silence)
		}
		v.cont()
		time.Sleep(2 * time.Second)
		c.settled("after the owner is back")
		for _, vip := range c.vips {
			if now := c.owners(); before[vip] == v.name && now[vip] != v.name {
				c.errorf("%v moved to %q", vip, now[vip])
			}
		}
	})
}

// Where ports are isolated from each other nobody can ask a host whether it lives; gossip alone decides.
func TestIsolatedPorts(t *testing.T) {
	t.Parallel()
	inBubble(t, shape{seed: 5, nodes: 4, addresses: 4, isolated: true}, func(c *cluster) {
		c.settled("after the start")
		before := c.owners()
		time.Sleep(2 * time.Minute)
		if moved := c.moves(before, c.owners()); len(moved) > 0 {
			c.errorf("moved without a cause: %v", moved)
		}
		v := c.victim()
		c.expect([]*node{v}, v.cutPower, 2*time.Second)
		v.boot()
		time.Sleep(10 * time.Second)
		c.settled("after it is back")
	})
}

// Two keys make two rings that know nothing of each other but what the LAN shows.
func TestSpeakersThatNeverMet(t *testing.T) {
	for _, lone := range []string{"n01", "n02", "n03"} {
		t.Run(lone, func(t *testing.T) {
			t.Parallel()
			inBubble(t, shape{seed: 6, nodes: 3, addresses: 6, keys: map[string]string{lone: "another"}}, func(c *cluster) {
				c.settled("after the start")
				c.witness.reset()
				time.Sleep(30 * time.Second)
				c.settled("half a minute later")
				if silence, double := c.witness.worst(); silence > 0 || double > 0 {
					c.errorf("silent for %v, two answerers for %v", silence, double)
				}
				n := c.named(lone)
				c.witness.reset()
				n.kill()
				time.Sleep(2 * time.Second)
				n.boot()
				time.Sleep(5 * time.Second)
				c.settled("after the lone one was killed and came back")
				if _, double := c.witness.worst(); double > after {
					c.errorf("two answerers for %v", double)
				}
			})
		})
	}
}

func TestRollingRestarts(t *testing.T) {
	for _, row := range []struct {
		nodes    int
		away     time.Duration
		between  time.Duration
		graceful bool
	}{
		{3, time.Second, 3 * time.Second, true},
		{3, 5 * time.Second, 10 * time.Second, true},
		{3, 2 * time.Second, 5 * time.Second, false},
		{10, time.Second, time.Second, true},
		{5, 200 * time.Millisecond, 500 * time.Millisecond, true},
	} {
		t.Run(fmt.Sprintf("%d nodes, %v away, graceful %v", row.nodes, row.away, row.graceful), func(t *testing.T) {
			t.Parallel()
			inBubble(t, shape{seed: 7, nodes: row.nodes, addresses: 6}, func(c *cluster) {
				before := c.owners()
				c.witness.reset()
				for _, n := range c.nodes {
					if row.graceful {
						n.terminate()
					} else {
						n.kill()
					}
					time.Sleep(row.away)
					n.boot()
					time.Sleep(row.between)
				}
				time.Sleep(after)
				c.settled("after the last")
				if moved := c.moves(before, c.owners()); len(moved) > 0 {
					c.errorf("promise 4: moved: %v", moved)
				}
				silence, double := c.witness.worst()
				t.Logf("silent %v, two answerers %v", silence, double)
				if silence > time.Second+round || double > after {
					c.errorf("promise 4: silent for %v, two answerers for %v", silence, double)
				}
				c.flows(before)
			})
		})
	}
}

// What is cut in two and what comes of it; the witness is on the side of those not named.
func TestPartitions(t *testing.T) {
	for _, row := range []struct {
		name        string
		lan, gossip bool
		away        []string
		moves       bool
	}{
		{"gossip only", false, true, []string{"n01", "n02"}, false},
		{"LAN only", true, false, []string{"n01", "n02"}, true},
		{"both", true, true, []string{"n01", "n02"}, true},
		{"both, the larger part away", true, true, []string{"n01", "n02", "n03"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, shape{seed: 8, nodes: 5, addresses: 6}, func(c *cluster) {
				before := c.owners()
				c.witness.reset()
				if row.lan {
					c.lan.Partition(row.away)
				}
				if row.gossip {
					c.net.Partition(row.away)
				}
				c.log("FAULT")
				time.Sleep(20 * time.Second)
				silence, _ := c.witness.worst()
				t.Logf("silent %v", silence)
				if row.gossip {
					c.settled("at the end of the partition")
					if silence > time.Second+round {
						c.errorf("promise 3: silent for %v", silence)
					}
				}
				c.witness.reset()
				heal(c, nil)
				c.log("HEAL")
				time.Sleep(after)
				c.settled("a second after the end")
				_, double := c.witness.worst()
				t.Logf("two answerers %v", double)
				if double > after {
					c.errorf("promise 6: two answerers for %v", double)
				}
				if moved := c.moves(before, c.owners()); !row.moves && len(moved) > 0 {
					c.errorf("promise 4: moved: %v", moved)
				}
			})
		})
	}
}
