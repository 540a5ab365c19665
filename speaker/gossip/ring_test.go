package gossip

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestACrashIsMissedByEverybodyWithinTheFormula(t *testing.T) {
	for _, n := range []int{2, 3, 10, 50} {
		for _, phase := range []time.Duration{0, 37 * time.Millisecond, 93 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d speakers, %v", n, phase), func(t *testing.T) {
				inBubble(t, n, func(t *testing.T, c *cluster) {
					time.Sleep(phase)
					began := time.Now()
					c.crash(n / 2)
					least, most := Fast().Notice()
					took := c.within(most+10*time.Millisecond, "misses the crashed one",
						func(i int) bool { return c.peer(i, n/2).Gossip != lb.Alive }, n/2)
					if took < least-Fast().hearsayGrace() {
						t.Errorf("missed after %v, sooner than %v can be", took, least)
					}
					for i := range n {
						if since := c.peer(i, n/2).Silent.Sub(began); i != n/2 && (since > 5*time.Millisecond || since < -Fast().PingInterval-5*time.Millisecond) {
							t.Errorf("%s says that it is silent since %v after the crash", nameOf(i), since)
						}
					}
					_, dead := Fast().Detection(n)
					c.within(dead+time.Second, "knows that it is dead", func(i int) bool { return c.peer(i, n/2).Gossip == lb.Dead }, n/2)
				})
			})
		}
	}
}

func TestEachProfileKeepsItsFormula(t *testing.T) {
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			inBubbleWith(t, 5, p.Timing, func(t *testing.T, c *cluster) {
				time.Sleep(10 * time.Second)
				c.crash(2)
				least, most := p.Timing.Notice()
				missed := c.within(most+10*time.Millisecond, "misses the crashed one", func(i int) bool { return c.peer(i, 2).Gossip != lb.Alive }, 2)
				_, latest := p.Timing.Detection(5)
				dead := missed + c.within(latest+p.Timing.ProbeInterval, "knows that it is dead", func(i int) bool { return c.peer(i, 2).Gossip == lb.Dead }, 2)
				t.Logf("missed after %v (%v to %v), dead after %v (up to about %v)", missed, least, most, dead, latest)
			})
		})
	}
}

func TestNeighboursThatCrashTogetherAreAllMissed(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, c *cluster) {
		for _, i := range []int{3, 4, 5} {
			c.crash(i)
		}
		c.within(2*Fast().MissAfter+100*time.Millisecond, "misses all three", func(i int) bool {
			return c.peer(i, 3).Gossip != lb.Alive && c.peer(i, 4).Gossip != lb.Alive && c.peer(i, 5).Gossip != lb.Alive
		}, 3, 4, 5)
	})
}

func TestNobodyIsMissedWithoutCause(t *testing.T) {
	for _, n := range []int{2, 3, 20} {
		t.Run(fmt.Sprint(n, " speakers"), func(t *testing.T) {
			inBubble(t, n, func(t *testing.T, c *cluster) {
				random := rand.New(rand.NewPCG(1, uint64(n)))
				c.lan.lose(func(_, _ string) bool { return random.IntN(100) < 2 })
				missed := 0
				for range 3000 {
					for i := range n {
						for _, p := range c.rings[i].Peers() {
							if p.Gossip != lb.Alive {
								missed++
							}
						}
					}
					time.Sleep(10 * time.Millisecond)
				}
				// Two beats in a row are lost once in 2,500: a miss, and the answer to the question that goes with it ends it.
				if share := float64(missed) / float64(3000*n*(n-1)); share > 0.001 {
					t.Errorf("peers are missed %.4f of the time, at a loss of 2%%", share)
				}
			})
		})
	}
}

func TestASpeakerThatJoinsIsNotMissed(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, c *cluster) {
		c.peers.add(addrOf(10))
		c.rings = append(c.rings, c.launch(10, []byte("secret")))
		joined := make([]bool, 11)
		for range 2000 {
			for i := range 10 {
				life := c.peer(i, 10).Gossip
				if joined[i] = joined[i] || life == lb.Alive; joined[i] && life != lb.Alive {
					t.Fatalf("%s misses the new one", nameOf(i))
				}
			}
			time.Sleep(time.Millisecond)
		}
		if !slices.Equal(joined, append(slices.Repeat([]bool{true}, 10), false)) {
			t.Errorf("who has seen it: %v", joined)
		}
	})
}

