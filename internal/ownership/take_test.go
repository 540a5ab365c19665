package ownership

import (
	"net/netip"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestNodeTakesWhatItsOwnerHandsOver(t *testing.T) {
	asked := func(cause lb.Cause) lb.Claim { return lb.Claim{HandTo: "node1", HandCause: cause, Standby: "node1"} }
	const taken = "claims it: rebalance from node2, answers all but node2"
	decides(t, []row{
		{"at once, with the owner's cause, unasked of the LAN, and does not tell the owner where it is", func(v *View) { v.claim("node2", asked(lb.CauseRebalance)) }, taken},
		{"nor when the tail is over, while kernels remember it", func(v *View) {
			v.claim("node2", asked(lb.CauseRebalance))
			v.later(2*time.Minute - 1)
		}, "claims it: rebalance from node2, answers all but node2"},
		{"and tells it again then", func(v *View) {
			v.claim("node2", asked(lb.CauseRebalance))
			v.later(2 * time.Minute)
		}, "claims it: rebalance from node2, answers"},
		{"though a third claims it that is cut off from gossip", func(v *View) {
			v.claim("node2", asked(lb.CauseRebalance))
			v.claim("node3", lb.Claim{})
			v.witness("node3", lb.Dead, lb.Alive, lb.Alive, time.Minute)
		}, taken},
		{"not when it is no candidate", func(v *View) { v.claim("node2", asked(lb.CauseRebalance)); v.nodeOf("node1").Excluded = true }, ""},
		{"not when it is deaf", func(v *View) {
			v.claim("node2", asked(lb.CauseRebalance))
			v.speakerOf("node1").Interfaces[0].Deaf = true
		}, ""},
		{"not when it has just been stopped", func(v *View) { v.claim("node2", asked(lb.CauseRebalance)); v.Stalled = true }, ""},
		{"not when another is asked", func(v *View) { v.claim("node2", lb.Claim{HandTo: "node3", HandCause: lb.CauseRebalance}) }, ""},
	})
}

func TestStandbyAnswersForAStalledOwner(t *testing.T) {
	stalls := func(v *View, silent time.Duration, claim lb.Claim) {
		v.claim("node2", claim)
		v.witness("node2", lb.Dead, lb.Alive, lb.Dead, silent)
	}
	heir := lb.Claim{Standby: "node1"}
	const standsIn = "stands in for node2"
	decides(t, []row{
		{"the one that the owner named", func(v *View) { stalls(v, time.Second, heir) }, standsIn},
		{"not the next one while that one works", func(v *View) { stalls(v, time.Second, lb.Claim{Standby: "node3"}) }, ""},
		{"the next one when that one is dead", func(v *View) { stalls(v, time.Second, lb.Claim{Standby: "node3"}); v.dies("node3") }, standsIn},
		{"the next one when that one is stalled too", func(v *View) {
			stalls(v, time.Second, lb.Claim{Standby: "node3"})
			v.witness("node3", lb.Dead, lb.Alive, lb.Dead, time.Second)
		}, standsIn},
		{"the first in rank when none was named", func(v *View) { stalls(v, time.Second, lb.Claim{}) }, standsIn},
		{"before others the one that was asked to take the address", func(v *View) { stalls(v, time.Second, lb.Claim{HandTo: "node3", Standby: "node1"}) }, ""},
		{"when it restarts, for up to a minute", func(v *View) {
			stalls(v, 59*time.Second, heir)
			v.speakerOf("node2").Restarting = true
		}, standsIn},
		{"as soon as it has left to come back", func(v *View) {
			stalls(v, 0, heir)
			v.speakerOf("node2").Restarting, v.Peers[0].Left, v.Peers[0].Answer = true, true, lb.Unknown
		}, standsIn},
		{"not while it is only cut off from gossip", func(v *View) { stalls(v, time.Hour, heir); v.Peers[0].Answer = lb.Alive }, ""},
		{"not while that is being found out", func(v *View) { stalls(v, time.Second, heir); v.Peers[0].Answer = lb.Unknown }, ""},
		{"not when all is well", func(v *View) { v.claim("node2", heir) }, ""},
		{"not when the heir is deaf", func(v *View) { stalls(v, time.Second, heir); v.speakerOf("node1").Interfaces[0].Deaf = true }, ""},
		{"not when the heir has just been stopped itself", func(v *View) { stalls(v, time.Second, heir); v.Stalled = true }, ""},
	})
}

func TestTakeover(t *testing.T) {
	dead := func(v *View, claim lb.Claim) { v.claim("node2", claim); v.dies("node2") }
	heir := lb.Claim{Standby: "node1"}
	const taken = "claims it: death from node2, answers"
	decides(t, []row{
		{"by the standby, at once, unasked of the LAN", func(v *View) { dead(v, heir) }, taken},
		{"not by the next one, yet", func(v *View) { dead(v, lb.Claim{Standby: "node3"}) }, ""},
		{"by the next one after its delay", func(v *View) { dead(v, lb.Claim{Standby: "node3"}); v.later(300 * time.Millisecond) }, taken},
		{"not a moment earlier", func(v *View) { dead(v, lb.Claim{Standby: "node3"}); v.later(300*time.Millisecond - 1) }, ""},
		{"not once the standby has it", func(v *View) {
			dead(v, lb.Claim{Standby: "node3"})
			v.Mine = Decide(*v).Memory
			v.Now = v.Now.Add(300 * time.Millisecond)
			v.claim("node3", lb.Claim{Cause: lb.CauseDeath, From: "node2"})
		}, ""},
		{"by the next one after its delay, also when the standby was just to get it", func(v *View) {
			dead(v, lb.Claim{Standby: "node3", HandTo: "node3"})
			v.later(300 * time.Millisecond)
		}, taken},
		{"from the one with the better claim, when two are dead", func(v *View) {
			dead(v, heir)
			v.claim("node3", lb.Claim{Standby: "node1", Evidence: 4})
			v.dies("node3")
		}, "claims it: death from node3, answers"},
		{"not of one that answers where no node has the subnet", func(v *View) {
			for i := range v.Speakers {
				v.Speakers[i].Interfaces = []lb.Interface{up("eth0", onMgmt)}
			}
			v.claim("node2", heir)
			v.witness("node2", lb.Dead, lb.Alive, lb.Alive, time.Minute)
		}, ""},
		{"not by the next one when there was no candidate a moment ago: it counts anew", func(v *View) {
			dead(v, lb.Claim{Standby: "node3"})
			v.later(200 * time.Millisecond)
			v.nodeOf("node1").Excluded, v.nodeOf("node3").Excluded = true, true
			v.later(200 * time.Millisecond)
			v.nodeOf("node1").Excluded, v.nodeOf("node3").Excluded = false, false
		}, ""},
		{"not by the next one when another is heard to announce it", func(v *View) {
			dead(v, lb.Claim{Standby: "node3"})
			v.later(300 * time.Millisecond)
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{3}, Node: "node3", At: v.Now.Add(-time.Millisecond)}}
		}, ""},
		{"but when no claim has come of that", func(v *View) {
			dead(v, lb.Claim{Standby: "node3"})
			v.later(300*time.Millisecond + claimWait)
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{3}, Node: "node3", At: v.Now}}
		}, taken},
		{"and when that was before the owner died", func(v *View) {
			dead(v, lb.Claim{Standby: "node3"})
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{3}, Node: "node3", At: v.Now}}
			v.later(300 * time.Millisecond)
		}, taken},
		{"and when it was the dead one", func(v *View) {
			dead(v, lb.Claim{Standby: "node3"})
			v.later(300 * time.Millisecond)
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: "node2", At: v.Now}}
		}, taken},
		{"by the standby all the same", func(v *View) {
			dead(v, heir)
			v.Stalled = true
			v.later(0)
			v.Stalled = false
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{3}, Node: "node3", At: v.Now.Add(time.Millisecond)}}
		}, "claims it: death from node2, answers"},
		{"at once by the next one when owner and standby are known to be dead", func(v *View) { dead(v, lb.Claim{Standby: "node3"}); v.dies("node3") }, taken},
		{"when the hold is over", func(v *View) {
			v.claim("node2", heir)
			v.witness("node2", lb.Dead, lb.Alive, lb.Dead, 10*time.Second)
		}, "claims it: hold-expired from node2, answers"},
		{"not before", func(v *View) {
			v.claim("node2", heir)
			v.witness("node2", lb.Dead, lb.Alive, lb.Dead, 10*time.Second-1)
		}, "stands in for node2"},
		{"when the host dies within the hold", func(v *View) {
			v.claim("node2", heir)
			v.speakerOf("node2").Restarting = true
			v.dies("node2")
			v.Peers[0].Gossip, v.Peers[0].Left = lb.Dead, true
		}, taken},
		{"when it left for good", func(v *View) {
			v.claim("node2", heir)
			v.witness("node2", lb.Dead, lb.Alive, lb.Unknown, 0)
			v.Peers[0].Left = true
		}, taken},
		{"by gossip's word alone where the wire never knew the host", func(v *View) {
			v.claim("node2", heir)
			v.witness("node2", lb.Dead, lb.Unknown, lb.Unknown, time.Second)
		}, taken},
		{"not by one that is deaf", func(v *View) { dead(v, heir); v.speakerOf("node1").Interfaces[0].Deaf = true }, ""},
		{"not by one that has just been stopped", func(v *View) { dead(v, heir); v.Stalled = true }, ""},
		{"not by one that is excluded", func(v *View) { dead(v, heir); v.nodeOf("node1").Excluded = true }, ""},
		{"not of what another claims too", func(v *View) { dead(v, heir); v.claim("node3", lb.Claim{Evidence: 1}) }, ""},
	})
}

func TestTakeoverDoesNotLookAtLoad(t *testing.T) {
	v := scene()
	v.claim("node2", lb.Claim{Standby: "node1"})
	v.dies("node2")
	v.Mine.holdings = map[netip.Addr]holding{}
	for i := range byte(9) {
		a := netip.AddrFrom4([4]byte{192, 168, 1, 201 + i})
		v.Services = append(v.Services, service("more", a))
		v.Mine.holdings[a] = holding{Claim: lb.Claim{Addr: a, Evidence: 3, Cause: lb.CauseFree}, at: day}
	}
	if n := len(Decide(*v).Claims); n != 10 {
		t.Errorf("node1 claims %d addresses, want the 9 that it had and the one of the dead node", n)
	}
}
