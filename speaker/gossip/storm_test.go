package gossip

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// size is how many speakers a test of a large cluster has: SPEAKERS, or so many that it ends soon.
func size(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("SPEAKERS"))
	if err == nil && n >= 10 && n <= 250 {
		return n
	}
	if os.Getenv("SPEAKERS") != "" {
		t.Fatalf("SPEAKERS=%s: want a number from 10 to 250", os.Getenv("SPEAKERS"))
	}
	return 30
}

// away takes the first count rings off the LAN, each side seeing itself only, until the function that it returns is called.
func (c *cluster) away(count int) (heal func()) {
	gone := map[string]bool{}
	for i := range count {
		gone[addrOf(i).String()] = true
	}
	c.lan.lose(func(from, to string) bool { return gone[from] != gone[to] })
	return func() { c.lan.lose(nil) }
}

// TestManyThatMissAPeerDoNotAllJoinIt counts what a heal costs, for which every pair that misses each other could join. The limits
// of time are those of promise 6, less what deciding takes.
func TestManyThatMissAPeerDoNotAllJoinIt(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault func(*cluster) (heal func())
		last  time.Duration
		gone  func(n int) int // how many are on the smaller side
		share float64         // of the pairs that join at most, each both ways
	}{
		{"one was stopped", func(c *cluster) func() { return c.lan.stop(addrOf(0).String()) }, 3 * time.Second, one, 0.5},
		{"one was cut off", func(c *cluster) func() { return c.away(1) }, 3 * time.Second, one, 0.8},
		{"one was cut off for long", func(c *cluster) func() { return c.away(1) }, 40 * time.Second, one, 0.8},
		{"halves were cut off", func(c *cluster) func() { return c.away(len(c.rings) / 2) }, 5 * time.Second, func(n int) int { return n / 2 }, 1.2},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, size(t), func(t *testing.T, c *cluster) {
				for _, r := range c.rings {
					r.Publish(claiming(100))
				}
				time.Sleep(time.Second)
				heal := row.fault(c)
				time.Sleep(row.last)
				n := len(c.rings)
				for i := row.gone(n); i < n; i++ {
					if got := c.peer(i, 0).Gossip; got != lb.Dead {
						t.Fatalf("%s takes the first one for %v, want dead", nameOf(i), got)
					}
				}
				joins, bytes := c.joins(), c.lan.carried()
				heal()
				took := c.within(900*time.Millisecond, "has all members", func(i int) bool { return len(members(c.rings[i].Ring)) == n })
				time.Sleep(2 * time.Second)
				pairs := row.gone(n) * (n - row.gone(n))
				share := float64(c.joins()-joins) / float64(pairs)
				t.Logf("%d speakers: whole after %v, joins ÷ pairs %.2f, %.1f MB by streams", n, took, share, float64(c.lan.carried()-bytes)/1e6)
				if share > row.share {
					t.Errorf("%.2f of %d pairs joined, want %.2f at most", share, pairs, row.share)
				}
			})
		})
	}
}

func one(int) int { return 1 }

// joins counts the exchanges of joins, each once.
func (c *cluster) joins() (sum int) {
	for _, r := range c.rings {
		sum += int(testutil.ToFloat64(r.metrics.joins))
	}
	return sum / 2
}

// carried returns how many bytes all streams have carried.
func (l *lan) carried() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}
