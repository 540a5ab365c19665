package liveness

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

func TestADeadHostIsDeadWithin200MsOfSuspicion(t *testing.T) {
	for _, n := range []int{2, 3, 5, 10, 50} {
		for _, offset := range []time.Duration{0, 90, 333, 334, 500, 666, 700, 990} {
			t.Run(fmt.Sprintf("%d nodes, %d ms into a second", n, offset), func(t *testing.T) {
				l := lanOf(t, n)
				l.run(30*time.Second + offset*time.Millisecond) // until everybody has heard everybody
				l.stations[0].off = true
				l.run(250 * time.Millisecond)
				l.suspect("n001", lb.Unknown)
				l.run(200 * time.Millisecond)
				for _, s := range l.stations[1:] {
					if got := s.host(l.now, "n001"); got != lb.Dead {
						t.Errorf("%s says %v, 450 ms after the death", s.node, got)
					}
					if got := s.speaker(l.now, "n001"); got != lb.Unknown {
						t.Errorf("%s says of the dead one's speaker %v", s.node, got)
					}
				}
			})
		}
	}
}

func TestHowManyEverDieAtOnceAllAreFoundAtOnce(t *testing.T) {
	l := lanOf(t, 40)
	l.run(30 * time.Second)
	for _, s := range l.stations[20:] {
		s.off = true
		for _, o := range l.stations {
			o.gossip[s.node] = lb.Unknown
		}
	}
	l.meet()
	l.run(200 * time.Millisecond)
	if got := len(l.stations[0].Verdict(l.now).Lost); got != 20 {
		t.Errorf("%d of 20 are lost", got)
	}
}

