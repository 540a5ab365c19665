package ownership

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

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
		{"what gossip repeats of this node's own claims is nothing", func(v *View) {
			first(v)
			v.claim("node1", lb.Claim{})
		}, "asks the LAN"},
		{"a station uses it that turns out to answer for many", func(v *View) {
			probed(v, Probed{By: stranger})
			v.later(time.Second)
			for i := range byte(2) {
				v.Probed[netip.AddrFrom4([4]byte{192, 168, 1, 201 + i})] = Probed{By: stranger}
			}
		}, "claims it: free, answers, asks the LAN"},
		{"neither of two that have lost each other asks", func(v *View) {
			v.dies("node3")
			v.witness("node2", lb.Alive, lb.Dead, lb.Unknown, 0)
			v.speakerOf("node2").Lost = []lb.Loss{{Node: "node1", Interface: "eth0"}}
			v.later(300 * time.Millisecond)
		}, ""},
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

func TestFreeAddressesAreSharedOut(t *testing.T) {
	v := scene()
	v.Services = []lb.Service{service("a", netip.MustParseAddr("192.168.1.201")), service("b", netip.MustParseAddr("192.168.1.202"))}
	if got := Decide(*v).Check; len(got) != 1 || got[0].Addr != v.Services[0].Held[0] {
		t.Errorf("node1, which ranks first for both, asks about %v, want the first alone: then it has its share", got)
	}
}
