package sim

import (
	"testing"
	"time"
)

// TestARestartBesideADeadNode has a speaker wait for a peer that does not come: meanwhile it is there, has said nothing, and answers
// for nothing, so that its standbys must go on.
func TestARestartBesideADeadNode(t *testing.T) {
	inBubble(t, shape{seed: 3, nodes: 5, addresses: 6}, func(c *cluster) {
		v := c.victim()
		for _, n := range c.nodes {
			if n != v {
				n.cutPower()
				break
			}
		}
		time.Sleep(15 * time.Second)
		c.settled("after the death of a node")
		v = c.victim()
		before := c.owners()
		c.witness.reset()
		v.kill()
		time.Sleep(time.Second)
		v.boot()
		time.Sleep(5 * time.Second)
		c.settled("after the restart")
		if moved := c.moves(before, c.owners()); len(moved) > 0 {
			c.errorf("promise 4: moved: %v", moved)
		}
		silence, double := c.witness.worst()
		t.Logf("silent %v, two answerers %v", silence, double)
		if silence > after+round || double > after {
			c.errorf("promise 4: silent for %v, two answerers for %v", silence, double)
		}
	})
}
