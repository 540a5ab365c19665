package wire

import (
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// announcement is a frame by which mac claims addr.
func announcement(mac neighbor.MAC, addr string) []byte {
	a := netip.MustParseAddr(addr)
	form := neighbor.ARPRequest
	if a.Is6() {
		form = neighbor.NeighborAdvertisement
	}
	return neighbor.Announce(neighbor.Link{MAC: mac}, a, form)
}

func TestAnnouncementsOfOurAddressesAreAllSeen(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	for _, kind := range []neighbor.Kind{neighbor.Own, neighbor.StandIn, neighbor.Trail} {
		w.Answer(entriesOn("lan0", neighbor.Entry{Kind: kind, As: theOwner(), Only: []neighbor.MAC{theOwner()}}, vip4, vip6))
		for range 5 { // at once: no bound for each MAC
			arps.send(announcement(theClient(), vip4))
			ndps.send(announcement(theClient(), vip6))
		}
		seen := map[string]int{}
		for seen[vip4] < 5 || seen[vip6] < 5 {
			s, ok := nextSighting(w, patience, func(s neighbor.Sighting) bool { return s.Kind == neighbor.SawAnnouncement })
			if !ok || s.MAC != theClient() || s.Source != theClient() {
				t.Fatalf("%v: after %v, sighting = %+v, %v", kind, seen, s, ok)
			}
			seen[s.Addr.String()]++
		}
	}
}

// tellAll lets a Wire with this table hear these frames, with gaps between them, and returns what it told.
func tellAll(t *testing.T, table map[neighbor.Target]neighbor.Entry, asked questions, told []neighbor.Sighting, gap time.Duration) (heard []neighbor.Sighting) {
	t.Helper()
	w := New(Options{Log: testLog(t)})
	w.table.Store(neighbor.NewTable(table))
	w.asked.Store(&asked)
	f := &family{counters: w.metrics.of("lan0", lb.IPv4)}
	now := time.Now()
	for _, s := range told {
		w.tell(f, s, time.Time{}, now)
		now = now.Add(gap)
	}
	for {
		select {
		case s := <-w.Sightings():
			heard = append(heard, s)
		default:
			return heard
		}
	}
}

func TestWhatIsToldIsBounded(t *testing.T) {
	sighting := func(kind neighbor.Saw, addr string) neighbor.Sighting {
		return neighbor.Sighting{Interface: "lan0", MAC: theClient(), Source: theClient(), Addr: netip.MustParseAddr(addr), Kind: kind}
	}
	repeat := func(s neighbor.Sighting, n int) (all []neighbor.Sighting) {
		for range n {
			all = append(all, s)
		}
		return all
	}
	crowd := make([]neighbor.Sighting, 10*tellMACs)
	for i := range crowd {
		crowd[i] = sighting(neighbor.SawRequest, "192.0.2.9")
		crowd[i].Source = neighbor.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
	}
	asked := questions{{Addr: netip.MustParseAddr("192.0.2.77"), Interface: "lan0"}: {neighbor.FirstProbe, time.Now()}}
	for _, c := range []struct {
		name string
		told []neighbor.Sighting
		gap  time.Duration
		want int
	}{
		{"every reply", repeat(sighting(neighbor.SawReply, "192.0.2.99"), 50), 0, 50},
		{"every announcement of an address in the table", repeat(sighting(neighbor.SawAnnouncement, vip4), 50), 0, 50},
		{"every announcement of an address that we asked about", repeat(sighting(neighbor.SawAnnouncement, "192.0.2.77"), 50), 0, 50},
		{"other announcements, one from each source in 200 ms", repeat(sighting(neighbor.SawAnnouncement, "192.0.2.9"), 50), 20 * time.Millisecond, 5},
		{"requests, one from each source in 200 ms", repeat(sighting(neighbor.SawRequest, vip4), 50), 20 * time.Millisecond, 5},
		{"anything else, one from each source in 200 ms", repeat(sighting(neighbor.SawOther, vip4), 50), 20 * time.Millisecond, 5},
		{"a crowd, no more than so many in 200 ms", crowd, 0, tellMACs},
		{"more than the reader takes", repeat(sighting(neighbor.SawReply, vip4), 2*sightingsAhead), 0, sightingsAhead},
	} {
		t.Run(c.name, func(t *testing.T) {
			if heard := tellAll(t, wantOn("lan0", vip4), asked, c.told, c.gap); len(heard) != c.want {
				t.Errorf("%d told, want %d", len(heard), c.want)
			}
		})
	}
}

func TestWhatNobodyReadsIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	w := New(Options{Log: testLog(t), Registerer: registry})
	f := &family{counters: w.metrics.of("lan0", lb.IPv4)}
	for range sightingsAhead + 3 {
		w.tell(f, neighbor.Sighting{Kind: neighbor.SawReply}, time.Time{}, time.Now())
	}
	if n := counted(t, registry, "steelyard_wire_errors_total", "IPv4", "report"); n != 3 {
		t.Errorf("%d reports lost, want 3", n)
	}
}

func TestASightingHasTheTimeWhenTheKernelReceivedTheFrame(t *testing.T) {
	w := New(Options{Log: testLog(t)})
	f := &family{counters: w.metrics.of("lan0", lb.IPv4)}
	now := time.Now()
	for name, c := range map[string]struct{ received, want time.Time }{
		"a moment ago":      {now.Add(-300 * time.Millisecond).Round(0), now.Add(-300 * time.Millisecond)},
		"not known":         {time.Time{}, now},
		"in a time to come": {now.Add(time.Hour).Round(0), now}, // the wall clock was set
	} {
		w.tell(f, neighbor.Sighting{Kind: neighbor.SawReply}, c.received, now)
		if s := <-w.Sightings(); s.At.Sub(c.want).Abs() > time.Millisecond {
			t.Errorf("%s: at %v, want %v", name, s.At, c.want)
		}
	}
}

func TestAnAnswerCountsForASecond(t *testing.T) {
	now := time.Now()
	vip := neighbor.Target{Addr: netip.MustParseAddr(vip4), Interface: "lan0"}
	q := &questions{vip: {neighbor.AnswerProbe, now}}
	for name, c := range map[string]struct {
		q     *questions
		about neighbor.Target
		after time.Duration
		want  bool
	}{
		"in time":           {q, vip, time.Second, true},
		"late":              {q, vip, time.Second + 1, false},
		"another interface": {q, neighbor.Target{Addr: vip.Addr, Interface: "lan1"}, 0, false},
		"nothing was asked": {nil, vip, 0, false},
	} {
		if kind, ok := c.q.kind(c.about, now.Add(c.after)); ok != c.want || ok && kind != neighbor.AnswerProbe {
			t.Errorf("%s: %v, %v", name, kind, ok)
		}
	}
}
