package neighbor

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestScheduleRearmStartsAgainOnOneInterface(t *testing.T) {
	here, there := target("192.0.2.1", "eth0"), target("192.0.2.1", "eth1")
	var s Schedule
	s.Set(epoch(), announced(here, there))
	play(t, &s, 0, 10*time.Second)
	s.Rearm(epoch().Add(10*time.Second), "eth0")
	all := play(t, &s, 10*time.Second, 15*time.Second)
	if got := times(all, here, ARPRequest); !slices.Equal(got, steps(10*time.Second)) {
		t.Errorf("on the interface: %v", got)
	}
	if got := times(all, there, ARPRequest); len(got) > 1 {
		t.Errorf("on the other interface: %v, want a refresh at most", got)
	}
}

func TestScheduleRearmKeepsTheOrder(t *testing.T) {
	var s Schedule
	targets := many(50)
	s.Set(epoch(), announced(targets...))
	play(t, &s, 0, 10*time.Second)
	s.Rearm(epoch().Add(10*time.Second), "eth0")
	due, _ := s.Next(epoch().Add(10 * time.Second))
	for i, d := range due[:len(targets)] {
		if d.Target != targets[i] {
			t.Fatalf("frame %d is about %v, want %v", i, d.Target, targets[i])
		}
	}
}

func TestScheduleOnceRepeatsNothingThatIsUnderWay(t *testing.T) {
	var s Schedule
	s.Set(epoch(), announced(many(100)...))
	_, wake := s.Next(epoch()) // as many as leave at once: the first frame of each
	s.Once(epoch(), func(Target) bool { return true })
	if due, _ := s.Next(wake); len(due) == 0 || due[0].Form != ARPReply {
		t.Errorf("%v, want the second frames", due)
	}
}

func TestScheduleOnceSendsOneAnnouncementAndKeepsTheRest(t *testing.T) {
	old, young, other := target("192.0.2.1", "eth0"), target("192.0.2.2", "eth0"), target("192.0.2.3", "eth0")
	var s Schedule
	s.Set(epoch(), announced(old, other))
	play(t, &s, 0, 10*time.Second)
	s.Set(epoch().Add(10*time.Second), announced(old, young, other))
	play(t, &s, 10*time.Second, 10500*time.Millisecond)
	s.Once(epoch().Add(10500*time.Millisecond), func(t Target) bool { return t != other })
	all := play(t, &s, 10500*time.Millisecond, 14*time.Second)
	for _, form := range []Form{ARPRequest, ARPReply} {
		if got := times(all, old, form); !slices.Equal(got, []time.Duration{10500 * time.Millisecond}) {
			t.Errorf("form %v of the one whose repeats are over: %v, want it once at 10.5 s", form, got)
		}
		// It had its first two; the third is sent early, and the others keep their distance.
		want := []time.Duration{10500, 11600, 12700, 13800}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if got := times(all, young, form); !slices.Equal(got, want) {
			t.Errorf("form %v of the one whose repeats go on: %v, want %v", form, got, want)
		}
	}
	if got := times(all, other, ARPRequest); len(got) > 0 {
		t.Errorf("one that was not asked for: %v", got)
	}
	if got := times(play(t, &s, 14*time.Second, 14*time.Second+Refresh), old, ARPRequest); len(got) != 1 {
		t.Errorf("in the minute after: %v, want a refresh", got)
	}
}

func TestScheduleOnceFindsEachTarget(t *testing.T) {
	const at = 10 * time.Second
	for _, one := range many(50) {
		var s Schedule
		s.Set(epoch(), announced(many(50)...))
		play(t, &s, 0, at)
		s.Once(epoch().Add(at), func(t Target) bool { return t == one })
		if due, _ := s.Next(epoch().Add(at)); len(due) != 2 || due[0].Target != one {
			t.Errorf("%v, want the two frames about %v", due, one)
		}
	}
}

func TestScheduleKeepsWithinItsBurstWhateverLeavesTogether(t *testing.T) {
	const at = 10 * time.Second
	six := map[Target]MAC{}
	for _, target := range many(50) { // of three frames each
		a := target.Addr.As4()
		six[Target{netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: a[3]}), "eth0"}] = theOwnerBefore()
	}
	var s Schedule
	s.Set(epoch(), six)
	play(t, &s, 0, at)
	s.Once(epoch().Add(at), func(Target) bool { return true })
	due, wake := s.Next(epoch().Add(at))
	if len(due) < 98 || len(due) > 100 {
		t.Errorf("%d frames at once, want 100 or a little less", len(due))
	}
	if gap := wake.Sub(epoch()) - at; gap < 5*time.Millisecond || gap > 6*time.Millisecond {
		t.Errorf("the next after %v, want the time of ten frames", gap)
	}
}
