package gossip

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

var values = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// claiming returns a state with claims of so many addresses.
func claiming(count int) lb.Speaker {
	s := lb.Speaker{Interfaces: []lb.Interface{{Name: "eth0", Up: true, MACs: []lb.MAC{{2, 0, 0, 0, 0, 1}}, Prefixes: prefixes("192.0.2.0/24")}}}
	for i := range count {
		s.Claims = append(s.Claims, lb.Claim{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Standby: "n02",
			Evidence: 3, Cause: lb.CauseFree, Since: time.UnixMilli(1700000000000)})
	}
	return s
}

// said returns the state of ring number j as ring number i knows it.
func (c *cluster) said(i, j int) lb.Speaker {
	for _, s := range c.rings[i].Speakers() {
		if s.Node == nameOf(j) {
			return s
		}
	}
	return lb.Speaker{}
}

func TestAStateReachesEverybody(t *testing.T) {
	for _, n := range []int{2, 10, 50} {
		t.Run(fmt.Sprint(n, " speakers"), func(t *testing.T) {
			inBubble(t, n, func(t *testing.T, c *cluster) {
				c.rings[0].Publish(claiming(10))
				c.within(20*time.Millisecond, "knows the state", func(i int) bool { return len(c.said(i, 0).Claims) == 10 })
				if diff := cmp.Diff(c.said(0, 0), c.said(n-1, 0), values); diff != "" {
					t.Errorf("what arrived is not what Speakers of the publisher says (-publisher +other):\n%s", diff)
				}
				for k := range 20 { // within one gap: the first goes at once, the last after the gap
					c.rings[0].Publish(claiming(11 + k))
				}
				c.within(stateGap+20*time.Millisecond, "knows the last state", func(i int) bool { return len(c.said(i, 0).Claims) == 30 })
			})
		})
	}
}

func TestAnEqualStateIsNotToldAgain(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, c *cluster) {
		c.rings[0].Publish(claiming(3))
		c.within(100*time.Millisecond, "knows", func(i int) bool { return len(c.said(i, 0).Claims) == 3 })
		drain(c.rings[0].Changed())
		c.rings[0].Publish(claiming(3))
		if got := c.said(0, 0).Seq; got != 1 {
			t.Errorf("Seq = %d after the same state twice, want 1", got)
		}
		select {
		case <-c.rings[0].Changed():
			t.Error("woken for a state that is no news")
		default:
		}
	})
}

func TestAStateArrivesThoughStreamsFail(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		from, to := addrOf(0).String(), addrOf(1).String()
		c.lan.lose(func(a, b string) bool { return a == from && b == to })
		c.rings[0].Publish(claiming(5))
		time.Sleep(300 * time.Millisecond)
		if len(c.said(1, 0).Claims) != 0 {
			t.Fatal("it arrived, and should not yet")
		}
		c.lan.lose(nil)
		c.within(time.Second+retryFirst, "knows the state", func(i int) bool { return len(c.said(i, 0).Claims) == 5 })
	})
}

func TestOneThatJoinsLearnsEverythingAndItsFormerLife(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, c *cluster) {
		for i := range 4 {
			c.rings[i].Publish(claiming(i + 1))
		}
		c.within(100*time.Millisecond, "knows all", func(i int) bool { return len(c.rings[i].Speakers()) == 4 })
		before := c.said(0, 2)
		c.crash(3)
		c.crash(2)
		time.Sleep(10 * time.Second)
		c.rings[2] = c.launch(2, []byte("secret"))
		c.within(time.Second, "knows all, the dead one too", func(i int) bool { return i != 2 || len(c.rings[2].Speakers()) == 3 }, 3)
		former, ok := c.rings[2].Mine()
		if diff := cmp.Diff(before, former, values); !ok || diff != "" {
			t.Errorf("former life (-before +now):\n%s", diff)
		}
		if p := c.peer(2, 3); p.Gossip != lb.Unknown && p.Gossip != lb.Dead || p.Addr.IsValid() {
			t.Errorf("one that it never met: %+v", p)
		}
		time.Sleep(strangerTime)
		if p := c.peer(2, 3); p.Gossip != lb.Dead || p.Silent.IsZero() {
			t.Errorf("one that it never met, later: %+v", p)
		}
		c.rings[2].Publish(claiming(7))
		c.within(200*time.Millisecond, "knows the new life", func(i int) bool { return len(c.said(i, 2).Claims) == 7 }, 3)
		c.rings[2].Forget(nameOf(3))
		if got := c.peer(2, 3); got.Node != "" {
			t.Errorf("forgotten, and still there: %+v", got)
		}
	})
}

