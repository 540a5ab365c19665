package liveness

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// alarmedWithin is the worst time from when a port goes deaf to when that is known: the baseline asks every third of a second, the
// first question waits for alarmAfter, and then gossip would have noticed a death.
const alarmedWithin = time.Second/3 + alarmAfter + notice + 10*time.Millisecond

// phases calls f with lans of so many stations that know each other, at different moments of a second.
func phases(t *testing.T, f func(t *testing.T, l *lan)) {
	t.Helper()
	for _, n := range []int{3, 4, 12} {
		for ms := time.Duration(0); ms < 1000; ms += 90 {
			t.Run(fmt.Sprintf("%d nodes, %d ms into a second", n, ms), func(t *testing.T) {
				l := lanOf(t, n)
				l.run(20*time.Second + ms*time.Millisecond)
				l.reset()
				f(t, l)
			})
		}
	}
}

func TestADeafPortIsFoundInTwoThirdsOfASecondWithoutAFlood(t *testing.T) {
	phases(t, func(t *testing.T, l *lan) {
		s := l.stations[1]
		s.deaf = true
		l.run(alarmedWithin)
		if len(s.Verdict(l.now).Deaf) == 0 {
			t.Errorf("not deaf after %v", alarmedWithin)
		}
		l.run(5 * time.Second)
		if got := most(s.sent); got > 14 {
			t.Errorf("it sends up to %d a second, which would shut its port", got)
		}
		for _, other := range l.stations {
			if other != s && len(other.Verdict(l.now).Deaf) > 0 {
				t.Errorf("%s is deaf too", other.node)
			}
		}
	})
}

func TestAShortHushIsNoDeafness(t *testing.T) {
	phases(t, func(t *testing.T, l *lan) {
		for _, s := range l.stations {
			s.deaf = true
		}
		l.run(notice)
		for _, s := range l.stations {
			s.deaf = false
		}
		for range 200 {
			l.run(10 * time.Millisecond)
			for _, s := range l.stations {
				if len(s.Verdict(l.now).Deaf) > 0 {
					t.Fatalf("%s is deaf", s.node)
				}
			}
		}
	})
}

func TestPacketLossIsNoDeafness(t *testing.T) {
	for _, n := range []int{3, 7} {
		for _, share := range []float64{0.05, 0.1, 0.2} {
			t.Run(fmt.Sprintf("%d nodes, %.2f lost", n, share), func(t *testing.T) {
				l := lanOf(t, n)
				l.run(5 * time.Second)
				rnd := rand.New(rand.NewPCG(uint64(n), 3))
				l.lost = func() bool { return rnd.Float64() < share }
				for range 20 * 60 * 10 {
					l.run(100 * time.Millisecond)
					for _, s := range l.stations {
						if len(s.Verdict(l.now).Deaf) > 0 {
							t.Fatalf("%s is deaf at %v", s.node, l.now)
						}
					}
				}
			})
		}
	}
}

// A port that passes nothing often takes gossip with it.
func TestTheDeafTakeNobodyForDead(t *testing.T) {
	phases(t, func(t *testing.T, l *lan) {
		s, began := l.stations[1], l.now
		s.deaf = true
		for len(s.Verdict(l.now).Deaf) == 0 {
			l.run(10 * time.Millisecond)
			for i, other := range l.stations { // gossip misses one after the other
				if missed := time.Duration(150+30*i) * time.Millisecond; other != s && l.now.Sub(began) >= missed && s.life(other.node) == lb.Alive {
					s.gossip[other.node] = lb.Unknown
					l.meet()
				}
			}
			if v := s.Verdict(l.now); len(v.Deaf) == 0 && len(v.Lost) > 0 {
				t.Fatalf("it has lost %v", v.Lost)
			}
			if l.now.Sub(began) > alarmedWithin {
				t.Fatalf("not deaf after %v", alarmedWithin)
			}
		}
		l.run(5 * time.Second)
		if got, limit := most(s.sent), enough*(len(l.stations)-1)+alarmHolds+baseline; got > limit {
			t.Errorf("it sends up to %d a second, limit %d", got, limit)
		}
	})
}

// An alarm is over as soon as anybody else is heard.
func TestAnAlarmHoldsUpNoDeath(t *testing.T) {
	phases(t, func(t *testing.T, l *lan) {
		dead := l.stations[1]
		dead.off = true
		l.run(200 * time.Millisecond)
		for _, s := range l.stations {
			s.gossip[dead.node] = lb.Unknown
		}
		l.meet()
		l.run((enough-1)*quick + patience + 10*time.Millisecond)
		for _, s := range l.stations {
			if s != dead && s.host(l.now, dead.node) == lb.Alive {
				t.Errorf("%s has not lost it yet", s.node)
			}
		}
	})
}

func TestWhoSaidGoodByeIsNoWitness(t *testing.T) {
	l := lanOf(t, 3)
	l.run(5 * time.Second)
	l.stations[1].off, l.stations[2].off = true, true
	l.run(250 * time.Millisecond)
	s := l.stations[0]
	var peers []Peer
	for _, p := range s.peers {
		said := p.Peer
		said.Left = p.Node == "n002"
		peers = append(peers, said)
	}
	s.Set(l.now, []Link{{Interface: s.itf, UpSince: epoch()}}, peers)
	l.run(alarmedWithin)
	if got := s.Verdict(l.now).Deaf; got != nil {
		t.Errorf("%v are deaf", got)
	}
}

// Who looks late may find the answer among what lies unread.
func TestALateLookRaisesNoAlarm(t *testing.T) {
	l := lanOf(t, 3)
	l.run(5*time.Second + time.Millisecond)
	s := l.stations[0]
	asked, _ := s.Next(l.now.Add(time.Second / 3)) // the next question of the baseline
	if len(asked) != 1 {
		t.Fatalf("it asks %v", asked)
	}
	at, late := l.now.Add(time.Second/3), l.now.Add(time.Second/3+250*time.Millisecond)
	if again, _ := s.Next(late); len(again) > 1 {
		t.Errorf("it asks %v", again)
	}
	s.Heard(late, neighbor.Sighting{Interface: "eth0", MAC: asked[0].To, Source: asked[0].To, Addr: asked[0].Target, Kind: neighbor.SawReply, At: at})
	if _, alarmed := s.links[0].alarmAt(notice); alarmed {
		t.Error("it is alarmed")
	}
}
