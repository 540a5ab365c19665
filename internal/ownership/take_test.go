package ownership

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestFreeAddress(t *testing.T) {
	first := func(v *View) { v.nodeOf("node2").Excluded = true } // then node1 ranks first
	probed := func(v *View, p Probed) {
		first(v)
		p.At = v.Now
		v.Probed = map[netip.Addr]Probed{vip: p}
	}
	stranger, peer := lb.MAC{6, 6, 6, 6, 6, 6}, lb.MAC{2, 0, 0, 0, 0, 3}
	decides(t, []row{
		{"who ranks first asks the LAN", first, "asks the LAN"},
		{"who ranks second waits", func(*View) {}, ""},
		{"and asks when the first does not take it", func(v *View) { v.later(300 * time.Millisecond) }, "asks the LAN"},
		{"nobody uses it", func(v *View) { probed(v, Probed{Clear: true}) }, "claims it: free, answers, asks the LAN"},
		{"a stranger uses it", func(v *View) { probed(v, Probed{By: stranger}) }, "asks the LAN, tells of a stranger"},
		{"a stranger used it when it was asked about last: in turn again", func(v *View) {
			v.later(300 * time.Millisecond)
			v.Probed = map[netip.Addr]Probed{vip: {By: stranger, At: v.Now}}
			v.later(CheckAgain)
			v.Probed = nil
		}, ""},
		{"a speaker that gossip does not reach uses it", func(v *View) { probed(v, Probed{By: peer, Node: "node9"}) }, "asks the LAN"},
		{"a station that answers for many uses it: proxy ARP", func(v *View) {
			probed(v, Probed{By: stranger})
			for i := range byte(2) {
				v.Probed[netip.AddrFrom4([4]byte{192, 168, 1, 201 + i})] = Probed{By: stranger}
			}
		}, "claims it: free, answers, asks the LAN"},
		{"a station that answers for two uses it", func(v *View) {
			probed(v, Probed{By: stranger})
			v.Probed[netip.MustParseAddr("192.168.1.201")] = Probed{By: stranger}
		}, "asks the LAN, tells of a stranger"},
		{"the kernel of a speaker that does not claim it answers: IPVS", func(v *View) {
			v.speakerOf("node3").Interfaces[0].MACs = []lb.MAC{peer}
			probed(v, Probed{By: peer, Node: "node3"})
		}, "claims it: free, answers, asks the LAN"},
		{"the kernel of a speaker that is cut off answers", func(v *View) {
			v.speakerOf("node3").Interfaces[0].MACs = []lb.MAC{peer}
			v.witness("node3", lb.Dead, lb.Alive, lb.Alive, time.Minute)
			probed(v, Probed{By: peer, Node: "node3"})
		}, "asks the LAN"},
		{"a speaker that answers for many uses it: no proxy ARP", func(v *View) {
			probed(v, Probed{By: peer, Node: "node9"})
			for i := range byte(2) {
				v.Probed[netip.AddrFrom4([4]byte{192, 168, 1, 201 + i})] = Probed{By: peer, Node: "node9"}
			}
		}, "asks the LAN"},
		{"who has its share lets one with room go first", func(v *View) {
			first(v)
			v.Mine.holdings = map[netip.Addr]holding{netip.MustParseAddr("192.168.1.201"): {Claim: lb.Claim{Addr: netip.MustParseAddr("192.168.1.201")}}}
		}, ""},
		{"the node that the Service asks for goes first", func(v *View) { v.Services[0].WantedNode = "node1" }, "asks the LAN"},
		{"one that is deaf does not ask", func(v *View) { first(v); v.speakerOf("node1").Interfaces[0].Deaf = true }, ""},
		{"nobody asks when all are deaf", func(v *View) {
			first(v)
			for i := range v.Speakers {
				v.Speakers[i].Interfaces[0].Deaf = true
			}
		}, ""},
		{"one that has just been stopped does not ask", func(v *View) { first(v); v.Stalled = true }, ""},
	})
}

func TestWhatWasGivenUpToAnUnreachableSpeakerIsTakenOnlyWhenTheLANSaysSo(t *testing.T) {
	v := scene()
	v.mine()
	mac := lb.MAC{2, 0, 0, 0, 0, 2}
	v.Foreign = []Foreign{{Addr: vip, MAC: mac, Node: "node2", At: v.Now}}
	v.claim("node3", lb.Claim{Standby: "node1"})
	v.witness("node2", lb.Dead, lb.Unknown, lb.Unknown, time.Minute)
	v.dies("node3")
	v.later(time.Second)
	var did []string
	for _, probed := range []map[netip.Addr]Probed{nil, nil, {vip: {By: mac}}, {vip: {Clear: true}}} {
		v.Probed = probed
		d := Decide(*v)
		did = append(did, does(d))
		v.Mine, v.Foreign, v.Now = d.Memory, nil, v.Now.Add(10*time.Second)
	}
	want := []string{"", "asks the LAN", "asks the LAN", "claims it: free, answers, asks the LAN"}
	if diff := cmp.Diff(want, did); diff != "" {
		t.Errorf("decision by decision (-want +got):\n%s", diff)
	}
}

func TestStrangerIsTheReasonThatNobodyOwnsTheAddress(t *testing.T) {
	v := scene()
	v.Self = "node2"
	v.Peers[0].Node = "node1"
	v.Probed = map[netip.Addr]Probed{vip: {By: lb.MAC{6, 6, 6, 6, 6, 6}, At: v.Now}}
	a := Decide(*v).Addresses[0]
	if a.Owner != "" || a.Problem == nil || a.Problem.Reason != InUse {
		t.Errorf("owner %q, problem %v, want nobody and %s", a.Owner, a.Problem, InUse)
	}
}

// A router with proxy ARP gives itself away by answering for addresses that nobody has.
func TestTheLANIsAskedForDecoysBesideAStranger(t *testing.T) {
	a := netip.MustParseAddr
	v := scene()
	v.nodeOf("node2").Excluded = true // then node1 ranks first
	v.Pools[0].Ranges = ranges("2001:db8::1-2001:db8::9", "192.168.1.199-192.168.1.210")
	v.Services = append(v.Services, service("held", a("192.168.1.201")))
	v.Probed = map[netip.Addr]Probed{vip: {By: lb.MAC{6}, At: v.Now}}
	v.claim("node3", lb.Claim{})
	v.speakerOf("node3").Claims[0].Addr = a("192.168.1.201")
	want := []Check{{a("192.168.1.199"), []string{"eth0"}}, {vip, []string{"eth0"}}, {a("192.168.1.202"), []string{"eth0"}}}
	if diff := cmp.Diff(want, Decide(*v).Check, cmpAddr()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
