package ownership

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestBetterOfTwoClaims(t *testing.T) {
	rank := (&lot{order: []Candidate{{Node: "first"}, {Node: "second"}, {Node: "third"}}}).rank
	claim := func(node string, evidence uint8, cause lb.Cause) claimant {
		return claimant{node: node, Claim: lb.Claim{Evidence: evidence, Cause: cause}}
	}
	from := func(c claimant, node string) claimant {
		c.From = node
		return c
	}
	for _, c := range []struct {
		name          string
		better, worse claimant
	}{
		{"evidence comes before all: the isolated node loses", claim("second", 2, lb.CauseDeath), claim("first", 1, lb.CauseFree)},
		{"then the one that did not take over", claim("second", 2, lb.CauseFree), claim("first", 2, lb.CauseDeath)},
		{"an expired hold is a takeover", claim("second", 2, lb.CauseFree), claim("first", 2, lb.CauseHold)},
		{"a planned move is none", claim("second", 2, lb.CauseRebalance), claim("first", 2, lb.CauseDeath)},
		{"then rank", claim("first", 2, lb.CauseDeath), claim("second", 2, lb.CauseHold)},
		{"who took over from the other, which was not gone, loses", claim("second", 2, lb.CauseDeath), from(claim("first", 2, lb.CauseDeath), "second")},
		{"but not to less evidence", from(claim("second", 3, lb.CauseDeath), "first"), claim("first", 2, lb.CauseFree)},
		{"who took over from a third is no worse for it", from(claim("first", 2, lb.CauseDeath), "third"), claim("second", 2, lb.CauseDeath)},
		{"who is no candidate ranks last", claim("third", 2, lb.CauseFree), claim("a", 2, lb.CauseFree)},
		{"two that are no candidates: by name, which all see alike", claim("a", 2, lb.CauseFree), claim("b", 2, lb.CauseFree)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, list := range [][]claimant{{c.better, c.worse}, {c.worse, c.better}} {
				if sortClaims(list, rank); list[0].node != c.better.node {
					t.Errorf("%s comes first, want %s", list[0].node, c.better.node)
				}
			}
		})
	}
}

func TestClaimsThatHold(t *testing.T) {
	conditions := map[string]Condition{"working": Working, "cut": Cut, "stalled": Stalled, "asking": Asking, "gone": Gone, "taker": Working}
	for _, c := range []struct {
		name       string
		claims     []claimant
		hold, void []string
	}{
		{"whoever is not gone", []claimant{{node: "working"}, {node: "cut"}, {node: "stalled"}, {node: "asking"}, {node: "gone"}},
			[]string{"asking", "cut", "stalled", "working"}, []string{"gone"}},
		{"one of whom nothing is known is gone", []claimant{{node: "nobody"}}, nil, []string{"nobody"}},
		{"asked to hand over: until somebody has taken it", []claimant{{node: "working", Claim: lb.Claim{HandTo: "taker"}}}, []string{"working"}, nil},
		{"handed over", []claimant{{node: "working", Claim: lb.Claim{HandTo: "taker"}}, {node: "taker", Claim: lb.Claim{From: "working"}}},
			[]string{"taker"}, nil},
		{"handed over, and the new owner is gone at once", []claimant{{node: "working", Claim: lb.Claim{HandTo: "gone"}}, {node: "gone", Claim: lb.Claim{From: "working"}}},
			[]string{"working"}, []string{"gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			hold, void := split(c.claims, conditions, (&lot{}).rank)
			nodes := func(list []claimant) (out []string) {
				for _, x := range list {
					out = append(out, x.node)
				}
				return out
			}
			if diff := cmp.Diff([][]string{c.hold, c.void}, [][]string{nodes(hold), nodes(void)}); diff != "" {
				t.Errorf("hold and void (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvidenceFallsAtOnceAndRisesLate(t *testing.T) {
	var m Memory
	evidence := uint8(3)
	for _, c := range []struct {
		at      time.Duration
		heard   uint8
		stalled bool
		want    uint8
	}{
		{0, 3, false, 3},
		{time.Second, 1, false, 1},                 // alone
		{2 * time.Second, 3, false, 1},             // healed: not as good as one that was never alone
		{11999 * time.Millisecond, 3, false, 1},    // nearly
		{12 * time.Second, 3, false, 3},            // steady
		{13 * time.Second, 3, true, 0},             // stopped: it has heard nobody
		{14 * time.Second, 3, false, 0},            // awake again
		{20 * time.Second, 2, false, 0},            // one less: counted anew
		{29 * time.Second, 2, false, 0},            //
		{30 * time.Second, 2, false, 2},            // steady
		{time.Hour, 200, false, 2},                 // many join
		{time.Hour + time.Minute, 200, false, 200}, // and stay
	} {
		if evidence = m.listen(day.Add(c.at), c.heard, c.stalled)(evidence); evidence != c.want {
			t.Fatalf("after %v, hearing %d: evidence %d, want %d", c.at, c.heard, evidence, c.want)
		}
	}
}

func TestEvidenceIsHowManySpeakersGossipHears(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*View)
		want   uint8
	}{
		{"all three, this one included", func(*View) {}, 3},
		{"not one whose beats are missed", func(v *View) { v.witness("node2", lb.Unknown, lb.Alive, lb.Alive, 0) }, 2},
		{"none that is dead", func(v *View) { v.dies("node2"); v.dies("node3") }, 1},
		{"at most 255", func(v *View) {
			for i := range 300 {
				v.Peers = append(v.Peers, lb.Peer{Node: fmt.Sprint("more", i), Gossip: lb.Alive})
			}
			v.Mine.heard = 255
		}, 255},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := scene()
			v.mine()
			c.change(v)
			if got := Decide(*v).Claims[0].Evidence; got != c.want {
				t.Errorf("evidence %d, want %d", got, c.want)
			}
		})
	}
}

func TestResumedClaimHasNoEvidence(t *testing.T) {
	m := Resume([]lb.Claim{{Addr: vip, Evidence: 3, HandTo: "node2", HandCause: lb.CauseRebalance, Cause: lb.CauseFree, From: "node9", Standby: "node3", Since: day}})
	if m.Owns() != 1 {
		t.Fatalf("it owns %d addresses, want 1", m.Owns())
	}
	if diff := cmp.Diff(lb.Claim{Addr: vip, Cause: lb.CauseFree, Standby: "node3", Since: day}, m.holdings[vip].Claim, cmpAddr()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingIsRememberedOfAddressesWithoutAService(t *testing.T) {
	v := scene()
	v.mine()
	v.Mine.trails = map[netip.Addr]trail{vip: {to: "node2", until: v.Now.Add(time.Minute)}}
	v.Mine.orphaned = map[netip.Addr]time.Time{vip: day}
	v.Mine.yielded = map[netip.Addr]lb.MAC{vip: {2}}
	v.Services = nil
	m := Decide(*v).Memory
	if n := len(m.holdings) + len(m.trails) + len(m.orphaned) + len(m.yielded); n != 0 {
		t.Errorf("%d things are remembered: %+v", n, m)
	}
}
