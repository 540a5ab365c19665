package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/simnet"
)

// TestPortsThatPassNothing measures how long the addresses of a node are silent whose switch port fails with its carrier up, while
// gossip goes elsewhere, or with it. An eighth of SEEDS is how many clusters for each kind of failure, each with four of them.
func TestPortsThatPassNothing(t *testing.T) {
	first, count := seeds(t, 24)
	for _, row := range []struct {
		name          string
		fault         func(*cluster, *node)
		median, worst time.Duration
	}{
		{"deaf and dumb", deaf, 600 * time.Millisecond, time.Second},
		{"hears nothing", lanBlock(simnet.In), 600 * time.Millisecond, time.Second},
		{"says nothing", lanBlock(simnet.Out), 1300 * time.Millisecond, 2 * time.Second},
		{"hears nothing, gossip neither", bothBlock(simnet.In), 800 * time.Millisecond, time.Second},
	} {
		var mu sync.Mutex
		var took []time.Duration
		t.Run(row.name, func(t *testing.T) {
			for seed := first; seed < first+(count+7)/8; seed++ {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					t.Parallel()
					r := rand.New(rand.NewPCG(seed, 5))
					inBubble(t, shape{seed: seed, nodes: 3 + r.IntN(8), addresses: 2}, func(c *cluster) {
						for range 4 {
							time.Sleep(time.Duration(r.Int64N(int64(time.Second))))
							silence := c.fail(row.fault, row.worst)
							mu.Lock()
							took = append(took, silence)
							mu.Unlock()
						}
					})
				})
			}
		})
		if slices.Sort(took); len(took) > 0 {
			median, worst := took[len(took)/2], took[len(took)-1]
			t.Logf("%s: %d ports: silent for %v (least), %v (median), %v (worst)", row.name, len(took), took[0], median, worst)
			if median > row.median+round {
				t.Errorf("%s: silent for %v (median), limit %v", row.name, median, row.median)
			}
		}
	}
}

// fail lets the port of an owner fail for ten seconds, and returns for how long its addresses were silent, at most worst.
func (c *cluster) fail(fault func(*cluster, *node), worst time.Duration) (silence time.Duration) {
	v, before := c.victim(), c.owners()
	c.witness.reset()
	c.log("FAULT of %s", v.name)
	fault(c, v)
	time.Sleep(10 * time.Second)
	c.settled("while the port fails")
	for _, vip := range c.moves(before, c.owners()) {
		if before[vip] != v.name {
			c.errorf("promise 8: %v moved from %s", vip, before[vip])
		}
	}
	if silence, _ = c.witness.worst(); silence > worst+round {
		c.errorf("silent for %v, limit %v", silence, worst)
	}
	heal(c, nil)
	c.log("HEAL")
	time.Sleep(12 * time.Second)
	c.settled("after it")
	return silence
}
