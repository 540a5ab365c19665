package wire

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// heard is an announcement and when it came.
type heard struct {
	said
	at time.Time
}

// collect takes what is said about addr until the time is over.
func (p *tap) collect(addr string, during time.Duration) []heard {
	p.t.Helper()
	var all []heard
	for deadline := time.Now().Add(during); ; {
		frame := p.next(time.Until(deadline), about(addr))
		if frame == nil {
			return all
		}
		s, _ := hear(frame)
		all = append(all, heard{s, time.Now()})
	}
}

func TestANewAddressIsAnnouncedSixTimes(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	v6 := make(chan []heard)
	go func() { v6 <- ndps.collect(vip6, 5*time.Second) }()
	began := time.Now()
	w.Answer(wantOn("lan0", vip4, vip6))
	all := arps.collect(vip4, 5*time.Second)
	var requests, replies []heard
	for _, h := range all {
		if h.request {
			requests = append(requests, h)
		} else {
			replies = append(replies, h)
		}
	}
	checkTimes(t, "the request form", began, l.mac(), requests)
	checkTimes(t, "the reply form", began, l.mac(), replies)
	checkTimes(t, "the advertisement", began, l.mac(), <-v6)
}

// checkTimes wants the six announcements at their times. The seventh may be a refresh, whose phase is anywhere in its minute.
func checkTimes(t *testing.T, form string, began time.Time, mac neighbor.MAC, all []heard) {
	t.Helper()
	want := []int{0, 100, 1100, 2200, 3300, 4400}
	if len(all) < len(want) || len(all) > len(want)+1 {
		t.Fatalf("%s came %d times, want %d", form, len(all), len(want))
	}
	for i, ms := range want {
		at := all[i].at.Sub(began).Milliseconds()
		// Late when the machine is busy, never early: the clocks of both sides are the same.
		if at < int64(ms) || at > int64(ms)+700 {
			t.Errorf("%s %d came after %d ms, want %d", form, i, at, ms)
		}
		if s := all[i].said; s.mac != mac || s.source != mac || s.to[0]&1 == 0 || s.answer {
			t.Errorf("%s %d says %+v", form, i, s)
		}
	}
}

func TestOnlyWhatIsNewIsAnnounced(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t, "192.0.2.11")
	arps := l.tap("eth0", unix.ETH_P_ARP)
	if got := arps.collect("192.0.2.11", 5*time.Second); len(got) == 0 {
		t.Fatal("the first address was not announced")
	}
	w.Answer(wantOn("lan0", "192.0.2.11", "192.0.2.12"))
	if got := arps.collect("192.0.2.11", 300*time.Millisecond); len(got) > 2 { // a refresh is two frames
		t.Errorf("an address that stayed was announced again: %d frames", len(got))
	}
	if frame := arps.next(patience, about("192.0.2.12")); frame == nil {
		t.Error("the new address was not announced")
	}
}

func TestNothingIsAnnouncedAfterItWasTakenAway(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t, vip4)
	arps := l.tap("eth0", unix.ETH_P_ARP)
	if arps.next(patience, about(vip4)) == nil {
		t.Fatal("the address was not announced")
	}
	w.Answer(nil)
	taken := time.Now()
	for _, h := range arps.collect(vip4, 1500*time.Millisecond) {
		if h.at.After(taken.Add(100 * time.Millisecond)) { // what was on the wire before may be read after
			t.Errorf("announced %v after it was taken away", h.at.Sub(taken))
		}
	}
}