func TestALifeWhoseClockWentBackIsBelieved(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		c.rings[2].Publish(claiming(2))
		c.within(100*time.Millisecond, "knows it", func(i int) bool { return len(c.said(i, 2).Claims) == 2 })
		c.crash(2)
		time.Sleep(5 * time.Second)
		ring, err := New(Config{Node: nameOf(2), Bind: addrOf(2), Secret: []byte("secret"), Peers: c.peers.list, Log: c.rings[2].cfg.Log,
			Transport: c.lan.plug(addrOf(2).String())})
		if err != nil {
			t.Fatal(err)
		}
		ring.book.boot, ring.book.mine.Boot = 12345, 12345 // seconds after 1970
		c.rings[2] = c.run(ring)
		ring.Publish(claiming(6))
		c.within(time.Second, "knows the new life", func(i int) bool { return len(c.said(i, 2).Claims) == 6 })
		if former, ok := ring.Mine(); !ok || len(former.Claims) != 2 {
			t.Errorf("former life: %v %v", former, ok)
		}
	})
}

func TestAHealedPartitionIsWholeWithinASecond(t *testing.T) {
	for _, n := range []int{2, 3, 10, 20} {
		t.Run(fmt.Sprint(n, " speakers"), func(t *testing.T) {
			inBubble(t, n, func(t *testing.T, c *cluster) {
				side := func(addr string) bool { return netip.MustParseAddrPort(addr).Addr().As4()[3] <= byte(n/2) }
				c.lan.lose(func(from, to string) bool { return side(from) != side(to) })
				time.Sleep(30 * time.Second)
				if got := c.peer(0, n-1); got.Gossip != lb.Dead {
					t.Fatalf("the other side is %+v", got)
				}
				for i := range n {
					c.rings[i].Publish(claiming(i + 1))
				}
				c.lan.lose(nil)
				took := c.within(time.Second, "sees all alive and knows what they say", func(i int) bool {
					for j := range n {
						if len(c.said(i, j).Claims) != j+1 || i != j && c.peer(i, j).Gossip != lb.Alive {
							return false
						}
					}
					return true
				})
				t.Logf("whole after %v", took)
			})
		})
	}
}

func TestAnotherKeyIsDroppedAndCounted(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		c.crash(2)
		time.Sleep(5 * time.Second)
		c.rings[2] = c.launch(2, []byte("another secret"))
		c.rings[2].Publish(claiming(4))
		time.Sleep(5 * time.Second)
		for i := range 2 {
			if got := c.peer(i, 2).Gossip; got != lb.Dead {
				t.Errorf("%s says that it is %v", nameOf(i), got)
			}
			if len(c.said(i, 2).Claims) != 0 {
				t.Errorf("%s believes what it says", nameOf(i))
			}
		}
		if got := testutil.ToFloat64(c.rings[0].metrics.dropped.WithLabelValues("key")); got < 5 {
			t.Errorf("counted %v, want at least one for each try to join", got)
		}
	})
}

func TestGoodByeIsTold(t *testing.T) {
	inBubble(t, 10, func(t *testing.T, c *cluster) {
		s := claiming(1)
		s.Restarting = true
		c.rings[3].Publish(s)
		time.Sleep(100 * time.Millisecond)
		c.rings[3].Leave()
		c.within(100*time.Millisecond, "knows that it left", func(i int) bool {
			p := c.peer(i, 3)
			return p.Left && p.Gossip == lb.Dead && !p.Silent.IsZero() && c.said(i, 3).Restarting
		}, 3)
		time.Sleep(5 * time.Second)
		if p := c.peer(0, 3); !p.Left {
			t.Errorf("forgot that it left: %+v", p)
		}
		c.rings[3].stop(t)
		c.rings[3] = c.launch(3, []byte("secret"))
		c.within(time.Second, "sees it again", func(i int) bool { p := c.peer(i, 3); return p.Gossip == lb.Alive && !p.Left }, 3)
	})
}

func TestHeardIsAboutWhatWasAnswered(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		if age := time.Since(c.rings[0].Heard()); age > 2*Fast().PingInterval {
			t.Errorf("all is well, and the last answer is %v old", age)
		}
		us := addrOf(0).String()
		c.lan.lose(func(from, _ string) bool { return from == us }) // we hear the others, and they do not hear us
		cut := time.Now()
		time.Sleep(2 * time.Second)
		if heard := c.rings[0].Heard(); heard.Sub(cut) > time.Millisecond { // some were sent in the same instant
			t.Errorf("heard an answer to what was sent %v after the cut", heard.Sub(cut))
		}
		c.lan.lose(nil)
		c.within(time.Second, "is answered", func(i int) bool { return i != 0 || c.rings[0].Heard().After(cut) })
	})
}

func TestALargeStateArrivesOverSockets(t *testing.T) {
	a, b, c, _ := three(t)
	a.Publish(claiming(10000))
	for _, r := range []*running{b, c} {
		await(t, r.cfg.Node+" knows the claims of a", func() bool {
			s := r.Speakers()
			return len(s) == 1 && len(s[0].Claims) == 10000
		})
	}
	await(t, "a knows that they have it", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.book.peers["b"].outbox.has == a.book.peers["b"].outbox.tried
	})
}
