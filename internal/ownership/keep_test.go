package ownership

import (
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const kept = "claims it: free, answers"

func TestOwnerKeepsItsAddress(t *testing.T) {
	decides(t, []row{
		{"when all is well, though another ranks first", func(v *View) { v.mine() }, kept},
		{"when everybody else is dead", func(v *View) { v.mine(); v.dies("node2"); v.dies("node3") }, kept},
		{"when another claims it with less evidence", func(v *View) { v.mine(); v.claim("node2", lb.Claim{Evidence: 1}) },
			kept + ", announces it once more"},
		{"when another took it over without need", func(v *View) { v.mine(); v.claim("node2", lb.Claim{Cause: lb.CauseDeath}) },
			kept + ", announces it once more"},
		{"when gossip with another that claims it is cut", func(v *View) {
			v.mine()
			v.claim("node2", lb.Claim{Evidence: 9})
			v.witness("node2", lb.Dead, lb.Alive, lb.Alive, time.Minute)
		}, kept},
		{"when a speaker that gossip hears is heard to answer: it will say what it claims", func(v *View) {
			v.mine()
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: "node2", At: v.Now}}
		}, kept},
		{"when the one that asked it to take the address has not heard of that yet", func(v *View) {
			v.mine(func(h *holding) { h.Cause, h.From = lb.CauseRequested, "node2" })
			v.claim("node2", lb.Claim{HandTo: "node1"})
		}, "claims it: requested from node2, answers"},
		{"against a stranger", func(v *View) {
			v.mine()
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, At: v.Now}}
		}, kept + ", announces it once more, tells of a stranger"},
		{"against a stranger that was answered a moment ago", func(v *View) {
			v.mine(func(h *holding) { h.defended = v.Now.Add(-9 * time.Second) })
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, At: v.Now}}
		}, kept + ", tells of a stranger"},
		{"against a stranger, ten seconds after the last time", func(v *View) {
			v.mine(func(h *holding) { h.defended = v.Now.Add(-10 * time.Second) })
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, At: v.Now}}
		}, kept + ", announces it once more, tells of a stranger"},
		{"and does not fight a router with proxy ARP", func(v *View) {
			v.mine()
			for a := vip; len(v.Foreign) < manyAddresses; a = a.Next() {
				v.Foreign = append(v.Foreign, Foreign{Addr: a, MAC: lb.MAC{8}, At: v.Now})
			}
		}, kept},
		{"when a speaker that ranks behind it answers, and tells the LAN", func(v *View) {
			v.mine()
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{3}, Node: "node3", At: v.Now}}
			v.witness("node3", lb.Dead, lb.Unknown, lb.Unknown, time.Minute)
		}, kept + ", announces it once more"},
		{"when it has just told the LAN, and does not do it again", func(v *View) {
			v.mine(func(h *holding) { h.announced = v.Now.Add(1 - announceAgain) })
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{3}, Node: "node3", At: v.Now}}
			v.witness("node3", lb.Dead, lb.Unknown, lb.Unknown, time.Minute)
		}, kept},
		{"when a speaker that ranks before it answers now and then, and gossip may find it", func(v *View) {
			v.mine()
			rival := []Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: "node2", At: v.Now}}
			v.witness("node2", lb.Dead, lb.Unknown, lb.Unknown, time.Minute)
			v.Foreign = rival
			v.later(rivalWait - 1)
			v.Foreign = nil
			v.later(0)
			v.Foreign = rival
			v.later(rivalWait - 1)
		}, kept},
		{"when it is deaf, and so are all", func(v *View) {
			v.mine()
			for i := range v.Speakers {
				v.Speakers[i].Interfaces[0].Deaf = true
			}
		}, kept},
		{"when the others have lost it, but answer it", func(v *View) {
			v.mine()
			v.speakerOf("node2").Lost = []lb.Loss{{Node: "node1", Interface: "eth0"}}
			v.speakerOf("node3").Lost = []lb.Loss{{Node: "node1", Interface: "eth0"}}
		}, kept},
		{"when one of the others has lost it", func(v *View) {
			v.mine()
			v.dies("node2")
			v.witness("node2", lb.Alive, lb.Dead, lb.Unknown, 0)
			v.witness("node3", lb.Alive, lb.Dead, lb.Unknown, 0)
			v.speakerOf("node2").Lost = []lb.Loss{{Node: "node1", Interface: "eth0"}}
		}, kept},
		{"when it is lost by one, and has lost the other", func(v *View) {
			v.mine()
			v.witness("node2", lb.Alive, lb.Dead, lb.Unknown, 0)
			v.witness("node3", lb.Alive, lb.Dead, lb.Unknown, 0)
			v.speakerOf("node2").Lost = []lb.Loss{{Node: "node1", Interface: "eth0"}}
			v.speakerOf("node1").Lost = []lb.Loss{{Node: "node3", Interface: "eth0"}}
		}, kept},
		{"when the others have lost it on another LAN", func(v *View) {
			v.mine()
			for _, n := range []string{"node2", "node3"} {
				v.witness(n, lb.Alive, lb.Unknown, lb.Unknown, 0)
				v.speakerOf(n).Lost = []lb.Loss{{Node: "node1", Interface: "mgmt"}}
			}
		}, kept},
		{"when it is deaf, and the only one that is not is cut off from gossip", func(v *View) {
			v.mine()
			for i := range v.Speakers {
				v.Speakers[i].Interfaces[0].Deaf = v.Speakers[i].Node != "node2"
			}
			v.witness("node2", lb.Dead, lb.Alive, lb.Alive, time.Minute)
		}, kept},
		{"when the Service asks for it", func(v *View) {
			v.mine()
			v.Services[0].WantedNode = "node1"
			v.Advertisements[0].FailbackAlways = true
			v.later(failbackWait)
		}, kept},
		{"when the Service asks for a node that may not have it", func(v *View) {
			v.mine()
			v.Services[0].WantedNode = "node3"
			v.nodeOf("node3").Excluded = true
		}, kept},
		{"when the node that was asked to take it has taken it from somebody else", func(v *View) {
			v.mine(func(h *holding) { h.HandTo, h.asked = "node3", v.Now })
			v.claim("node3", lb.Claim{From: "node2", Cause: lb.CauseRequested})
		}, kept + ", announces it once more"},
	})
}

