package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// events keeps what would have been written.
type events struct{ list []string }

func (e *events) Eventf(regarding, _ runtime.Object, kind, reason, _, note string, args ...any) {
	svc := regarding.(*corev1.Service)
	e.list = append(e.list, fmt.Sprintf("%s %s %s/%s %s: ", kind, reason, svc.Namespace, svc.Name, svc.UID)+fmt.Sprintf(note, args...))
}

var (
	web  = lb.Name{Namespace: "default", Name: "web"}
	addr = netip.MustParseAddr("192.168.1.200")
)

// owned is a decision about one address with these candidates, the first of whom owns it.
func owned(candidates ...string) ownership.Address {
	a := ownership.Address{Addr: addr, Services: []lb.Name{web}, Owner: candidates[0], Cause: lb.CauseFree}
	for _, n := range candidates {
		a.Candidates = append(a.Candidates, ownership.Candidate{Node: n, Interfaces: []string{"eth0"}})
	}
	return a
}

func unowned(reason lb.Reason, message string) ownership.Address {
	return ownership.Address{Addr: addr, Services: []lb.Name{web}, Problem: &lb.Problem{Reason: reason, Message: message}}
}

func TestChangesBetweenTwoDecisions(t *testing.T) {
	none := ownership.Address{}
	claimed := func(by, from string, cause lb.Cause) ownership.Address {
		a := owned(by, "node1", "node2")
		a.From, a.Cause = from, cause
		return a
	}
	between := owned("node1")
	between.Owner = ""
	for _, c := range []struct {
		name     string
		was, now ownership.Address
		want     []string // from, to, cause or problem
	}{
		{"a new address", none, claimed("node1", "", lb.CauseFree), []string{"", "node1", "free"}},
		{"one that moved while we were away", none, claimed("node1", "node2", lb.CauseDeath), []string{"node2", "node1", "death"}},
		{"nothing changed", owned("node1"), owned("node1", "node2"), nil},
		{"a planned move", owned("node1"), claimed("node2", "node1", lb.CauseIneligible), []string{"node1", "node2", "ineligible"}},
		{"the moment between two owners", owned("node1"), between, nil},
		{"the last candidate is gone", owned("node1"), unowned(ownership.NoEndpoint, "no pod"), []string{"node1", "", "no pod"}},
		{"nobody from the start", none, unowned(ownership.NoPool, "no pool"), []string{"", "", "no pool"}},
		{"nobody for another reason", unowned(ownership.NoPool, "no pool"), unowned(ownership.NoEndpoint, "no pod"), []string{"", "", "no pod"}},
		{"nobody for the same reason in other words", unowned(ownership.NoSpeaker, "node1"), unowned(ownership.NoSpeaker, "node1, node2"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := map[netip.Addr]ownership.Address{}
			if c.was.Addr.IsValid() {
				before[addr] = c.was
			}
			var got []string
			for _, ch := range changes(before, ownership.Decision{Addresses: []ownership.Address{c.now}}) {
				why := ch.cause.String()
				if ch.problem != nil {
					why = ch.problem.Message
				}
				got = append(got, ch.from, ch.to, why)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	gone := changes(map[netip.Addr]ownership.Address{addr: owned("node1")}, ownership.Decision{})
	if len(gone) != 1 || gone[0].from != "node1" || gone[0].to != "" {
		t.Errorf("an address that nobody holds any more: %+v", gone)
	}
}

// reporter is a speaker on node1 that only reports.
func reporter(t *testing.T) (*Speaker, *events, *[]string) {
	t.Helper()
	s := newSpeaker(t, fakeAPI(t).Build())
	var lines []string
	s.Log = funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	return s, s.events.(*events), &lines
}

func view(speakers ...string) ownership.View {
	v := ownership.View{Self: "node1", Services: []lb.Service{{Name: web, UID: "u1"}}}
	for _, n := range speakers {
		v.Speakers = append(v.Speakers, lb.Speaker{Node: n})
		if n != v.Self {
			v.Peers = append(v.Peers, lb.Peer{Node: n, Gossip: lb.Alive})
		}
	}
	return v
}

func decision(list ...ownership.Address) ownership.Decision {
	return ownership.Decision{Addresses: list}
}

func TestOwnershipIsToldOnce(t *testing.T) {
	s, ev, lines := reporter(t)
	for range 3 {
		s.tell(view("node1", "node2"), decision(owned("node1", "node2")))
	}
	want := []string{`Normal nodeAssigned default/web u1: node "node1" answers for 192.168.1.200 (free)`}
	if diff := cmp.Diff(want, ev.list); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(*lines) != 1 || !strings.Contains((*lines)[0], `"cause"="free"`) {
		t.Errorf("log:\n%s", strings.Join(*lines, "\n"))
	}
	s.tell(view("node1", "node2"), decision(owned("node2", "node1")))
	if len(ev.list) != 1 || len(*lines) != 1 {
		t.Errorf("after a move away: %d events and %d lines, want 1 and 1: the new owner tells", len(ev.list), len(*lines))
	}
	s.tell(view("node1", "node2"), decision(owned("node1", "node2")))
	if len(ev.list) != 2 {
		t.Errorf("%d events after the address came back, want 2", len(ev.list))
	}
	if got := testutil.ToFloat64(s.metrics.moves.WithLabelValues("free")); got != 2 {
		t.Errorf("moves = %v, want 2", got)
	}
}

func TestOthersMovesAreNotOurNews(t *testing.T) {
	s, ev, lines := reporter(t)
	s.tell(view("node1", "node2", "node3"), decision(owned("node2", "node3")))
	s.tell(view("node1", "node2", "node3"), decision(owned("node3")))
	if len(ev.list) != 0 || len(*lines) != 0 {
		t.Errorf("events %v, log %v, want neither", ev.list, *lines)
	}
}

func TestAMissingInterfaceIsToldByOneSpeaker(t *testing.T) {
	failed := unowned(ownership.InterfaceMissing, "no eth9")
	want := []string{"Warning announceFailed default/web u1: 192.168.1.200 is not announced: no eth9"}
	s, ev, _ := reporter(t)
	s.tell(view("node1", "node2"), decision(failed))
	s.tell(view("node1", "node2"), decision(failed))
	if diff := cmp.Diff(want, ev.list); diff != "" {
		t.Errorf("the first speaker (-want +got):\n%s", diff)
	}
	s, ev, lines := reporter(t)
	s.tell(view("node0", "node1"), decision(failed))
	if len(ev.list) != 0 || len(*lines) != 0 {
		t.Errorf("the second speaker: events %v, log %v, want neither", ev.list, *lines)
	}
	s, ev, _ = reporter(t)
	s.tell(view("node1"), decision(unowned(ownership.NoEndpoint, "no pod")))
	if len(ev.list) != 0 {
		t.Errorf("a Service without pods: events %v, want none: that is no fault of an announcement", ev.list)
	}
}

func TestAServiceThatMayNotShareIsLoggedOnce(t *testing.T) {
	s, _, lines := reporter(t)
	a := owned("node1")
	a.Refused = []lb.Name{{Namespace: "default", Name: "late"}}
	for range 2 {
		s.tell(view("node1"), decision(a))
	}
	said := slices.DeleteFunc(slices.Clone(*lines), func(l string) bool { return !strings.Contains(l, "may not share") })
	if len(said) != 1 || !strings.Contains(said[0], "default/late") {
		t.Errorf("log:\n%s", strings.Join(*lines, "\n"))
	}
}

func TestAMistakeInAnAdvertisementIsLoggedOnceByOneSpeaker(t *testing.T) {
	wrong := lb.Advertisement{Name: "ad", Problems: []lb.Problem{{Reason: "InvalidSelector", Message: "nodeSelectors[0]: no such operator"}}}
	for speakers, want := range map[string]int{"node1 node2": 1, "node0 node1": 0} {
		s, _, lines := reporter(t)
		v := view(strings.Fields(speakers)...)
		v.Advertisements = []lb.Advertisement{wrong}
		for range 2 {
			s.tell(v, decision(owned("node9")))
		}
		said := slices.DeleteFunc(slices.Clone(*lines), func(l string) bool { return !strings.Contains(l, "no such operator") })
		if len(said) != want {
			t.Errorf("node1 among %s: logged %d times, want %d:\n%s", speakers, len(said), want, strings.Join(*lines, "\n"))
		}
	}
}

func TestATakeoverTellsHowLongTheOwnerHadBeenSilent(t *testing.T) {
	s, ev, _ := reporter(t)
	v := view("node1", "node2")
	v.Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s.tell(v, decision(owned("node2", "node1")))
	v.Peers[0].Gossip, v.Peers[0].Silent = lb.Unknown, v.Now.Add(-180*time.Millisecond)
	taken := owned("node1")
	taken.From, taken.Cause = "node2", lb.CauseDeath
	s.tell(v, decision(taken))
	want := []string{`Normal nodeAssigned default/web u1: node "node1" answers for 192.168.1.200, before it was node "node2" (death, 0.18 s after its last sign of life)`}
	if diff := cmp.Diff(want, ev.list); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
