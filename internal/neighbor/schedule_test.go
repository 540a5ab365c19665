package neighbor

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sent is one frame and when it left, in time since the test's epoch.
type sent struct {
	At time.Duration
	Due
}

func epoch() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// play calls Next whenever it asks to be called, from one time until before another, and collects the frames. It is a
// perfect caller: no call is late.
func play(t *testing.T, s *Schedule, from, until time.Duration) []sent {
	t.Helper()
	var all []sent
	for now := from; now < until; {
		due, wake := s.Next(epoch().Add(now))
		for _, d := range due {
			all = append(all, sent{now, d})
		}
		if wake.IsZero() {
			break
		}
		next := wake.Sub(epoch())
		if next <= now {
			t.Fatalf("at %v Next asks to be called at %v", now, next)
		}
		now = next
	}
	return all
}

// announced are targets without an owner before, moved such with one.
func announced(targets ...Target) map[Target]MAC { return moved(MAC{}, targets...) }

func moved(before MAC, targets ...Target) map[Target]MAC {
	all := map[Target]MAC{}
	for _, t := range targets {
		all[t] = before
	}
	return all
}

// theOwnerBefore is told to unlearn.
func theOwnerBefore() MAC { return MAC{2, 0, 0, 0, 0, 9} }

func target(addr, name string) Target { return Target{netip.MustParseAddr(addr), name} }

// many returns n IPv4 targets on eth0.
func many(n int) []Target {
	var all []Target
	for i := range n {
		all = append(all, Target{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "eth0"})
	}
	return all
}

// times returns when frames of form left for the target.
func times(all []sent, t Target, form Form) []time.Duration {
	var at []time.Duration
	for _, f := range all {
		if f.Target == t && f.Form == form {
			at = append(at, f.At)
		}
	}
	return at
}

// steps are the times of the announcements of a new target, before the first refresh.
func steps(start time.Duration) []time.Duration {
	var all []time.Duration
	for _, ms := range []time.Duration{0, 100, 1100, 2200, 3300, 4400} {
		all = append(all, start+ms*time.Millisecond)
	}
	return all
}

func TestScheduleAnnouncesSixTimesThenEveryMinute(t *testing.T) {
	v4, v6 := target("192.0.2.10", "eth0"), target("2001:db8::10", "eth0")
	var s Schedule
	s.Set(epoch(), announced(v6, v4))
	all := play(t, &s, 0, 5*time.Minute)
	for _, c := range []struct {
		target Target
		form   Form
	}{{v4, ARPRequest}, {v4, ARPReply}, {v6, NeighborAdvertisement}} {
		at := times(all, c.target, c.form)
		if len(at) < 10 {
			t.Fatalf("%v sent %d times: %v", c, len(at), at)
		}
		if diff := cmp.Diff(steps(0), at[:6]); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c, diff)
		}
		for i := 6; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap > Refresh || i > 6 && gap != Refresh {
				t.Errorf("%v: %v between frames %d and %d, want %v", c, gap, i-1, i, Refresh)
			}
		}
	}
}