func TestOneThatIsHeardAgainIsBackForAll(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, c *cluster) {
		x := addrOf(4).String()
		c.lan.lose(func(from, to string) bool { return from == x || to == x })
		c.within(400*time.Millisecond, "misses it", func(i int) bool { return c.peer(i, 4).Gossip == lb.Unknown }, 4)
		c.lan.lose(nil)
		c.within(300*time.Millisecond, "hears it again", func(i int) bool { return c.peer(i, 4).Gossip == lb.Alive }, 4)
		c.within(300*time.Millisecond, "is heard by it", func(i int) bool { return c.peer(4, i).Gossip == lb.Alive }, 4)
		if p := c.peer(0, 4); !p.Silent.IsZero() {
			t.Errorf("back, and silent since %v", p.Silent)
		}
	})
}

// It speaks to those that are not its neighbours too, and they do not send it beats that it could tell of.
func TestOneThatSpeaksAndHearsNobodyIsMissedByAll(t *testing.T) {
	for _, n := range []int{2, 3, 5, 10} {
		t.Run(fmt.Sprint(n, " speakers"), func(t *testing.T) {
			inBubble(t, n, func(t *testing.T, c *cluster) {
				x := addrOf(1).String()
				c.lan.lose(func(_, to string) bool { return to == x })
				c.within(600*time.Millisecond, "misses it", func(i int) bool { return c.peer(i, 1).Gossip == lb.Unknown }, 1)
				for range 2000 {
					for i := range n {
						if i != 1 && c.peer(i, 1).Gossip == lb.Alive {
							t.Fatalf("%s takes it for alive", nameOf(i))
						}
					}
					time.Sleep(time.Millisecond)
				}
				c.lan.lose(nil)
				c.within(600*time.Millisecond, "takes it for alive", func(i int) bool { return c.peer(i, 1).Gossip == lb.Alive }, 1)
			})
		})
	}
}

func TestOneDeafNeighbourDoesNotMakeOthersMissANode(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, c *cluster) {
		x, deaf := addrOf(4).String(), addrOf(5).String()
		c.lan.lose(func(from, to string) bool { return from == x && to == deaf })
		c.within(400*time.Millisecond, "misses it", func(i int) bool { return c.peer(5, 4).Gossip == lb.Unknown })
		for range 5000 {
			for i := range 10 {
				if i != 4 && i != 5 && c.peer(i, 4).Gossip != lb.Alive {
					t.Fatalf("%s misses a node that only %s does not hear", nameOf(i), nameOf(5))
				}
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func TestIdlePacketsFollowTheFormula(t *testing.T) {
	for _, n := range []int{2, 3, 10, 50} {
		t.Run(fmt.Sprint(n, " speakers"), func(t *testing.T) {
			inBubble(t, n, func(t *testing.T, c *cluster) {
				for _, r := range c.rings {
					r.Publish(claiming(1))
				}
				time.Sleep(10 * time.Second) // what the start has set going is over
				c.lan.mu.Lock()
				clear(c.lan.sent)
				c.lan.mu.Unlock()
				time.Sleep(30 * time.Second)
				c.lan.mu.Lock()
				defer c.lan.mu.Unlock()
				sum := 0
				for _, k := range c.lan.sent {
					sum += k
				}
				got, most := float64(sum)/30/float64(n), Fast().Packets(n)
				t.Logf("%.1f packets a second each, at most %.1f by the formula", got, most)
				if got > 1.01*most || got < 0.7*most {
					t.Errorf("%.1f packets a second each, want close to %.1f and not more", got, most)
				}
			})
		})
	}
}

func TestANewLifeThatHasSaidNothingIsKnownToAll(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, c *cluster) {
		for _, r := range c.rings {
			r.Publish(claiming(1))
		}
		time.Sleep(time.Second)
		before := c.rings[4].book.boot
		c.rings[4].stop(t)
		c.rings[4] = c.launch(4, []byte("secret"))
		for i, r := range c.rings {
			if i != 4 {
				drain(r.Changed())
			}
		}
		c.within(300*time.Millisecond, "knows the new life", func(i int) bool { return i == 4 || c.peer(i, 4).Boot > before })
		for i, r := range c.rings {
			if i == 4 {
				continue
			}
			select {
			case <-r.Changed():
			default:
				t.Errorf("%s is not woken", nameOf(i))
			}
			if got := c.said(i, 4); got.Boot != before {
				t.Errorf("%s has a word of the new life: %+v", nameOf(i), got)
			}
		}
	})
}
