package speaker

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// answeredBy is a decision in which node1 owns addr and a stranger answers for it too.
func answeredBy(mac lb.MAC, at time.Time) ownership.Decision {
	d := decision(owned("node1"))
	d.Strangers = []ownership.Foreign{{Addr: addr, MAC: mac, At: at}}
	return d
}

func TestAStrangerIsToldOfWithAnEventOnEachServiceOnceInTenMinutes(t *testing.T) {
	s, ev, lines := reporter(t)
	v := view("node1")
	v.Services = append(v.Services, lb.Service{Name: lb.Name{Namespace: "default", Name: "dns"}, UID: "u2"})
	s.tell(v, decision(owned("node1")))
	ev.list, *lines = nil, nil
	shared := answeredBy(strangeMAC, instant)
	shared.Addresses[0].Services = []lb.Name{web, {Namespace: "default", Name: "dns"}}
	s.tell(v, shared)
	s.tell(v, shared) // the next decision, made on the same frame
	shared.Strangers[0].At = instant.Add(conflictLife - 1)
	s.tell(v, shared) // and on a later one
	note := "a station with the hardware address 02:aa:00:00:00:01, which is no speaker, answers for 192.168.1.200 too"
	want := []string{"Warning addressInUse default/web u1: " + note, "Warning addressInUse default/dns u2: " + note}
	if diff := cmp.Diff(want, ev.list); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
	if len(*lines) != 1 || !strings.Contains((*lines)[0], `"service"="default/web, default/dns" "mac"="02:aa:00:00:00:01"`) {
		t.Errorf("log:\n%s", strings.Join(*lines, "\n"))
	}
	if n := testutil.ToFloat64(s.metrics.strangers); n != 1 {
		t.Errorf("%v strangers counted, want 1", n)
	}
	shared.Strangers[0].At = instant.Add(2*conflictLife - 1)
	if s.tell(v, shared); len(ev.list) != 4 {
		t.Errorf("%d Events when it is back after %v, want 4", len(ev.list), conflictLife)
	}
	s.tell(v, answeredBy(lb.MAC{2, 0xbb}, instant.Add(time.Minute)))
	if n := testutil.ToFloat64(s.metrics.strangers); n != 3 {
		t.Errorf("%v strangers counted after another one came, want 3", n)
	}
}

func TestAStrangerAtAnAddressThatNobodyHoldsAnyMoreIsStillLogged(t *testing.T) {
	s, ev, lines := reporter(t)
	d := answeredBy(strangeMAC, instant)
	d.Addresses = nil
	s.tell(view("node1"), d)
	if len(*lines) != 1 || len(ev.list) != 0 {
		t.Errorf("%d lines and %d Events, want 1 and 0", len(*lines), len(ev.list))
	}
}

func TestARouterWithProxyARPIsLoggedOnceInAWhile(t *testing.T) {
	s, ev, lines := reporter(t)
	hear := func(mac lb.MAC, at time.Time) {
		d := decision(owned("node9"))
		d.Proxies = []ownership.Foreign{{Addr: addr, MAC: mac, At: at}}
		s.tell(view("node1"), d)
	}
	for _, c := range []struct {
		name  string
		mac   lb.MAC
		after time.Duration
		lines int
	}{
		{"the first time", strangeMAC, 0, 1},
		{"soon after", strangeMAC, time.Second, 1},
		{"another one", lb.MAC{2, 0xbb}, time.Second, 2},
		{"just before its time", strangeMAC, proxyAgain - 1, 2},
		{"when its time is over", strangeMAC, proxyAgain, 3},
		{"soon after that", strangeMAC, proxyAgain + time.Second, 3},
	} {
		if hear(c.mac, instant.Add(c.after)); len(*lines) != c.lines {
			t.Errorf("%s: %d lines, want %d", c.name, len(*lines), c.lines)
		}
	}
	if !strings.Contains((*lines)[0], `"mac"="02:aa:00:00:00:01"`) || len(ev.list) != 0 {
		t.Errorf("log %s, Events %v", (*lines)[0], ev.list)
	}
	for i := range 2 * maxProxies {
		hear(lb.MAC{2, 0xcc, 0, 0, byte(i >> 8), byte(i)}, instant)
		if len(s.proxies) > maxProxies {
			t.Fatalf("%d routers are remembered", len(s.proxies))
		}
	}
}

func TestConflictsAreCountedByWhoKeepsTheAddress(t *testing.T) {
	second := netip.MustParseAddr("192.168.1.201")
	taken := func(to string, cause lb.Cause) ownership.Decision {
		a := owned(to)
		a.From, a.Cause = "node1", cause
		return decision(a)
	}
	ours := decision(owned("node1"))
	defending := func(addrs ...netip.Addr) ownership.Decision {
		d := ours
		d.Defend = addrs
		return d
	}
	stranger := answeredBy(strangeMAC, instant)
	stranger.Defend = []netip.Addr{addr, second}
	others := decision(owned("node2"))
	for _, c := range []struct {
		name        string
		was, now    ownership.Decision
		this, other float64
	}{
		{"nothing happens", ours, ours, 0, 0},
		{"two are announced once more", ours, defending(addr, second), 2, 0},
		{"one of them because of a stranger", ours, stranger, 1, 0},
		{"taken because we were gone", ours, taken("node2", lb.CauseDeath), 0, 1},
		{"taken because we did not come back", ours, taken("node2", lb.CauseHold), 0, 1},
		{"handed over", ours, taken("node2", lb.CauseRequested), 0, 0},
		{"taken from another", others, taken("node3", lb.CauseDeath), 0, 0},
		{"given up", ours, decision(unowned(ownership.NoEndpoint, "no pod")), 0, 0},
	} {
		s, _, _ := reporter(t)
		s.tell(view("node1", "node2"), c.was)
		s.tell(view("node1", "node2"), c.now)
		this, other := testutil.ToFloat64(s.metrics.conflicts.WithLabelValues("this")), testutil.ToFloat64(s.metrics.conflicts.WithLabelValues("other"))
		if this != c.this || other != c.other {
			t.Errorf("%s: kept by this %v, by the other %v, want %v and %v", c.name, this, other, c.this, c.other)
		}
	}
}
