package liveness

import (
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// asks has n001 find a speaker that gossip misses, and that does not answer for its address.
func asks(t *testing.T) (*lan, *station) {
	l := lanOf(t, 3)
	l.run(5 * time.Second)
	l.stations[1].mute = true
	l.suspect("n002", lb.Unknown)
	return l, l.stations[0]
}

func TestWhatRepeatsLeavesATokenForTheBaseline(t *testing.T) {
	l := &link{}
	for i, c := range []struct {
		spare int
		want  bool
	}{{spare(false), true}, {spare(false), false}, {0, true}, {0, false}} {
		if got := l.may(epoch(), false, c.spare); got != c.want {
			t.Errorf("question %d may be asked: %v, want %v", i+1, got, c.want)
		}
	}
	if got, want := l.mayAt(false), epoch().Add(2*routineEvery); !got.Equal(want) {
		t.Errorf("the next that repeats after %v, want %v", got.Sub(epoch()), want.Sub(epoch()))
	}
}

func TestQuestionsToASpeakerTakeTokens(t *testing.T) {
	l, s := asks(t)
	l.run(patience)
	if got := s.links[0].urgent.full.Sub(l.now); got < enough*urgentEvery {
		t.Errorf("the bucket will be full after %v, want %v at least", got, enough*urgentEvery)
	}
}

func TestASpeakerIsNotAskedWithoutTokens(t *testing.T) {
	l, s := asks(t)
	l.run(10 * time.Millisecond) // its host has answered
	s.links[0].urgent.full, s.links[0].routine.full = l.now.Add(time.Hour), l.now.Add(time.Hour)
	p := s.peers[0]
	p.answer.begin(l.now)
	if got := p.askSpeaker(l.now); got != nil {
		t.Errorf("it asks %v", got)
	}
	s.links[0].urgent.full = time.Time{}
	if got := p.askSpeaker(l.now); len(got) != 1 {
		t.Errorf("with tokens it asks %v", got)
	}
}

func TestAnAlarmEmptiesItsBucket(t *testing.T) {
	l := lanOf(t, 3)
	l.run(5 * time.Second)
	s := l.stations[0]
	s.deaf = true
	l.run(alarmedWithin)
	s.deaf = false
	s.wake = l.now
	l.run(500 * time.Millisecond) // it hears again, and goes deaf again
	s.deaf = true
	l.run(alarmedWithin)
	if got := s.Verdict(l.now).Deaf; got != nil {
		t.Errorf("two alarms within two seconds: %v are deaf", got)
	}
	if next := s.links[0].alarms.ready(alarmEvery, alarmHolds, alarmAsks-1); !next.After(l.now) {
		t.Errorf("the next round is possible at %v, %v ago", next, l.now.Sub(next))
	}
}

func TestARowIsNotMixedWithTheBaseline(t *testing.T) {
	l := lanOf(t, 2)
	l.run(5 * time.Second)
	s := l.stations[0]
	l.stations[1].filter = true
	s.asked = nil
	l.run(2 * time.Second)
	for i := range enough - 1 {
		if pause := s.asked[i+1].at.Sub(s.asked[i].at); pause != slow {
			t.Errorf("the pause after question %d is %v, want %v", i+1, pause, slow)
		}
	}
}

func TestTheBaselineWastesNoTurnOnASuspect(t *testing.T) {
	l := lanOf(t, 4)
	l.run(5 * time.Second)
	l.suspect("n003", lb.Unknown)
	for slot := range int64(60) {
		if h := l.stations[0].links[0].turn(slot); slot%2 == 0 && (h == nil || h.peer.Node == "n003") {
			t.Errorf("slot %d is lost", slot)
		}
	}
}
