package liveness

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

func TestDeafness(t *testing.T) {
	all := func(l *lan, life lb.Life) {
		for _, s := range l.stations[1:] {
			l.stations[0].gossip[s.node] = life
		}
		l.meet()
	}
	deafen := func(l *lan) { l.stations[0].deaf = true }
	warm := 5 * time.Second
	for _, c := range []struct {
		name   string
		nodes  int
		before time.Duration
		change func(*lan)
		after  time.Duration
		want   bool
	}{
		{"all is well", 3, warm, func(*lan) {}, 10 * time.Second, false},
		{"alone", 1, warm, deafen, 10 * time.Second, false},
		{"the port goes deaf, gossip goes elsewhere, 3 nodes", 3, warm, deafen, 700 * time.Millisecond, true},
		{"the same, 30 nodes", 30, 15 * time.Second, deafen, 700 * time.Millisecond, true},
		{"not judged too soon", 30, 15 * time.Second, deafen, 300 * time.Millisecond, false},
		{"the same, 2 nodes: it may be the other", 2, warm, deafen, 1100 * time.Millisecond, false},
		{"the same, 2 nodes, after a while", 2, warm, deafen, 1700 * time.Millisecond, true},
		{"it stays deaf", 3, warm, deafen, 10 * time.Minute, true},
		{"it hears again", 3, warm, func(l *lan) { deafen(l); l.run(5 * time.Second); l.stations[0].deaf = false }, 1100 * time.Millisecond, false},
		{"a port that forwards nothing yet", 3, 0, deafen, 2 * time.Second, true},
		{"a port that forwards nothing yet, and gossip needs it", 3, 0, func(l *lan) { deafen(l); all(l, lb.Dead) }, 2 * time.Second, true},
		{"a port that has heard nobody for a minute", 3, 0, deafen, 61 * time.Second, false},
		{"the port goes deaf, and gossip with it", 3, warm, func(l *lan) { deafen(l); l.run(250 * time.Millisecond); all(l, lb.Unknown) }, 2 * time.Second, true},
		{"the same after a long time", 3, 2 * time.Minute, func(l *lan) { deafen(l); l.run(250 * time.Millisecond); all(l, lb.Unknown) }, 20 * time.Minute, true},
		{"the only peer dies after a long time", 2, 2 * time.Minute, func(l *lan) { deafen(l); l.run(250 * time.Millisecond); all(l, lb.Unknown) }, time.Minute, false},
		{"one dies, then the last but us", 3, 2 * time.Minute, func(l *lan) {
			l.stations[1].off = true
			l.suspect("n002", lb.Dead)
			l.run(time.Minute)
			l.stations[2].off = true
			l.suspect("n003", lb.Dead)
		}, time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lanOf(t, c.nodes)
			l.run(c.before)
			c.change(l)
			l.run(c.after)
			var want []string
			if c.want {
				want = []string{"eth0"}
			}
			if diff := cmp.Diff(want, l.stations[0].Verdict(l.now).Deaf); diff != "" {
				t.Errorf("deaf, -want +got:\n%s", diff)
			}
		})
	}
}

func TestAnyFrameOfAnotherEndsDeafness(t *testing.T) {
	for _, c := range []struct {
		name string
		say  neighbor.Sighting
		want []string
	}{
		{"of a stranger", neighbor.Sighting{Interface: "eth0", Source: mac(77), Kind: neighbor.SawOther}, nil},
		{"of a peer", neighbor.Sighting{Interface: "eth0", MAC: mac(2), Source: mac(2), Kind: neighbor.SawRequest}, nil},
		{"our own, sent back", neighbor.Sighting{Interface: "eth0", MAC: mac(1), Source: mac(1), Kind: neighbor.SawRequest}, []string{"eth0"}},
		{"on another interface", neighbor.Sighting{Interface: "eth1", Source: mac(77), Kind: neighbor.SawOther}, []string{"eth0"}},
		{"of nobody", neighbor.Sighting{Interface: "eth0", Kind: neighbor.SawOther}, []string{"eth0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := lanOf(t, 3)
			l.stations[0].deaf = true
			l.run(5 * time.Second)
			s := l.stations[0]
			s.Heard(l.now, c.say)
			if diff := cmp.Diff(c.want, s.Verdict(l.now).Deaf); diff != "" {
				t.Errorf("deaf, -want +got:\n%s", diff)
			}
		})
	}
}

// A deaf port makes everybody look dead. When it hears again, nobody may be taken for dead who is not.
func TestWhoSeemedDeadToTheDeafIsAskedAnew(t *testing.T) {
	l := lanOf(t, 4)
	l.run(15 * time.Second)
	s := l.stations[0]
	s.deaf = true
	l.run(5 * time.Second)
	if got := len(s.Verdict(l.now).Lost); got != 3 {
		t.Fatalf("while it is deaf, %d of 3 are lost", got)
	}
	l.stations[3].off = true
	s.deaf = false
	s.hear(l.now, neighbor.Sighting{Interface: "eth0", Source: mac(77), Kind: neighbor.SawOther})
	if got := s.Verdict(l.now).Lost; got != nil {
		t.Errorf("when it hears again, %v are lost", got)
	}
	s.wake = l.now
	l.run(1100 * time.Millisecond)
	if diff := cmp.Diff([]lb.Loss{{Node: "n004", Interface: "eth0"}}, s.Verdict(l.now).Lost); diff != "" {
		t.Errorf("lost, -want +got:\n%s", diff)
	}
}

func TestAStopEndsNoDeafness(t *testing.T) {
	for _, deaf := range []bool{true, false} {
		l := lanOf(t, 3)
		l.run(5 * time.Second)
		s := l.stations[0]
		s.deaf = deaf
		l.run(5 * time.Second)
		l.now = l.now.Add(10 * time.Second) // nobody looks
		for _, s := range l.stations {
			s.wake = l.now
		}
		l.run(60 * time.Millisecond) // grace is over, and an alarm is not
		if got := len(s.Verdict(l.now).Deaf) > 0; got != deaf {
			t.Errorf("deaf before: %v, after the stop: %v", deaf, got)
		}
	}
}

func TestSilenceWithoutQuestionsIsNoDeafness(t *testing.T) {
	l := lanOf(t, 3)
	if got := l.stations[0].Verdict(l.now.Add(5 * time.Second)).Deaf; got != nil {
		t.Errorf("nobody was asked, and %v are deaf", got)
	}
}

func TestAFrameFromBeforeTheLinkCameUpIsNotHeard(t *testing.T) {
	l := lanOf(t, 3)
	s := l.stations[0]
	s.deaf = true
	s.Heard(l.now, neighbor.Sighting{Interface: "eth0", Source: mac(77), Kind: neighbor.SawOther, At: l.now.Add(-time.Millisecond)})
	l.run(61 * time.Second) // by then a port that has heard nobody is isolated, and any other is deaf
	if got := s.Verdict(l.now).Deaf; got != nil {
		t.Errorf("%v are deaf", got)
	}
}
