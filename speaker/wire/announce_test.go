package wire

import (
	"net/netip"
	"slices"
	"strings"
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

// The times of announcements are tried in virtual time: a busy machine would stop us, which makes other announcements.
func TestANewAddressIsAnnouncedSixTimes(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		w.Answer(wantOn("lan0", vip4, vip6))
		began := time.Now()
		time.Sleep(5 * time.Second)
		all := m.take()
		for form, is := range map[string]func(said) bool{
			"the request form":  func(s said) bool { return s.addr.Is4() && s.request },
			"the reply form":    func(s said) bool { return s.addr.Is4() && !s.request },
			"the advertisement": func(s said) bool { return s.addr.Is6() },
		} {
			var at []int64
			for _, h := range all {
				if !is(h.said) {
					continue
				}
				at = append(at, h.at.Sub(began).Milliseconds())
				if h.mac != m.mac() || h.source != m.mac() || h.to[0]&1 == 0 || h.answer {
					t.Errorf("%s says %+v", form, h)
				}
			}
			want := []int64{0, 100, 1100, 2200, 3300, 4400} // a refresh may follow
			if len(at) < len(want) || len(at) > len(want)+1 || !slices.Equal(at[:len(want)], want) {
				t.Errorf("%s came after %v ms, want %v", form, at, want)
			}
		}
	})
}

// rested is how long after a start only refreshes are sent, one in a minute.
const rested = 10 * time.Second

func TestOnlyWhatIsNewIsAnnounced(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		w.Answer(wantOn("lan0", "192.0.2.11"))
		time.Sleep(rested)
		m.take()
		w.Answer(wantOn("lan0", "192.0.2.11", "192.0.2.12"))
		time.Sleep(time.Millisecond)
		if got := m.takeAbout("192.0.2.12"); got != "request reply" {
			t.Errorf("%q said of the new address, and perhaps of the old", got)
		}
	})
}

func TestTheOwnerBeforeUnlearnsEachAnnouncement(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		before := neighbor.MAC{2, 0, 0, 0, 0, 9}
		want := wantOn("lan0", vip4, vip6)
		for target, e := range want {
			e.As = before
			want[target] = e
		}
		w.Answer(want)
		time.Sleep(5 * time.Second)
		said := map[string][]string{}
		for _, h := range m.take() {
			word := "all"
			if h.to == before {
				word = "before"
			}
			if unlearns := h.mac == before; unlearns != (h.to == before) || !unlearns && h.mac != m.mac() || h.source != m.mac() {
				t.Errorf("%+v", h)
			}
			said[h.addr.String()] = append(said[h.addr.String()], word)
		}
		for addr, want := range map[string]string{ // a refresh may follow
			vip4: "all before all before" + strings.Repeat(" before all all before", 5),
			vip6: "all before" + strings.Repeat(" before all before", 5),
		} {
			if got := strings.Join(said[addr], " "); !strings.HasPrefix(got, want) {
				t.Errorf("%s is told to %q, want %q", addr, got, want)
			}
			counted := (*w.metrics.tallies.now.Load())[netip.MustParseAddr(addr)].announcements.Load()
			if n := strings.Count(strings.Join(said[addr], " "), "all"); int(counted) != n {
				t.Errorf("%d announcements of %s are counted, want %d", counted, addr, n)
			}
		}
	})
}

func TestAnAddressIsDefendedOnce(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		w.Answer(wantOn("lan0", vip4, "192.0.2.11"))
		time.Sleep(rested)
		m.take()
		w.Announce([]netip.Addr{netip.MustParseAddr(vip4), netip.MustParseAddr("192.0.2.99")})
		time.Sleep(time.Millisecond)
		if got := m.takeAbout(vip4); got != "request reply" {
			t.Errorf("%q said", got)
		}
		time.Sleep(4 * time.Second)
		if all := m.take(); len(all) > 4 { // two refreshes at most
			t.Errorf("and then %+v", all)
		}
	})
}

func TestAMuteWireSaysNothingAndThenAnnouncesOnce(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		w.Answer(wantOn("lan0", vip4))
		time.Sleep(rested)
		m.take()
		w.Mute(true)
		m.in <- request(t, theClient(), broadcast(), vip4)
		w.Answer(wantOn("lan0", vip4, "192.0.2.11")) // which is new
		time.Sleep(5 * time.Minute)
		if all := m.take(); len(all) > 0 {
			t.Errorf("said while mute: %+v", all)
		}
		w.Mute(false)
		time.Sleep(time.Millisecond)
		if got := m.takeAbout(vip4); got != "192.0.2.11 192.0.2.11 request reply" {
			t.Errorf("%q said", got)
		}
		time.Sleep(100 * time.Millisecond)
		if got := m.takeAbout(vip4); got != "192.0.2.11 192.0.2.11" {
			t.Errorf("%q said 0.1 s later, want the new address for the second time", got)
		}
		w.Answer(wantOn("lan0", vip4))
		w.Mute(false) // again, though it is not mute
		time.Sleep(time.Millisecond)
		if all := m.take(); len(all) > 0 {
			t.Errorf("said though nothing changed: %+v", all)
		}
		time.Sleep(rested)
		m.take()
		w.Mute(true)
		w.Mute(false)
		time.Sleep(time.Millisecond)
		if got := m.takeAbout(vip4); got != "request reply" {
			t.Errorf("%q said after it was mute for a moment", got)
		}
	})
}

func TestNothingIsAnnouncedWithoutALink(t *testing.T) {
	simulate(t, func(w *Wire, m *machine) {
		up := m.links[0]
		down := up
		down.Up = false
		m.set(down, Change{Index: down.Index})
		time.Sleep(2 * lookGap)
		w.Answer(wantOn("lan0", vip4))
		time.Sleep(rested)
		if all := m.take(); len(all) > 0 {
			t.Errorf("said without a link: %+v", all)
		}
		m.set(up, Change{Index: up.Index})
		time.Sleep(2 * lookGap)
		if got := m.takeAbout(vip4); got != "request reply" {
			t.Errorf("%q said when the link came", got)
		}
	})
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
