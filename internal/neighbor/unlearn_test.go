package neighbor

import (
	"slices"
	"testing"
	"time"
)

// told is a frame in words: the last group of the address and what is said of it.
func told(due []Due) []string {
	var all []string
	for _, d := range due {
		all = append(all, d.Addr.String()+" "+d.Form.String())
	}
	return all
}

func TestWhatIsToBeUnlearnedStandsAroundEachAnnouncement(t *testing.T) {
	had, six, fresh := target("192.0.2.1", "eth0"), target("2001:db8::1", "eth0"), target("192.0.2.3", "eth0")
	targets := moved(theOwnerBefore(), had, six)
	targets[fresh] = MAC{}
	var s Schedule
	s.Set(epoch(), targets)
	due, wake := s.Next(epoch())
	want := []string{
		"192.0.2.1 announce_arp_request", "192.0.2.3 announce_arp_request", "2001:db8::1 announce_na", // clients first
		"192.0.2.1 unlearn", "2001:db8::1 unlearn",
		"192.0.2.1 announce_arp_reply", "192.0.2.1 unlearn", "192.0.2.3 announce_arp_reply",
	}
	if got := told(due); !slices.Equal(got, want) {
		t.Errorf("at first %q, want %q", got, want)
	}
	due, _ = s.Next(wake)
	want = []string{
		"192.0.2.1 unlearn", "192.0.2.1 announce_arp_request", "192.0.2.1 announce_arp_reply", "192.0.2.1 unlearn",
		"192.0.2.3 announce_arp_request", "192.0.2.3 announce_arp_reply",
		"2001:db8::1 unlearn", "2001:db8::1 announce_na", "2001:db8::1 unlearn",
	}
	if got := told(due); !slices.Equal(got, want) {
		t.Errorf("then %q, want %q", got, want)
	}
	for _, d := range due {
		if (d.To == theOwnerBefore()) != (d.Form == Unlearning) {
			t.Errorf("%v %v is for %v", d.Addr, d.Form, d.To)
		}
	}
}

func TestFramesOfAScheduleAreThoseOfTheirForm(t *testing.T) {
	link, vip := testLink(), target("192.0.2.10", "eth0")
	if got := (Due{Target: vip, Form: ARPReply}).Frame(link); !slices.Equal(got, Announce(link, vip.Addr, ARPReply)) {
		t.Errorf("announcement %x", got)
	}
	if got := (Due{vip, Unlearning, theOwnerBefore()}).Frame(link); !slices.Equal(got, Unlearn(link, vip.Addr, theOwnerBefore())) {
		t.Errorf("to unlearn %x", got)
	}
}

func TestUnderLoadEachAnnouncementIsUnlearnedBeforeTheNext(t *testing.T) {
	const n = 1000
	var s Schedule
	s.Set(epoch(), moved(theOwnerBefore(), many(n)...))
	all := play(t, &s, 0, 20*time.Second)
	for i, f := range all[n : 2*n] { // behind the first frames, which another test looks at
		if f.Form != Unlearning || f.Target != all[i].Target {
			t.Fatalf("frame %d is %v for %v, want the one to unlearn frame %d", n+i, f.Form, f.Target, i)
		}
	}
	for i, next := 2*n, []Form{ARPReply, Unlearning}; i+4 < len(all); next = []Form{Unlearning, ARPRequest, ARPReply, Unlearning} {
		for range n {
			for _, form := range next {
				if f := all[i]; f.Form != form || f.Target != all[i-i%len(next)].Target || f.At != all[i-i%len(next)].At {
					t.Fatalf("frame %d is %v for %v at %v, want %v", i, f.Form, f.Target, f.At, form)
				}
				if i++; i == len(all) {
					return
				}
			}
		}
	}
}

func TestNewTargetsOvertakeWhatIsToBeUnlearned(t *testing.T) {
	const at = 1800 * time.Millisecond // the last of the first frames have left, and few were unlearned
	var s Schedule
	targets := moved(theOwnerBefore(), many(3000)...)
	s.Set(epoch(), targets)
	play(t, &s, 0, at)
	urgent := target("192.0.2.1", "eth0")
	targets[urgent] = MAC{}
	s.Set(epoch().Add(at), targets)
	all := play(t, &s, at, 2*time.Second)
	if got := times(all, urgent, ARPRequest); len(got) == 0 || got[0] > at+20*time.Millisecond {
		t.Errorf("the first frame of one that died elsewhere left at %v, want at once", got)
	}
}

func TestTheOwnerBeforeMayChangeWhileSomethingIsOwed(t *testing.T) {
	const n = 150 // more than leave at once
	another := MAC{2, 0, 0, 0, 0, 8}
	for name, now := range map[string]MAC{"no longer": {}, "another": another} {
		t.Run(name, func(t *testing.T) {
			var s Schedule
			s.Set(epoch(), moved(theOwnerBefore(), many(n)...))
			due, wake := s.Next(epoch())
			s.Set(epoch(), moved(now, many(n)...))
			for len(due) < 3*n && !wake.IsZero() {
				var more []Due
				more, wake = s.Next(wake)
				due = append(due, more...)
			}
			unlearned := 0
			for _, d := range due[:2*n] { // behind the first frames, before the second ones
				if d.Form != Unlearning {
					continue
				}
				if unlearned++; d.To != now {
					t.Fatalf("%v is told to unlearn %v", d.To, d.Addr)
				}
			}
			if want := map[bool]int{true: n}[now.IsUnicast()]; unlearned != want {
				t.Errorf("%d frames to unlearn, want %d", unlearned, want)
			}
		})
	}
}

func TestWhatIsOwedNoLongerHoldsNothingUp(t *testing.T) {
	targets, six := announced(many(99)...), target("2001:db8::1", "eth0")
	targets[six] = theOwnerBefore()
	var s Schedule
	s.Set(epoch(), targets)
	_, wake := s.Next(epoch()) // as many as leave at once: the first frame of each
	targets[six] = MAC{}
	s.Set(epoch(), targets)
	if due, _ := s.Next(wake); len(due) == 0 || due[0].Form != ARPReply {
		t.Errorf("%q, want the second frames of the others", told(due))
	}
}

func TestAnOwnerBeforeThatIsNamedLaterUnlearnsTheNextAnnouncement(t *testing.T) {
	vip := target("2001:db8::1", "eth0")
	var s Schedule
	s.Set(epoch(), announced(vip))
	s.Next(epoch())
	s.Set(epoch(), moved(theOwnerBefore(), vip))
	if due, _ := s.Next(epoch().Add(99 * time.Millisecond)); len(due) > 0 {
		t.Errorf("%q before the next announcement", told(due))
	}
	due, _ := s.Next(epoch().Add(100 * time.Millisecond))
	if want := []string{"2001:db8::1 unlearn", "2001:db8::1 announce_na", "2001:db8::1 unlearn"}; !slices.Equal(told(due), want) {
		t.Errorf("%q, want %q", told(due), want)
	}
}

func TestRearmPutsTheFirstFramesBeforeWhatWasOwed(t *testing.T) {
	const n = 100 // as many as leave at once
	var s Schedule
	s.Set(epoch(), moved(theOwnerBefore(), many(n)...))
	_, wake := s.Next(epoch())
	s.Rearm(epoch(), "eth0")
	for _, d := range play(t, &s, wake.Sub(epoch()), time.Second)[:n] {
		if d.Form != ARPRequest {
			t.Fatalf("%v before all were announced again", d)
		}
	}
}
