package ownership

import (
	"slices"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// quarrel is a view of the owner of vip, which all candidates but one rank behind: that one is the rival.
func quarrel() (v View, rival string) {
	v = simple()
	v.Self = "node1"
	a := decide(v).Addresses[0]
	at := slices.IndexFunc(a.Ranked(), func(c Candidate) bool { return c.Node == v.Self })
	if at == 0 {
		v.Self = a.Ranked()[1].Node
	}
	v.Mine = Memory{}.next(day)
	v.Mine.holdings[vip] = holding{Claim: lb.Claim{Addr: vip, Cause: lb.CauseFree, Evidence: 3, Since: day}, at: day}
	return v, a.Ranked()[0].Node
}

// lives sets how gossip hears the others, with hosts that are alive.
func (v *View) lives(node string, life lb.Life) {
	v.Peers = nil
	for _, s := range v.Speakers {
		if s.Node == v.Self {
			continue
		}
		p := lb.Peer{Node: s.Node, Gossip: lb.Alive}
		if s.Node == node && life != lb.Alive {
			p.Gossip, p.Silent = life, v.Now.Add(-time.Second)
			p.Hosts = []lb.HostLife{{Interface: "eth0", Life: lb.Alive}}
		}
		v.Peers = append(v.Peers, p)
	}
}

// After a partition frames of a speaker that took our address over come before gossip is whole.
func TestGossipHasAMomentToSettleWhatTheWireShows(t *testing.T) {
	v, rival := quarrel()
	v.Now = day.Add(time.Minute)
	v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: rival, At: v.Now}}
	v.lives(rival, lb.Dead)
	d := Decide(v)
	if d.Memory.Owns() != 1 || !d.Wake.Equal(v.Now.Add(rivalWait)) {
		t.Fatalf("it owns %d, and wakes at %v", d.Memory.Owns(), d.Wake.Sub(v.Now))
	}
	later := v
	later.Mine, later.Now = d.Memory, v.Now.Add(rivalWait)
	if d := Decide(later); d.Memory.Owns() != 0 {
		t.Error("gossip has not found the rival, and rank does not decide")
	}
	later.lives(rival, lb.Alive)
	if d := Decide(later); d.Memory.Owns() != 1 {
		t.Error("rank has decided against what gossip says")
	}
}

// Who took an address over waits for a sign that the owner before knows of it. The sign must not wait for anything.
func TestWhoStillHasAnAddressSaysSoAtOnce(t *testing.T) {
	v, rival := quarrel()
	v.Now = day.Add(time.Minute)
	h := v.Mine.holdings[vip]
	h.announced = v.Now.Add(-announceAgain / 2)
	v.Mine.holdings[vip] = h
	took := lb.Claim{Addr: vip, Cause: lb.CauseDeath, From: v.Self, Evidence: 1, Since: day.Add(50 * time.Second)}
	for i := range v.Speakers {
		if v.Speakers[i].Node == rival {
			v.Speakers[i].Claims = []lb.Claim{took}
		}
	}
	d := decide(v)
	if len(d.Claims) != 1 || !d.Claims[0].Since.Equal(v.Now) {
		t.Fatalf("it claims %+v", d.Claims)
	}
	if len(d.Defend) != 0 || !d.Wake.Equal(h.announced.Add(announceAgain)) {
		t.Errorf("it announces %v, and wakes %v later", d.Defend, d.Wake.Sub(v.Now))
	}
	v.Mine, v.Now = d.Memory, d.Wake
	if d = decide(v); !d.Claims[0].Since.Equal(day.Add(time.Minute)) || len(d.Defend) != 1 {
		t.Errorf("the same claim again: since %v, announces %v", d.Claims[0].Since, d.Defend)
	}
}

// A node that hears nothing and can still send takes everybody for dead, and announces what is theirs.
func TestWhoDoesNotAnswerUsWinsNoQuarrel(t *testing.T) {
	v, rival := quarrel()
	v.Now = day.Add(time.Minute)
	v.lives(rival, lb.Dead)
	for i := range v.Peers {
		if v.Peers[i].Node == rival {
			v.Peers[i].Hosts[0].Life = lb.Dead
		}
	}
	v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: rival, At: v.Now}}
	for range 5 {
		d := Decide(v)
		if d.Memory.Owns() != 1 || !slices.Contains(d.Defend, vip) {
			t.Fatalf("it owns %d and announces %v", d.Memory.Owns(), d.Defend)
		}
		v.Mine, v.Now = d.Memory, v.Now.Add(announceAgain)
	}
}

// What a speaker announced while gossip still heard it, gossip has judged: it had the address then, and gave it to us, say.
func TestWhatWasHeardBeforeGossipBrokeIsNoQuarrel(t *testing.T) {
	v, rival := quarrel()
	v.Now = day.Add(time.Minute)
	v.lives(rival, lb.Dead)
	v.Foreign = []Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: rival, At: v.Now.Add(-2 * time.Second)}}
	d := Decide(v)
	v.Mine, v.Now = d.Memory, v.Now.Add(rivalWait)
	if d = Decide(v); d.Memory.Owns() != 1 {
		t.Error("the address is given up")
	}
}

// An isolated node that took all addresses over gives them away when it finds that nobody hears it. They are not its own to give.
func TestAnAddressIsTakenOnlyFromItsOwner(t *testing.T) {
	v, _ := quarrel()
	v.Mine = Memory{}
	v.Now = day.Add(time.Minute)
	say := func(node string, c lb.Claim) {
		c.Addr = vip
		for i := range v.Speakers {
			if v.Speakers[i].Node == node {
				v.Speakers[i].Claims = []lb.Claim{c}
			}
		}
	}
	var others []string
	for _, s := range v.Speakers {
		if s.Node != v.Self {
			others = append(others, s.Node)
		}
	}
	asks := lb.Claim{Cause: lb.CauseDeath, From: others[1], Evidence: 1, HandTo: v.Self, HandCause: lb.CauseIneligible}
	say(others[0], asks)
	if d := decide(v); len(d.Claims) != 1 {
		t.Fatal("asked by the only owner, it does not take the address")
	}
	say(others[1], lb.Claim{Cause: lb.CauseFree, Evidence: 2})
	if d := decide(v); len(d.Claims) != 0 {
		t.Errorf("it takes what another owns: %+v", d.Claims)
	}
	asks.Evidence = 9
	say(others[0], asks)
	say(others[1], lb.Claim{Cause: lb.CauseFree, Evidence: 8})
	if d := decide(v); len(d.Claims) != 0 {
		t.Errorf("it takes what it would have to give up at once: %+v", d.Claims)
	}
}