func TestWhatGossipSuspectsIsAsked(t *testing.T) {
	type lives struct{ Host, Answer lb.Life }
	for _, c := range []struct {
		name   string
		change func(*station)
		gossip lb.Life
		after  time.Duration
		want   lives
	}{
		{"all is well: the speaker is not asked", func(*station) {}, lb.Alive, 5 * time.Second, lives{lb.Alive, lb.Unknown}},
		{"gossip is cut", func(*station) {}, lb.Unknown, 50 * time.Millisecond, lives{lb.Alive, lb.Alive}},
		{"gossip is cut for long", func(*station) {}, lb.Dead, 20 * time.Second, lives{lb.Alive, lb.Alive}},
		{"the speaker has stopped", func(s *station) { s.mute = true }, lb.Unknown, 200 * time.Millisecond, lives{lb.Alive, lb.Dead}},
		{"the speaker has stopped, and is not judged too soon", func(s *station) { s.mute = true }, lb.Unknown, 170 * time.Millisecond, lives{lb.Alive, lb.Unknown}},
		{"the host is dead", func(s *station) { s.off = true }, lb.Unknown, 200 * time.Millisecond, lives{lb.Dead, lb.Unknown}},
		{"the host is not judged too soon", func(s *station) { s.off = true }, lb.Unknown, 170 * time.Millisecond, lives{lb.Alive, lb.Unknown}},
		{"the host dies and gossip does not see it", func(s *station) { s.off = true }, lb.Alive, 1700 * time.Millisecond, lives{lb.Dead, lb.Unknown}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lanOf(t, 3)
			l.run(5 * time.Second)
			c.change(l.stations[1])
			l.suspect("n002", c.gossip)
			l.run(c.after)
			s := l.stations[0]
			if diff := cmp.Diff(c.want, lives{s.host(l.now, "n002"), s.speaker(l.now, "n002")}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhoReturnsIsAliveAtTheFirstAnswer(t *testing.T) {
	l := lanOf(t, 3)
	l.run(5 * time.Second)
	l.stations[1].off = true
	l.suspect("n002", lb.Dead)
	l.run(10 * time.Second)
	l.stations[1].off, l.stations[1].mute = false, true
	l.run(1001 * time.Millisecond)
	s := l.stations[0]
	if got := s.host(l.now, "n002"); got != lb.Alive {
		t.Errorf("a second after its return its host is %v", got)
	}
	l.run(time.Second)
	if got := s.speaker(l.now, "n002"); got != lb.Dead {
		t.Errorf("its speaker, which is not there yet, is %v", got)
	}
	l.stations[1].mute = false
	l.run(1001 * time.Millisecond)
	if got := s.speaker(l.now, "n002"); got != lb.Alive {
		t.Errorf("its speaker, which is there, is %v", got)
	}
	l.suspect("n002", lb.Alive)
	if got := s.speaker(l.now, "n002"); got != lb.Unknown {
		t.Errorf("with gossip again, its speaker is %v", got)
	}
}

func TestAHostThatDiesDuringAHoldIsFound(t *testing.T) {
	for _, c := range []struct {
		nodes int
		want  time.Duration // worst, over those who ask
	}{{3, 1200 * time.Millisecond}, {5, 1900 * time.Millisecond}, {11, 4200 * time.Millisecond}} {
		l := lanOf(t, c.nodes)
		l.run(20 * time.Second)
		l.stations[0].mute = true
		l.suspect("n001", lb.Unknown)
		l.run(5 * time.Second)
		l.stations[0].off = true
		l.run(c.want)
		for _, s := range l.stations[1:] {
			if got := s.host(l.now, "n001"); got != lb.Dead {
				t.Errorf("%d nodes: %s says %v", c.nodes, s.node, got)
			}
		}
	}
}

func TestADoubtIsFollowedAtOnce(t *testing.T) {
	l := lanOf(t, 30)
	l.run(30 * time.Second)
	s := l.stations[9]
	l.stations[20].filter = true // far from s in the ring, and gossip sees nothing
	l.run(700 * time.Millisecond)
	if got := s.host(l.now, "n021"); got != lb.Alive {
		t.Fatalf("its turn has not come, yet it is %v", got)
	}
	var peers []Peer
	for _, p := range s.peers {
		said := p.Peer
		said.Doubted = p.Node == "n021"
		peers = append(peers, said)
	}
	s.Set(l.now, []Link{{Interface: s.itf, UpSince: epoch()}}, peers)
	s.wake = l.now
	l.run(200 * time.Millisecond)
	if got := s.host(l.now, "n021"); got != lb.Dead {
		t.Errorf("0.2 s after another said so, it is %v", got)
	}
}

func TestIsolatedPortsLeaveTheHostUnknown(t *testing.T) {
	for _, life := range []lb.Life{lb.Alive, lb.Unknown, lb.Dead} {
		l := lanOf(t, 3)
		l.stations[1].filter = true
		l.suspect("n002", life)
		for range 300 {
			l.run(time.Second)
			if got := l.stations[0].host(l.now, "n002"); got != lb.Unknown {
				t.Fatalf("gossip %v: at %v the host is %v", life, l.now, got)
			}
		}
	}
}

func TestALinkThatComesUpAnewKnowsNobody(t *testing.T) {
	l := lanOf(t, 2)
	l.run(5 * time.Second)
	s := l.stations[0]
	peers := []Peer{{Node: "n002", Gossip: lb.Alive, Interfaces: []lb.Interface{l.stations[1].itf}}}
	s.Set(l.now, []Link{{Interface: s.itf, UpSince: epoch()}}, peers)
	if got := s.host(l.now, "n002"); got != lb.Alive {
		t.Fatalf("before: %v", got)
	}
	s.Set(l.now, []Link{{Interface: s.itf, UpSince: l.now}}, peers)
	if got := s.host(l.now, "n002"); got != lb.Unknown {
		t.Errorf("after a flap: %v", got)
	}
	down := s.itf
	down.Up = false
	s.Set(l.now, []Link{{Interface: down}}, peers)
	if diff := cmp.Diff(Verdict{Peers: []PeerLife{{Node: "n002"}}}, s.Verdict(l.now)); diff != "" {
		t.Errorf("while down, -want +got:\n%s", diff)
	}
}

func TestALateLookJudgesNobody(t *testing.T) {
	for _, c := range []struct {
		name string
		late time.Duration
		want []lb.Life // right after, 50, 150 and 200 ms later, with no answer ever
	}{
		{"in time", 0, []lb.Life{lb.Dead, lb.Dead, lb.Dead, lb.Dead}},
		{"a little late: it waits for what lies unread", 60 * time.Millisecond, []lb.Life{lb.Alive, lb.Dead, lb.Dead, lb.Dead}},
		{"stopped: the row begins anew", 2 * time.Second, []lb.Life{lb.Alive, lb.Alive, lb.Alive, lb.Dead}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lanOf(t, 2)
			l.run(5 * time.Second)
			s := l.stations[0]
			l.stations[1].off = true
			l.suspect("n002", lb.Unknown)
			l.run(170 * time.Millisecond) // three questions are out
			l.now = l.now.Add(10*time.Millisecond + c.late)
			var got []lb.Life
			for _, d := range []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond} {
				s.wake = l.now
				if d == 0 {
					l.look(s)
				} else {
					s.wake = s.Watch.wake
					l.run(d)
				}
				got = append(got, s.host(l.now, "n002"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOnlyAReplyFromThePeerItselfCounts(t *testing.T) {
	own, service, stranger := card("eth0", 2).Addrs[0], lanOf(t, 2).stations[1].owns[0], mac(99)
	reply := func(change func(*neighbor.Sighting)) neighbor.Sighting {
		s := neighbor.Sighting{Interface: "eth0", MAC: mac(2), Source: mac(2), Addr: own, Kind: neighbor.SawReply}
		change(&s)
		return s
	}
	for _, c := range []struct {
		name string
		say  neighbor.Sighting
		want lb.Life
	}{
		{"a reply", reply(func(*neighbor.Sighting) {}), lb.Alive},
		{"from a second MAC of the peer", reply(func(s *neighbor.Sighting) { s.MAC, s.Source = mac(1002), mac(1002) }), lb.Alive},
		{"from a stranger", reply(func(s *neighbor.Sighting) { s.MAC, s.Source = stranger, stranger }), lb.Unknown},
		{"sent by a stranger in its name", reply(func(s *neighbor.Sighting) { s.Source = stranger }), lb.Unknown},
		{"sent by it in a stranger's name", reply(func(s *neighbor.Sighting) { s.MAC = stranger }), lb.Unknown},
		{"of both MACs of the peer, mixed", reply(func(s *neighbor.Sighting) { s.MAC = mac(1002) }), lb.Unknown},
		{"on another interface", reply(func(s *neighbor.Sighting) { s.Interface = "eth1" }), lb.Unknown},
		{"for an address that is not its own", reply(func(s *neighbor.Sighting) { s.Addr = card("", 3).Addrs[0] }), lb.Unknown},
		{"for a service address", reply(func(s *neighbor.Sighting) { s.Addr = service }), lb.Unknown},
		{"a request", reply(func(s *neighbor.Sighting) { s.Kind = neighbor.SawRequest }), lb.Unknown},
		{"an announcement", reply(func(s *neighbor.Sighting) { s.Kind = neighbor.SawAnnouncement }), lb.Unknown},
		{"no kind", neighbor.Sighting{Interface: "eth0", MAC: mac(2), Source: mac(2), Addr: own}, lb.Unknown},
		{"from before the link came up", reply(func(s *neighbor.Sighting) { s.At = epoch().Add(-time.Millisecond) }), lb.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lanOf(t, 2)
			l.stations[1].itf.MACs = append(l.stations[1].itf.MACs, mac(1002))
			l.stations[1].filter = true
			l.meet()
			l.run(2 * time.Second)
			s := l.stations[0]
			s.Heard(l.now, c.say)
			if got := s.host(l.now, "n002"); got != c.want {
				t.Errorf("host %v, want %v", got, c.want)
			}
		})
	}
}

func TestAReplyToAnEarlierRowSaysNothingOfThisOne(t *testing.T) {
	l := lanOf(t, 2)
	l.run(5 * time.Second)
	s := l.stations[0]
	l.stations[1].off = true
	before := l.now
	l.suspect("n002", lb.Unknown)
	l.run(100 * time.Millisecond) // three questions are out
	s.Heard(l.now, neighbor.Sighting{Interface: "eth0", MAC: mac(2), Source: mac(2), Addr: card("", 2).Addrs[0], Kind: neighbor.SawReply,
		At: before.Add(-time.Millisecond)})
	l.run(100 * time.Millisecond)
	if got := s.host(l.now, "n002"); got != lb.Dead {
		t.Errorf("the host is %v", got)
	}
}
