package ownership

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// full is a scene in which node1 owns six addresses and nobody else has any, so that it has three too many. It ranks first for the
// first two; for the third node2 does, for the fifth node3.
func full() *View {
	v := scene()
	v.Timing = DefaultTiming()
	v.Services, v.Mine.holdings = nil, map[netip.Addr]holding{}
	for i := range byte(6) {
		v.has("node1", netip.AddrFrom4([4]byte{192, 168, 1, 201 + i}))
	}
	return v
}

// has makes a node own an address.
func (v *View) has(node string, a netip.Addr) {
	v.Services = append(v.Services, service("s"+a.String(), a))
	c := lb.Claim{Addr: a, Evidence: 3, Cause: lb.CauseFree, Since: day}
	if node == v.Self {
		v.Mine.holdings[a] = holding{Claim: c, at: day, interfaces: []string{"eth0"}}
		return
	}
	s := v.speakerOf(node)
	s.Claims = append(s.Claims, c)
}

// fill makes a node claim three addresses of other pools.
func fill(v *View, node string) {
	for i := range byte(3) {
		v.speakerOf(node).Claims = append(v.speakerOf(node).Claims, lb.Claim{Addr: netip.AddrFrom4([4]byte{10, 0, 0, i})})
	}
}

// gives lists what is asked of others for the sake of balance.
func gives(d Decision) string {
	var out []string
	for _, c := range d.Claims {
		if c.HandCause == lb.CauseRebalance {
			out = append(out, c.Addr.String()+" to "+c.HandTo)
		}
	}
	return strings.Join(out, ", ")
}

func TestOwnerOfTooManyGivesOneAway(t *testing.T) {
	const every = 10 * time.Second
	const one = "192.168.1.203 to node2" // the first for which another ranks first
	for _, c := range []struct {
		name   string
		change func(*View)
		want   string
	}{
		{"one, after a while", func(v *View) { v.later(every) }, one},
		{"not before", func(v *View) { v.later(every - 1) }, ""},
		{"and waits for it to be taken", func(v *View) { v.later(every); v.later(handWait - 1) }, one},
		{"but not for ever", func(v *View) { v.later(every); v.later(handWait) }, ""},
		{"and tries again", func(v *View) { v.later(every); v.later(handWait); v.later(every - handWait) }, one},
		{"another, when the time for one has come", func(v *View) {
			v.Timing.Rebalance = handWait / 2
			v.later(handWait / 2)
			v.later(handWait / 2)
		}, one + ", 192.168.1.204 to node2"},
		{"none that is about to go to a preferred node", func(v *View) {
			v.later(every - wishWait/2)
			prefer(v, "node3")
			v.later(wishWait / 2)
		}, ""},
		{"not when it is switched off", func(v *View) { v.Timing.Rebalance = 0; v.later(every) }, ""},
		{"not when it has as many as it may", func(v *View) {
			for a := range v.Mine.holdings {
				if a.As4()[3] > 203 {
					delete(v.Mine.holdings, a)
				}
			}
			v.later(every)
		}, ""},
		{"not when there are fewer that may have some: the mean is theirs", func(v *View) {
			v.nodeOf("node3").Excluded = true
			for a := range v.Mine.holdings {
				if a.As4()[3] > 204 {
					delete(v.Mine.holdings, a)
				}
			}
			v.later(every)
		}, ""},
		{"not when there are fewer that work", func(v *View) {
			v.witness("node3", lb.Dead, lb.Alive, lb.Alive, time.Minute)
			for a := range v.Mine.holdings {
				if a.As4()[3] > 204 {
					delete(v.Mine.holdings, a)
				}
			}
			v.later(every)
		}, ""},
		{"not when nothing was said of how often", func(v *View) { v.Timing = Timing{}; v.later(every) }, ""},
		{"none that a Service wants here", func(v *View) {
			for i := range v.Services {
				v.Services[i].WantedNode = "node1"
			}
			v.later(every)
		}, ""},
		{"none with failback: it would come back", func(v *View) { v.Advertisements[0].FailbackAlways = true; v.later(every) }, ""},
		{"none when this node is preferred", func(v *View) { prefer(v, "node1"); v.later(every) }, ""},
		{"to one that has room, though another ranks before it", func(v *View) { fill(v, "node2"); v.later(every) }, "192.168.1.205 to node3"},
		{"to nobody when all are full", func(v *View) { fill(v, "node2"); fill(v, "node3"); v.later(every) }, ""},
		{"not to one that is cut off from gossip", func(v *View) {
			v.witness("node2", lb.Dead, lb.Alive, lb.Alive, time.Minute)
			v.later(every)
		}, "192.168.1.205 to node3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := full()
			c.change(v)
			if got := gives(Decide(*v)); got != c.want {
				t.Errorf("it gives %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhoHandsAllOverGivesNobodyTooMany(t *testing.T) {
	given := func(v *View) map[string]int {
		out := map[string]int{}
		for _, c := range Decide(*v).Claims {
			out[c.HandTo]++
		}
		return out
	}
	for _, c := range []struct {
		name         string
		change       func(*View)
		node2, node3 int
	}{
		{"as they rank", func(*View) {}, 3, 3},
		{"but none above its share", func(v *View) { fill(v, "node2") }, 2, 4},
		{"nor while it is being asked", func(v *View) { fill(v, "node2"); v.later(handWait / 2) }, 2, 4},
		{"also in silence", func(v *View) {
			fill(v, "node2")
			v.nodeOf("node1").Drained = false
			v.speakerOf("node1").Interfaces[0].Deaf = true
		}, 2, 4},
		{"unless it is preferred", func(v *View) { fill(v, "node2"); prefer(v, "node2") }, 6, 0},
		{"or failback would bring it back", func(v *View) { fill(v, "node2"); v.Advertisements[0].FailbackAlways = true }, 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := full()
			v.nodeOf("node1").Drained = true
			c.change(v)
			if got := given(v); got["node2"] != c.node2 || got["node3"] != c.node3 {
				t.Errorf("they are asked to take %v, want node2 %d, node3 %d", got, c.node2, c.node3)
			}
		})
	}
}

func TestTooManyMustBeSoForAWhile(t *testing.T) {
	v := full()
	v.later(9 * time.Second)
	held := v.Mine.holdings
	v.Mine.holdings = nil
	v.later(0) // for a moment it has none
	v.Mine.holdings = held
	v.later(9 * time.Second)
	if got := gives(Decide(*v)); got != "" {
		t.Errorf("it gives %s", got)
	}
}
