package ownership

import (
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestOwnerTrailsWhatItHandedOver(t *testing.T) {
	handed := func(v *View) {
		v.mine(func(h *holding) { h.HandTo, h.asked = "node3", v.Now })
		v.claim("node3", lb.Claim{From: "node1", Cause: lb.CauseRequested})
	}
	decides(t, []row{
		{"once the new owner claims it", handed, "answers node3 only"},
		{"when one that was asked before takes it after all", func(v *View) {
			v.mine(func(h *holding) { h.HandTo, h.refused, h.asked = "node2", []string{"node3"}, v.Now })
			v.claim("node3", lb.Claim{From: "node1", Cause: lb.CauseRequested})
		}, "answers node3 only"},
		{"for a minute", func(v *View) { handed(v); v.later(time.Minute - 1) }, "answers node3 only"},
		{"and no longer", func(v *View) { handed(v); v.later(time.Minute) }, ""},
		{"not when the link was down: nobody came through it", func(v *View) {
			handed(v)
			h := v.Mine.holdings[vip]
			h.interfaces = nil
			v.Mine.holdings[vip] = h
		}, ""},
		{"and the others too, in its name, when it stalls", func(v *View) {
			handed(v)
			v.later(time.Second)
			v.speakerOf("node3").Claims[0].Standby = "node1"
			v.witness("node3", lb.Dead, lb.Alive, lb.Dead, time.Second)
		}, "stands in for node3, answers node3 only"},
		{"not when it comes back", func(v *View) {
			handed(v)
			v.later(time.Second)
			v.claim("node3", lb.Claim{From: "node1", Cause: lb.CauseRequested, HandTo: "node1", HandCause: lb.CauseRebalance})
		}, "claims it: rebalance from node3, answers all but node3"},
		{"not for what the node claimed before we took it over from it", func(v *View) {
			v.mine(func(h *holding) {
				h.HandTo, h.asked, h.Cause, h.From, h.over = "node3", v.Now, lb.CauseDeath, "node3", day
			})
			v.claim("node3", lb.Claim{From: "node1", Cause: lb.CauseRequested})
		}, "claims it: death from node3, answers"},
	})
}
