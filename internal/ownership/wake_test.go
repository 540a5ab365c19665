package ownership

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// nap is the time after a decision. Until the decision's Wake nothing changes by itself: what else changes, somebody tells of.
type nap struct {
	view  View
	wake  time.Time
	still stillness
}

// stillness is what a decision says and does, and would go on saying and doing.
type stillness struct {
	Answers []Answer
	Claims  []lb.Claim
	Check   []netip.Addr // but for those that are ours now
	Defend  []netip.Addr
}

func still(d Decision) stillness {
	s := stillness{Answers: d.Answers, Claims: d.Claims, Defend: d.Defend}
	for _, k := range d.Check {
		if !slices.ContainsFunc(d.Claims, func(c lb.Claim) bool { return c.Addr == k.Addr }) {
			s.Check = append(s.Check, k.Addr)
		}
	}
	return s
}

// doze notes a decision, and says how it differs from the one before when it must not: nothing has changed but the time, and the
// one before did not ask to be woken yet.
func (c *cluster) doze(v View, d Decision) {
	now := v.Now
	v.Now, v.Mine = time.Time{}, Memory{}
	v.Services, v.Advertisements, v.Speakers = slices.Clone(v.Services), slices.Clone(v.Advertisements), slices.Clone(v.Speakers)
	for i := range v.Speakers {
		v.Speakers[i].Seq = 0 // it grows with every step
	}
	before, after := c.naps[v.Self], nap{v, d.Wake, still(d)}
	c.naps[v.Self] = after
	before.still.Defend = nil // that was then
	if !before.wake.IsZero() && !now.Before(before.wake) || !reflect.DeepEqual(before.view, v) {
		return
	}
	if diff := cmp.Diff(before.still, after.still, cmpAddr()); diff != "" {
		c.overslept = append(c.overslept, fmt.Sprintf("at %v %s does something new (-before +now), though nothing else is new, and it wanted to sleep until %v:\n%s",
			now.Sub(day), v.Self, before.wake.Sub(day), diff))
	}
}

func TestWhenItWantsToDecideAgain(t *testing.T) {
	mute := func(v *View) {
		for _, n := range []string{"node2", "node3"} {
			v.speakerOf(n).Lost = []lb.Loss{{Node: "node1", Interface: "eth0"}}
			v.witness(n, lb.Alive, lb.Dead, lb.Unknown, 0)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*View)
		want   time.Duration // 0 is never
	}{
		{"never, when all is well", func(v *View) { v.mine() }, 0},
		{"when more speakers count as evidence", func(v *View) { v.mine(); v.Mine.heard = 2 }, steady},
		{"when another has been the better standby for long enough", func(v *View) { v.mine(func(h *holding) { h.Standby = "node3" }) }, steady},
		{"when a preference counts", func(v *View) { v.mine(); prefer(v, "node3") }, wishWait},
		{"when failback counts", func(v *View) { v.mine(); v.Advertisements[0].FailbackAlways = true }, failbackWait},
		{"when who was asked should have taken the address", func(v *View) { v.mine(); v.nodeOf("node1").Excluded = true }, handWait},
		{"the same, a moment later", func(v *View) { v.mine(); v.nodeOf("node1").Excluded = true; v.later(handWait / 4) }, handWait * 3 / 4},
		{"when all have been asked in vain", func(v *View) {
			v.mine(func(h *holding) { h.refused = []string{"node2", "node3"} })
			v.nodeOf("node1").Excluded = true
		}, handWait},
		{"when the only one has been asked in vain", func(v *View) {
			v.mine()
			v.nodeOf("node1").Excluded, v.nodeOf("node3").Excluded = true, true
			v.later(handWait)
		}, handWait},
		{"when who is preferred may be asked once more", func(v *View) {
			v.mine()
			prefer(v, "node3")
			v.later(wishWait)
			v.later(handWait)
		}, wishWait},
		{"when the tail ends", func(v *View) {
			v.mine(func(h *holding) { h.HandTo, h.asked = "node3", v.Now })
			v.claim("node3", lb.Claim{From: "node1", Cause: lb.CauseRequested})
		}, time.Minute},
		{"when the owner before is answered again", func(v *View) {
			v.claim("node2", lb.Claim{HandTo: "node1", HandCause: lb.CauseRebalance, Standby: "node1"})
		}, 2 * time.Minute},
		{"when a hold ends", func(v *View) {
			v.claim("node2", lb.Claim{Standby: "node3"})
			v.witness("node2", lb.Dead, lb.Alive, lb.Dead, 4*time.Second)
			v.Mine.heard = 2
		}, 6 * time.Second},
		{"when it is its turn to take over", func(v *View) {
			v.claim("node2", lb.Claim{Standby: "node3"})
			v.dies("node2")
			v.Mine.heard = 2
		}, 300 * time.Millisecond},
		{"when an address that somebody uses is to be asked about again", func(v *View) {
			v.nodeOf("node2").Excluded = true
			v.Probed = map[netip.Addr]Probed{vip: {By: lb.MAC{6}, At: v.Now.Add(-time.Second)}}
		}, CheckAgain - time.Second},
		{"when gossip should have found who answers too", func(v *View) {
			v.mine()
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{4}, Node: "node4", At: v.Now}}
		}, rivalWait},
		{"when a mute owner is no more excused", func(v *View) {
			v.mine(func(h *holding) { h.clung = v.Now })
			mute(v)
		}, reprieve},
		{"when it may announce once more against a worse claim", func(v *View) {
			v.mine(func(h *holding) { h.announced = v.Now })
			v.claim("node2", lb.Claim{Evidence: 1})
		}, announceAgain},
		{"when it has had too many for long enough", func(v *View) { *v = *full() }, 10 * time.Second},
		{"when who was asked for the sake of balance should have taken one", func(v *View) { *v = *full(); v.later(10 * time.Second) }, handWait},
		{"the same, a moment later", func(v *View) { *v = *full(); v.later(10 * time.Second); v.later(handWait / 4) }, handWait * 3 / 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := scene()
			c.change(v)
			wake := Decide(*v).Wake
			if got := wake.Sub(v.Now); !wake.IsZero() && got != c.want || wake.IsZero() != (c.want == 0) {
				t.Errorf("after %v (zero: %v), want %v", got, wake.IsZero(), c.want)
			}
		})
	}
}