func TestOwnerDropsItsAddress(t *testing.T) {
	decides(t, []row{
		{"when no Service has it", func(v *View) { v.mine(); v.Services = nil }, ""},
		{"when no pool has it", func(v *View) { v.mine(); v.Pools = nil }, ""},
		{"when nothing serves behind it", func(v *View) { v.mine(); v.Services[0].Endpoints = nil }, ""},
		{"when another has the better claim", func(v *View) { v.mine(); v.claim("node2", lb.Claim{}) }, ""},
		{"when another has more evidence", func(v *View) { v.mine(); v.claim("node3", lb.Claim{Evidence: 4}) }, ""},
		{"when it was stopped and another has taken over", func(v *View) {
			v.mine()
			v.Stalled = true
			v.claim("node3", lb.Claim{Evidence: 2, Cause: lb.CauseHold})
		}, ""},
		{"when a speaker that ranks before it answers, and gossip does not find it", func(v *View) {
			v.mine()
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: "node2", At: v.Now}}
			v.witness("node2", lb.Dead, lb.Unknown, lb.Unknown, time.Minute)
			v.later(time.Second)
		}, ""},
		{"when a speaker that gossip has never heard of ranks before it by name", func(v *View) {
			v.mine()
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{4}, Node: "node4", At: v.Now}}
			v.later(rivalWait)
		}, ""},
		{"when one that is preferred to it answers, and gossip does not find it", func(v *View) {
			v.mine()
			v.Advertisements[0].Preferred = []lb.Preference{{Weight: 1, Nodes: labelled("name", "node3")}}
			v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{3}, Node: "node3", At: v.Now}}
			v.witness("node3", lb.Dead, lb.Alive, lb.Alive, time.Minute)
			v.later(rivalWait)
		}, ""},
		{"when it took over and turns out to be deaf", func(v *View) {
			v.mine(func(h *holding) { h.Cause, h.at = lb.CauseDeath, v.Now.Add(-time.Second) })
			v.speakerOf("node1").Interfaces[0].Deaf = true
			v.dies("node2")
			v.dies("node3")
		}, ""},
		{"when its link is down and nobody else may have it", func(v *View) {
			v.mine()
			v.speakerOf("node1").Interfaces[0].Up = false
			v.nodeOf("node2").Excluded, v.nodeOf("node3").Excluded = true, true
		}, ""},
		{"when its link is down and nobody else can be asked", func(v *View) {
			v.mine()
			v.speakerOf("node1").Interfaces[0].Up = false
			v.witness("node2", lb.Dead, lb.Unknown, lb.Unknown, 0)
			v.witness("node3", lb.Unknown, lb.Alive, lb.Unknown, 0)
		}, ""},
		{"when all are deaf, and one that is stalled had it and ranks before it", func(v *View) {
			v.mine()
			for i := range v.Speakers {
				v.Speakers[i].Interfaces[0].Deaf = v.Speakers[i].Node != "node2"
			}
			v.claim("node2", lb.Claim{Evidence: 2}) // as much as this one has now
			v.witness("node2", lb.Dead, lb.Alive, lb.Dead, time.Second)
		}, ""},
	})
}

// asks is what an owner does that hands its address over, and still answers.
func asks(node, cause string) string {
	return "claims it: free, asks " + node + " to take it: " + cause + ", answers"
}

