package core

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/liveness"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

func TestWhoIsAskedBecauseOthersLostThem(t *testing.T) {
	on := func(node string) []lb.Loss { return []lb.Loss{{Node: node, Interface: "eth0"}} }
	says := func(node string, deaf bool, lost []lb.Loss) lb.Speaker {
		itf := nic("eth0", lan)
		itf.Deaf = deaf
		return lb.Speaker{Node: node, Interfaces: []lb.Interface{itf}, Lost: lost}
	}
	for _, c := range []struct {
		name     string
		speakers []lb.Speaker
		ours     []lb.Loss
		want     map[string]bool
	}{
		{"nobody when nobody is lost", []lb.Speaker{says("n2", false, nil)}, nil, map[string]bool{}},
		{"the one who lost us", []lb.Speaker{says("n2", false, on("n1"))}, nil, map[string]bool{"n2": true}},
		{"the one who lost us, also when we lost it too", []lb.Speaker{says("n2", false, on("n1"))}, on("n2"), map[string]bool{"n2": true}},
		{"the one who was lost by another", []lb.Speaker{says("n2", false, on("n3"))}, nil, map[string]bool{"n3": true}},
		{"not by one whom we lost ourselves", []lb.Speaker{says("n2", false, on("n3"))}, on("n2"), map[string]bool{}},
		{"not by one that is deaf", []lb.Speaker{says("n2", true, on("n3"))}, nil, map[string]bool{}},
		{"not by us", []lb.Speaker{says("n1", false, on("n3"))}, nil, map[string]bool{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			core := &Core{Options: Options{Node: "n1"}, speakers: c.speakers, verdict: liveness.Verdict{Lost: c.ours}}
			if diff := cmp.Diff(c.want, core.doubted()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestASpeakerInANewLifeIsSilentUntilItSpeaks(t *testing.T) {
	core := &Core{reborn: map[string]time.Time{}}
	tell := func(at time.Time, hears lb.Life, boot, said uint64) gossip.Peer {
		p := gossip.Peer{Node: "n2", Gossip: hears, Boot: boot}
		core.tellLives(&p, said, at)
		return p
	}
	if p := tell(ms(0), lb.Alive, 5, 5); p.Gossip != lb.Alive {
		t.Error("one that has spoken is silent")
	}
	if p := tell(ms(0), lb.Alive, 5, 0); p.Gossip != lb.Alive {
		t.Error("one that never said anything has nothing to be looked after")
	}
	for _, at := range []int{100, 900} {
		if p := tell(ms(at), lb.Alive, 6, 5); p.Gossip != lb.Unknown || !p.Silent.Equal(ms(100)) {
			t.Errorf("after %d ms of a new life: %v since %v", at, p.Gossip, p.Silent.Sub(day))
		}
	}
	tell(ms(1000), lb.Alive, 6, 6)
	if p := tell(ms(2000), lb.Alive, 7, 6); !p.Silent.Equal(ms(2000)) {
		t.Errorf("a third life is silent since %v", p.Silent.Sub(day))
	}
	if p := tell(ms(2100), lb.Dead, 7, 6); p.Gossip != lb.Dead || !p.Silent.IsZero() {
		t.Errorf("one that is dead: %v since %v", p.Gossip, p.Silent)
	}
}

func TestAHoldBeginsWhenNobodySpeaksForTheSpeaker(t *testing.T) {
	for _, c := range []struct {
		name           string
		gossip, answer lb.Life
		vouched        time.Time
		silent         time.Time // as the view has it
		again          bool      // the view says that it is spoken for now
	}{
		{"gossip hears it", lb.Alive, lb.Unknown, time.Time{}, ms(0), true},
		{"it answers on the LAN", lb.Dead, lb.Alive, time.Time{}, ms(0), true},
		{"it answered until a moment ago", lb.Dead, lb.Dead, ms(700), ms(700), false},
		{"it has been silent for longer", lb.Dead, lb.Dead, ms(-700), ms(0), false},
		{"it was never spoken for", lb.Dead, lb.Dead, time.Time{}, ms(0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			hosts := []lb.HostLife{{Interface: "eth0", Life: lb.Alive}}
			core := &Core{
				peers:   []gossip.Peer{{Node: "n2", Gossip: c.gossip, Silent: ms(0), Left: true}},
				verdict: liveness.Verdict{Peers: []liveness.PeerLife{{Node: "n2", Hosts: hosts, Answer: c.answer}}},
				vouched: map[string]time.Time{"n2": c.vouched},
			}
			want := []lb.Peer{{Node: "n2", Gossip: c.gossip, Left: true, Hosts: hosts, Answer: c.answer, Silent: c.silent}}
			if diff := cmp.Diff(want, core.witnessed(ms(1000))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again := core.vouched["n2"].Equal(ms(1000)); again != c.again {
				t.Errorf("spoken for now: %v, want %v", again, c.again)
			}
		})
	}
}

func TestGossipKnowsBetterWhoHasAHardwareAddress(t *testing.T) {
	speakers := []lb.Speaker{{Node: "n2", Interfaces: []lb.Interface{nic("bond0", lan, lb.MAC{2}, lb.MAC{3})}}}
	world := World{MACs: map[lb.MAC]string{{2}: "old", {9}: "n9"}}
	want := map[lb.MAC]string{{2}: "n2", {3}: "n2", {9}: "n9"}
	if diff := cmp.Diff(want, (&Core{}).nodeOf(speakers, world)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
