package sim

import (
	"fmt"
	"testing"
	"time"
)

// A switch whose ports are isolated for a while leaves every node without an answer from the others. Nobody is better off, also while they lose
// each other, and while they find each other again one by one.
func TestPortsIsolatedForAWhileMoveNothing(t *testing.T) {
	for _, n := range []int{3, 4, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			inBubble(t, shape{seed: uint64(n), nodes: n, addresses: 4}, func(c *cluster) {
				before := c.owners()
				for i := range time.Duration(8) {
					c.isolate(true)
					time.Sleep(8*time.Second + i*113*time.Millisecond)
					c.isolate(false)
					time.Sleep(3*time.Second + i*77*time.Millisecond)
					c.settled("after the ports were isolated")
					if moved := c.moves(before, c.owners()); len(moved) > 0 {
						c.errorf("moved without a cause: %v", moved)
						before = c.owners()
					}
				}
				if silence, double := c.witness.worst(); silence > 0 || double > 0 {
					c.errorf("silent for %v, two answerers for %v", silence, double)
				}
			})
		})
	}
}

// isolate lets no node hear another, or all.
func (c *cluster) isolate(on bool) {
	c.log("ISOLATED: %v", on)
	for _, n := range c.nodes {
		n.nic.Port().SetIsolated(on)
	}
}