func TestOwnerHandsItsAddressOver(t *testing.T) {
	lost := func(v *View) {
		for _, n := range []string{"node2", "node3"} {
			v.speakerOf(n).Lost = []lb.Loss{{Node: "node1", Interface: "eth0"}}
			v.witness(n, lb.Alive, lb.Dead, lb.Unknown, 0)
		}
	}
	part := func(v *View, parted bool) {
		list := []lb.Loss{{Node: "node1", Interface: "eth0"}}
		if parted {
			list = append(list, lb.Loss{Node: "node3", Interface: "eth0"})
		}
		v.speakerOf("node2").Lost = list
	}
	const silent = "claims it: free, asks node2 to take it: ineligible"
	decides(t, []row{
		{"not when no two hear each other", func(v *View) { v.mine(); lost(v); part(v, true) }, kept},
		{"not when two have just found each other again, and it may be next", func(v *View) {
			v.mine()
			lost(v)
			part(v, true)
			v.later(0)
			part(v, false)
			v.Now = v.Now.Add(reprieve - 1)
		}, kept},
		{"when it is excluded", func(v *View) { v.mine(); v.nodeOf("node1").Excluded = true }, asks("node2", "ineligible")},
		{"when it is drained", func(v *View) { v.mine(); v.nodeOf("node1").Drained = true }, asks("node2", "ineligible")},
		{"when its node goes out of service", func(v *View) { v.mine(); v.nodeOf("node1").OutOfService = true }, asks("node2", "shutdown")},
		{"when the endpoints are elsewhere", func(v *View) { v.mine(); v.Services[0].Local = true }, asks("node2", "ineligible")},
		{"to the next when the first does not take it", func(v *View) {
			v.mine()
			v.nodeOf("node1").Excluded = true
			v.later(handWait)
		}, asks("node3", "ineligible")},
		{"only to one that works", func(v *View) {
			v.mine()
			v.nodeOf("node1").Excluded = true
			v.witness("node2", lb.Dead, lb.Alive, lb.Alive, time.Minute)
		}, asks("node3", "ineligible")},
		{"and keeps it while nobody can take it", func(v *View) {
			v.mine()
			v.nodeOf("node1").Excluded = true
			v.witness("node2", lb.Dead, lb.Alive, lb.Alive, time.Minute)
			v.witness("node3", lb.Dead, lb.Alive, lb.Alive, time.Minute)
		}, kept},
		{"when its link is down, and is silent", func(v *View) { v.mine(); v.speakerOf("node1").Interfaces[0].Up = false }, silent},
		{"when it is deaf, and is silent", func(v *View) { v.mine(); v.speakerOf("node1").Interfaces[0].Deaf = true }, silent},
		{"to another at once when the one that was asked dies", func(v *View) {
			v.mine()
			v.nodeOf("node1").Excluded = true
			v.later(0)
			v.dies("node2")
		}, asks("node3", "ineligible")},
		{"when it is mute, though one that is cut off from gossip answers it", func(v *View) {
			v.mine()
			lost(v)
			v.Nodes = append(v.Nodes, lb.Node{Name: "node4"})
			v.Speakers = append(v.Speakers, lb.Speaker{Node: "node4", Interfaces: []lb.Interface{up("eth0", onLAN)}})
			v.Peers = append(v.Peers, lb.Peer{Node: "node4"})
			v.witness("node4", lb.Dead, lb.Alive, lb.Alive, time.Minute)
		}, silent},
		{"when it has no interface any more, and is silent", func(v *View) { v.mine(); v.speakerOf("node1").Interfaces = nil }, silent},
		{"when its link goes down a moment after nobody was better off, and is silent", func(v *View) {
			v.mine(func(h *holding) { h.clung = v.Now.Add(-time.Millisecond) })
			v.speakerOf("node1").Interfaces[0].Up = false
		}, silent},
		{"when it is mute, and is silent", func(v *View) { v.mine(); lost(v) }, silent},
		{"when it took over long ago, and is deaf now", func(v *View) {
			v.mine(func(h *holding) { h.Cause, h.at = lb.CauseDeath, v.Now.Add(-hindsight) })
			v.speakerOf("node1").Interfaces[0].Deaf = true
		}, "claims it: death, asks node2 to take it: ineligible"},
		{"when it has just taken over, and its link goes down", func(v *View) {
			v.mine(func(h *holding) { h.Cause, h.at = lb.CauseDeath, v.Now.Add(-time.Second) })
			v.speakerOf("node1").Interfaces[0].Up = false
		}, "claims it: death, asks node2 to take it: ineligible"},
		{"when it is still mute a while after nobody was heard", func(v *View) {
			v.mine()
			lost(v)
			part(v, true)
			v.later(0)
			part(v, false)
			v.Now = v.Now.Add(reprieve)
		}, silent},
	})
}