func TestScheduleSendsTheRequestFormBeforeTheReplyForm(t *testing.T) {
	var s Schedule
	s.Set(epoch(), announced(target("192.0.2.10", "eth0")))
	due, wake := s.Next(epoch())
	want := []Due{{Target: target("192.0.2.10", "eth0"), Form: ARPRequest}, {Target: target("192.0.2.10", "eth0"), Form: ARPReply}}
	if diff := cmp.Diff(want, due, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
	if wake != epoch().Add(100*time.Millisecond) {
		t.Errorf("wake = %v, want 100 ms later", wake)
	}
}

func TestScheduleSetKeepsOldTargetsAndCancelsMissingOnes(t *testing.T) {
	kept, gone, fresh := target("192.0.2.1", "eth0"), target("192.0.2.2", "eth0"), target("192.0.2.3", "eth0")
	var s Schedule
	s.Set(epoch(), announced(kept, gone))
	before := play(t, &s, 0, 50*time.Millisecond)
	s.Set(epoch().Add(50*time.Millisecond), announced(kept, fresh))
	all := append(before, play(t, &s, 50*time.Millisecond, 5*time.Second)...)
	if got := times(all, kept, ARPRequest); !slices.Equal(got, steps(0)) {
		t.Errorf("the target that stays: %v", got)
	}
	if got := times(all, gone, ARPRequest); !slices.Equal(got, steps(0)[:1]) {
		t.Errorf("the target that went: %v, want one frame before it went", got)
	}
	if got := times(all, fresh, ARPRequest); !slices.Equal(got, steps(50*time.Millisecond)) {
		t.Errorf("the new target: %v", got)
	}
	s.Set(epoch().Add(6*time.Second), nil)
	if due, wake := s.Next(epoch().Add(6 * time.Second)); len(due) > 0 || !wake.IsZero() {
		t.Errorf("an empty schedule sends %v and wakes at %v", due, wake)
	}
}

func TestScheduleLeavesOutAddressesThatCannotBeAnnounced(t *testing.T) {
	var s Schedule
	s.Set(epoch(), announced(Target{Interface: "eth0"}, target("224.0.0.1", "eth0"), target("::ffff:192.0.2.1", "eth0")))
	if due, wake := s.Next(epoch()); len(due) > 0 || !wake.IsZero() {
		t.Errorf("sends %v", due)
	}
}

func TestScheduleSendsEachFirstFrameBeforeAnySecond(t *testing.T) {
	var s Schedule
	targets := many(3000)
	s.Set(epoch(), moved(theOwnerBefore(), targets...)) // of whom each has something to unlearn, too
	all := play(t, &s, 0, 3*time.Second)
	seen := map[Target]bool{}
	for i, f := range all[:len(targets)] {
		if seen[f.Target] || f.Form != ARPRequest {
			t.Fatalf("frame %d is %v for %v: a second one before all have had a first", i, f.Form, f.Target)
		}
		seen[f.Target] = true
	}
	if last := all[len(targets)-1].At; last > 1600*time.Millisecond {
		t.Errorf("the last of 3,000 first frames left after %v, want 1.5 s at 2,000 a second", last)
	}
}

func TestScheduleNewTargetsOvertakeRepeats(t *testing.T) {
	var s Schedule
	targets := many(3000)
	s.Set(epoch(), announced(targets...))
	play(t, &s, 0, 1800*time.Millisecond) // the repeats are under way and late
	urgent := target("192.0.2.1", "eth0")
	s.Set(epoch().Add(1800*time.Millisecond), announced(append(targets, urgent)...))
	all := play(t, &s, 1800*time.Millisecond, 2*time.Second)
	if at := times(all, urgent, ARPRequest); len(at) == 0 || at[0] > 1820*time.Millisecond {
		t.Errorf("the new target's first frame left at %v, want at once", at)
	}
}

func TestScheduleNeverExceedsItsRate(t *testing.T) {
	for _, c := range []struct {
		name   string
		before MAC
		during time.Duration
		frames int // of each target: six announcements in two forms, and perhaps one to unlearn behind each
	}{
		{"nobody had them before", MAC{}, 30 * time.Second, 12},
		{"another had them before", theOwnerBefore(), 50 * time.Second, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Schedule
			s.Set(epoch(), moved(c.before, many(3000)...))
			all := play(t, &s, 0, c.during)
			if n := slices.IndexFunc(all, func(f sent) bool { return f.At > 0 }); n > 100 {
				t.Errorf("%d frames at once, want 100 at most", n)
			}
			for i, j := 0, 0; j < len(all); j++ {
				for all[j].At-all[i].At >= time.Second {
					i++
				}
				if n := j - i + 1; n > 2000 {
					t.Fatalf("%d frames within a second, from %v", n, all[i].At)
				}
			}
			perTarget := map[Target]int{}
			for _, f := range all {
				perTarget[f.Target]++
			}
			for _, target := range many(3000) {
				if n := perTarget[target]; n < c.frames {
					t.Errorf("%d frames about %v in the first %v, want %d", n, target, c.during, c.frames)
				}
			}
		})
	}
}

func TestScheduleSpreadsRefreshesEvenly(t *testing.T) {
	for _, n := range []int{1, 10, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var s Schedule
			s.Set(epoch(), announced(many(n)...))
			perSecond := make([]int, Refresh/time.Second)
			for _, f := range play(t, &s, 0, 3*time.Minute) {
				if at := f.At - 2*Refresh; at >= 0 && f.Form == ARPRequest {
					perSecond[at/time.Second]++
				}
			}
			total := 0
			for second, got := range perSecond {
				total += got
				if mean := n / len(perSecond); got > mean+2 || got < mean-2 {
					t.Errorf("%d refreshes in second %d, want %d ± 2", got, second, mean)
				}
			}
			if total != n {
				t.Errorf("%d refreshes in a minute, want %d", total, n)
			}
		})
	}
}

func TestScheduleKeepsItsGapsWhenTheCallerIsLate(t *testing.T) {
	var s Schedule
	s.Set(epoch(), announced(target("2001:db8::10", "eth0")))
	s.Next(epoch())
	due, wake := s.Next(epoch().Add(3 * time.Second))
	if len(due) != 1 || wake != epoch().Add(4*time.Second) {
		t.Errorf("three seconds late: %d frames, next in %v; want one frame and the next a second later", len(due), wake.Sub(epoch()))
	}
}
