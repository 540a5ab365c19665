package ownership

import (
	"net/netip"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestWhoIsSaidToOwnAnAddress(t *testing.T) {
	deafen := func(v *View) {
		for i := range v.Speakers {
			v.Speakers[i].Interfaces[0].Deaf = true
		}
	}
	for _, c := range []struct {
		name       string
		change     func(*View)
		owner      string
		candidates int
		problem    lb.Reason
	}{
		{"this node", func(v *View) { v.mine() }, "node1", 3, ""},
		{"another", func(v *View) { v.claim("node3", lb.Claim{}) }, "node3", 3, ""},
		{"of two the one with the better claim", func(v *View) { v.claim("node2", lb.Claim{}); v.claim("node3", lb.Claim{Evidence: 1}) }, "node2", 3, ""},
		{"nobody yet", func(*View) {}, "", 3, ""},
		{"who clings to it when all are deaf: there is no candidate, and no problem", func(v *View) { v.mine(); deafen(v) }, "node1", 0, ""},
		{"nobody when all are deaf and nobody had it", deafen, "", 0, Deaf},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := scene()
			c.change(v)
			a := Decide(*v).Addresses[0]
			var problem lb.Reason
			if a.Problem != nil {
				problem = a.Problem.Reason
			}
			if a.Owner != c.owner || len(a.Candidates) != c.candidates || problem != c.problem {
				t.Errorf("owner %q of %d candidates, problem %q; want %q of %d, %q", a.Owner, len(a.Candidates), problem, c.owner, c.candidates, c.problem)
			}
		})
	}
}

// Once gossip knows an owner, the word of the LAN that an unreachable speaker has the address is out of date.
func TestWhatWasGivenUpIsForgottenOnceAnotherHasIt(t *testing.T) {
	v := scene()
	v.Mine.yielded = map[netip.Addr]lb.MAC{vip: {2, 0, 0, 0, 0, 2}}
	v.claim("node3", lb.Claim{Standby: "node1"})
	v.later(time.Second)
	v.dies("node3")
	if got, want := does(Decide(*v)), "claims it: death from node3, answers"; got != want {
		t.Errorf("when that one dies, node1 %q, want %q", got, want)
	}
	v = scene()
	v.Mine.yielded = map[netip.Addr]lb.MAC{vip: {2, 0, 0, 0, 0, 2}}
	v.Probed = map[netip.Addr]Probed{vip: {Clear: true, At: v.Now}}
	v.nodeOf("node2").Excluded = true // then node1 ranks first
	if d := Decide(*v); len(d.Claims) != 1 || len(d.Memory.yielded) != 0 {
		t.Errorf("node1 has taken it: %v, and remembers %v", d.Claims, d.Memory.yielded)
	}
}

// Two Services that share an address need a node that each of their advertisements selects; one Service with both needs one of them.
func TestAdvertisementsOfOneServiceAndOfTwoAreNotTheSame(t *testing.T) {
	a, b := sharing()
	both := service("both", netip.MustParseAddr("192.168.1.201"))
	both.Labels = map[string]string{"app": "both"}
	v := simple()
	v.Services = []lb.Service{a, b, both}
	v.Advertisements = nil
	for i, of := range []string{"a", "b"} {
		v.Advertisements = append(v.Advertisements, lb.Advertisement{Name: of, ServiceSelectors: []lb.Selector{labelled("app", of), labelled("app", "both")},
			NodeSelectors: []lb.Selector{labelled("name", v.Nodes[i].Name)}})
	}
	d := decide(v)
	if n, m := len(d.Addresses[0].Candidates), len(d.Addresses[1].Candidates); n != 0 || m != 2 {
		t.Errorf("%d candidates for the shared address, %d for the other; want 0 and 2", n, m)
	}
}

func TestAPreferenceCountsOnceForAnAddress(t *testing.T) {
	a, b := sharing()
	v := simple()
	v.Services = []lb.Service{a, b}
	prefer(&v, "node3")
	v.Advertisements = append(v.Advertisements, lb.Advertisement{Name: "more", ServiceSelectors: []lb.Selector{labelled("app", "b")}})
	if got := decide(v).Addresses[0].Ranked()[0]; got.Node != "node3" || got.Weight != 1 {
		t.Errorf("%s is preferred by %d, want node3 by 1", got.Node, got.Weight)
	}
}

func TestAServiceThatHoldsAnAddressTwiceHoldsItOnce(t *testing.T) {
	v := simple()
	v.Services[0].Held = []netip.Addr{vip, vip}
	if a := decide(v).Addresses; len(a) != 1 || len(a[0].Services) != 1 || len(a[0].Refused) != 0 {
		t.Errorf("%+v, want one address of one Service", a)
	}
}

func TestOtherAnswersMatterForWhatIsOursOrHasNoOwner(t *testing.T) {
	v := scene()
	v.claim("node2", lb.Claim{Standby: "node3"})
	if Decide(*v).Memory.Heeds(vip) {
		t.Error("another has it: it is not ours to look after")
	}
	v.dies("node2")
	if !Decide(*v).Memory.Heeds(vip) {
		t.Error("its owner is dead: who answers now may have taken it")
	}
	v.mine()
	if !Decide(*v).Memory.Heeds(vip) {
		t.Error("it is ours")
	}
}
