package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

var (
	day     = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	vip     = netip.MustParseAddr("192.168.1.10")
	other   = netip.MustParseAddr("192.168.1.11")
	printer = lb.MAC{2, 0, 0, 0, 0, 9}
)

func ms(n int) time.Time { return day.Add(time.Duration(n) * time.Millisecond) }

// cmpAddr compares addresses, which keep a secret pointer.
func cmpAddr() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}

func asking(addrs ...netip.Addr) *checks {
	c := &checks{}
	var list []ownership.Check
	for _, a := range addrs {
		list = append(list, ownership.Check{Addr: a, Interfaces: []string{"eth0"}})
	}
	c.want(list)
	return c
}

func answer(kind neighbor.Saw) neighbor.Sighting {
	return neighbor.Sighting{Interface: "eth0", Addr: vip, MAC: printer, Source: printer, Kind: kind}
}

func TestTheLANIsAskedThreeTimesIn200Milliseconds(t *testing.T) {
	c := &checks{}
	c.want([]ownership.Check{{Addr: vip, Interfaces: []string{"eth0", "eth1"}}})
	one := []neighbor.Probe{{Kind: neighbor.FirstProbe, Interface: "eth0", Target: vip}, {Kind: neighbor.FirstProbe, Interface: "eth1", Target: vip}}
	for _, row := range []struct {
		at     int
		probes []neighbor.Probe
		next   int
	}{{0, one, 60}, {59, nil, 60}, {60, one, 120}, {120, one, 200}, {199, nil, 200}} {
		probes, next := c.due(ms(row.at))
		if diff := cmp.Diff(row.probes, probes, cmpAddr()); diff != "" {
			t.Errorf("at %d ms (-want +got):\n%s", row.at, diff)
		}
		if !next.Equal(ms(row.next)) {
			t.Errorf("at %d ms: next at %v, want %d ms", row.at, next.Sub(day), row.next)
		}
		if c.finished(ms(row.at)) {
			t.Errorf("at %d ms: finished", row.at)
		}
	}
	if !c.finished(ms(200)) || c.finished(ms(201)) {
		t.Error("it does not finish once, after 200 ms")
	}
	if diff := cmp.Diff(map[netip.Addr]ownership.Probed{vip: {Clear: true, At: ms(200)}}, c.results(nil), cmpAddr()); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if _, next := c.due(ms(300)); !next.IsZero() {
		t.Errorf("a result that nobody answers wakes at %v", next)
	}
}

// A process that looks late has asked fewer times than it should.
func TestACheckNeedsAllThreeQuestions(t *testing.T) {
	c := asking(vip)
	c.due(ms(0))
	if c.finished(ms(250)) {
		t.Error("finished after one question")
	}
	c.due(ms(250))
	c.due(ms(250))
	if !c.finished(ms(250)) {
		t.Error("not finished after three questions and 250 ms")
	}
}

func TestWhoAnswersACheck(t *testing.T) {
	for _, row := range []struct {
		name string
		kind neighbor.Saw
		uses bool
	}{
		{"who replies", neighbor.SawReply, true},
		{"who announces it", neighbor.SawAnnouncement, true},
		{"not who asks for it too", neighbor.SawRequest, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := asking(vip)
			c.due(ms(0))
			c.heard(answer(row.kind))
			if got := c.finished(ms(1)); got != row.uses {
				t.Fatalf("finished %v, want %v", got, row.uses)
			}
			if !row.uses {
				return
			}
			want := map[netip.Addr]ownership.Probed{vip: {By: printer, Node: "n2", At: ms(1)}}
			if diff := cmp.Diff(want, c.results(map[lb.MAC]string{printer: "n2"}), cmpAddr()); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAnswerThatNobodyAskedForSaysNothing(t *testing.T) {
	c := asking(vip)
	c.heard(answer(neighbor.SawReply)) // before the first question
	c.due(ms(0))
	s := answer(neighbor.SawReply)
	s.Addr = other
	c.heard(s)
	if c.finished(ms(1)) {
		t.Error("it counts")
	}
}

func TestAnAddressInUseIsAskedAboutAgain(t *testing.T) {
	c := asking(vip)
	c.due(ms(0))
	c.heard(answer(neighbor.SawReply))
	c.finished(ms(0))
	again := day.Add(ownership.CheckAgain)
	if _, next := c.due(ms(1)); !next.Equal(again) {
		t.Errorf("it wakes after %v, want %v", next.Sub(day), ownership.CheckAgain)
	}
	if c.finished(again.Add(-1)) || len(c.results(nil)) != 1 {
		t.Error("the answer is forgotten too soon")
	}
	if !c.finished(again) || len(c.results(nil)) != 0 {
		t.Error("the answer is not forgotten")
	}
	c.want([]ownership.Check{{Addr: vip, Interfaces: []string{"eth0"}}})
	if probes, _ := c.due(again); len(probes) != 1 {
		t.Errorf("%d questions, want 1", len(probes))
	}
}

func TestWhatIsNoLongerWantedIsForgotten(t *testing.T) {
	c := asking(vip, other)
	c.due(ms(0))
	c.heard(answer(neighbor.SawReply))
	c.finished(ms(0)) // of vip there is a result, other is open
	c.want(nil)
	if _, next := c.due(ms(1)); !next.IsZero() || len(c.results(nil)) != 0 {
		t.Errorf("it wakes at %v, and knows %v", next, c.results(nil))
	}
}

func TestWhatIsWantedStillIsNotBegunAnew(t *testing.T) {
	c := asking(vip)
	c.due(ms(0))
	c.want([]ownership.Check{{Addr: vip, Interfaces: []string{"eth0"}}})
	if probes, next := c.due(ms(1)); len(probes) != 0 || !next.Equal(ms(60)) {
		t.Errorf("while open: %d questions, next after %v", len(probes), next.Sub(day))
	}
	for _, at := range []int{60, 120, 200} {
		c.due(ms(at))
	}
	c.finished(ms(200))
	c.want([]ownership.Check{{Addr: vip, Interfaces: []string{"eth0"}}})
	if probes, _ := c.due(ms(201)); len(probes) != 0 || !c.results(nil)[vip].Clear {
		t.Errorf("with a result: %d questions, %v", len(probes), c.results(nil))
	}
}

func TestChecksTakeTurnsWhenThereAreMany(t *testing.T) {
	var addrs []netip.Addr
	for a := vip; len(addrs) < checksAtOnce+10; a = a.Next() {
		addrs = append(addrs, a)
	}
	c := asking(addrs...)
	count := func(at int) int {
		probes, _ := c.due(ms(at))
		return len(probes)
	}
	if n := count(0); n != checksAtOnce {
		t.Errorf("%d questions at once, want %d", n, checksAtOnce)
	}
	for _, at := range []int{60, 120, 200} {
		count(at)
	}
	c.finished(ms(200))
	if n := count(200); n != 10 {
		t.Errorf("%d questions when the first are over, want 10", n)
	}
}
