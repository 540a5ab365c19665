package liveness

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// Whatever is asked, silence is counted from it.
func TestEveryQuestionCountsAsOneThatSomebodyMightHaveAnswered(t *testing.T) {
	l := lanOf(t, 3)
	l.run(5 * time.Second)
	s := l.stations[0]
	l.stations[1].mute = true
	l.suspect("n002", lb.Unknown)
	l.run(10 * time.Millisecond) // its host has answered, its speaker is being asked
	s.deaf = true
	quiet := &s.links[0].quiet
	before, asked := quiet.asked, len(s.asked)
	l.run(500 * time.Millisecond)
	kinds := map[neighbor.ProbeKind]bool{}
	for _, q := range s.asked[asked:] {
		kinds[q.Kind] = true
	}
	if len(kinds) != 2 || quiet.rounds == 0 {
		t.Fatalf("it asked %v: not hosts and speakers, and in an alarm", s.asked[asked:])
	}
	if got, want := quiet.asked-before, len(s.asked)-asked; got != want {
		t.Errorf("%d questions count, want %d", got, want)
	}
	if last := s.asked[len(s.asked)-1].at; !quiet.last.Equal(last) {
		t.Errorf("the last was at %v, want %v", quiet.last, last)
	}
}

// Far round the ring a turn comes every ten seconds only.
func TestADeadHostThatReturnsIsFoundWithinASecondThoughGossipNeverMissedIt(t *testing.T) {
	l := lanOf(t, 30)
	l.run(30 * time.Second)
	s, far := l.stations[0], l.stations[15]
	far.filter = true
	l.run(15 * time.Second)
	if got := s.host(l.now, far.node); got != lb.Dead {
		t.Fatalf("its host is %v", got)
	}
	far.filter = false
	l.run(repeat + 10*time.Millisecond)
	if got := s.host(l.now, far.node); got != lb.Alive {
		t.Errorf("a second after its return its host is %v", got)
	}
}

// At once is as soon as the budget allows.
func TestADeadHostIsAskedAtOnceWhenGossipHearsItsSpeakerAgain(t *testing.T) {
	l := lanOf(t, 30)
	l.run(30 * time.Second)
	far := l.stations[15]
	far.off = true
	l.suspect(far.node, lb.Dead)
	l.run(5*time.Second + 300*time.Millisecond) // it is asked once a second, and not just now
	far.off = false
	l.suspect(far.node, lb.Alive)
	l.run(2 * routineEvery)
	if got := l.stations[0].host(l.now, far.node); got != lb.Alive {
		t.Errorf("its host is %v", got)
	}
}

// An address that is on-link nowhere may be answered on one link only. Asked on the other alone, its owner would look stalled.
func TestASpeakerIsAskedOnAllLinksOrOnNone(t *testing.T) {
	at := epoch()
	second := func(n byte) lb.Interface {
		return itf("eth1", lb.MAC{2, 1, 0, 0, 0, n}, fmt.Sprintf("10.1.0.%d/16", n))
	}
	links := []Link{{Interface: card("eth0", 1), UpSince: at}, {Interface: second(1), UpSince: at}}
	peers := []Peer{{Node: "n002", Gossip: lb.Alive, Interfaces: []lb.Interface{card("eth0", 2), second(2)}, Owns: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}}
	for n := 3; n < 9; n++ { // they use up what may be asked on eth0
		peers = append(peers, Peer{Node: fmt.Sprintf("n%03d", n), Gossip: lb.Alive, Interfaces: []lb.Interface{card("eth0", n)}})
	}
	w := New("n001", notice)
	w.Set(at, links, peers)
	batches := 0
	for end := at.Add(time.Minute); at.Before(end); at = at.Add(10 * time.Millisecond) {
		if at.Equal(end.Add(-40 * time.Second)) {
			for i := range peers {
				peers[i].Gossip = lb.Unknown
			}
			w.Set(at, links, peers)
		}
		probes, _ := w.Next(at)
		asked := map[string]bool{}
		for _, p := range probes {
			if p.Kind == neighbor.AnswerProbe {
				asked[p.Interface] = true
				continue
			}
			w.Heard(at, neighbor.Sighting{Interface: p.Interface, MAC: p.To, Source: p.To, Addr: p.Target, Kind: neighbor.SawReply, At: at})
		}
		if len(asked) == 1 {
			t.Fatalf("at %v it is asked on %v only", at.Sub(epoch()), asked)
		}
		if len(asked) > 0 {
			batches++
		}
	}
	if batches < 10 {
		t.Errorf("it was asked %d times: the test says nothing", batches)
	}
}

func TestHowOftenOneIsAskedByAllOfUs(t *testing.T) {
	const spacing = 400 * time.Millisecond
	for _, c := range []struct {
		hosts, place int
		again        bool
		want         time.Duration
	}{
		{1, 0, false, time.Second},
		{2, 1, false, time.Second}, // two that ask once a second each are no burden
		{2, 1, true, time.Second},
		{3, 0, false, time.Second},
		{3, 2, false, 1800 * time.Millisecond}, // in turn
		{3, 2, true, 1200 * time.Millisecond},  // and then all at the same pace
		{10, 0, true, 4 * time.Second},
	} {
		h := &host{place: c.place, link: &link{hosts: make([]*host, c.hosts)}}
		if got := h.interval(spacing, c.again); got != c.want {
			t.Errorf("%d of us, the one at %d, again %v: every %v, want %v", c.hosts, c.place, c.again, got, c.want)
		}
	}
}

func TestWhoIsMissedWhenALinkComesUpIsAskedAtOnce(t *testing.T) {
	l := lanOf(t, 3)
	l.run(5 * time.Second)
	s := l.stations[0]
	s.gossip["n002"] = lb.Unknown
	l.meet()
	l.run(time.Second)
	peers := []Peer{s.peers[0].Peer, s.peers[1].Peer}
	s.Set(l.now, []Link{{Interface: s.itf, UpSince: l.now}}, peers)
	s.wake = l.now
	l.run(10 * time.Millisecond)
	if got := s.host(l.now, "n002"); got != lb.Alive {
		t.Errorf("its host is %v", got)
	}
}

func TestALinkIsYoungWhenItComesUpAfterALongTime(t *testing.T) {
	l := lanOf(t, 3)
	s := l.stations[0]
	s.deaf = true
	down := s.itf
	down.Up = false
	peers := []Peer{s.peers[0].Peer, s.peers[1].Peer}
	s.Set(l.now, []Link{{Interface: down}}, peers)
	l.now = l.now.Add(2 * young)
	s.Set(l.now, []Link{{Interface: s.itf}}, peers) // nobody knows since when
	s.wake = l.now
	l.run(2 * time.Second)
	if got := s.Verdict(l.now).Deaf; len(got) != 1 {
		t.Errorf("%v are deaf, want eth0: it hears nobody yet, and should", got)
	}
}

func TestNobodyAsksItself(t *testing.T) {
	w := New("n001", notice)
	w.Set(epoch(), []Link{{Interface: card("eth0", 1)}}, []Peer{{Node: "n001", Interfaces: []lb.Interface{card("eth0", 3)}}})
	if v := w.Verdict(epoch()); len(v.Peers) != 0 {
		t.Errorf("it judges %+v", v.Peers)
	}
}
