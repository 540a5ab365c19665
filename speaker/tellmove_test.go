package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// claimed is addr as node owns it since a time.
func claimed(node, from string, cause lb.Cause, since time.Time) ownership.Address {
	a := owned(node, "node1", "node2")
	a.From, a.Cause, a.Since = from, cause, since
	return a
}

// movesCounted returns how many moves were counted by cause, without those of which there were none.
func movesCounted(t *testing.T, s *Speaker) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for c := lb.CauseFree; c <= lb.CauseShutdown; c++ {
		if n := testutil.ToFloat64(s.metrics.moves.WithLabelValues(c.String())); n > 0 {
			out[c.String()] = n
		}
	}
	return out
}

func TestARestartIsNoMove(t *testing.T) {
	s, ev, lines := reporter(t)
	v := view("node1", "node2")
	v.Now = instant
	s.tell(v, decision(claimed("node1", "", lb.CauseHold, instant.Add(-time.Hour))))
	if len(ev.list) != 0 || len(*lines) != 0 || len(movesCounted(t, s)) != 0 {
		t.Errorf("an address that waited for us: Events %v, log %v, moves %v, want none", ev.list, *lines, movesCounted(t, s))
	}
	s.tell(v, decision(claimed("node2", "node1", lb.CauseRequested, instant)))
	s.tell(v, decision(claimed("node1", "node2", lb.CauseRequested, instant)))
	if len(ev.list) != 1 || len(*lines) != 1 {
		t.Errorf("and then two moves, one to us: Events %v, log %v", ev.list, *lines)
	}
	s, ev, _ = reporter(t)
	s.tell(v, decision(claimed("node1", "node2", lb.CauseDeath, instant)))
	if diff := cmp.Diff(map[string]float64{"death": 1}, movesCounted(t, s)); diff != "" || len(ev.list) != 1 {
		t.Errorf("taken by the first decision: Events %v, moves (-want +got):\n%s", ev.list, diff)
	}
}

func TestEachKindOfMoveIsOneLineOneEventAndOneCount(t *testing.T) {
	for cause := lb.CauseFree; cause <= lb.CauseShutdown; cause++ {
		s, ev, lines := reporter(t)
		from := "node2"
		if cause == lb.CauseFree {
			from = ""
		} else {
			s.tell(view("node1", "node2"), decision(owned("node2", "node1")))
		}
		for range 2 {
			s.tell(view("node1", "node2"), decision(claimed("node1", from, cause, instant)))
		}
		note := `Normal nodeAssigned default/web u1: node "node1" answers for 192.168.1.200`
		if from != "" {
			note += `, before it was node "node2"`
		}
		if diff := cmp.Diff([]string{note + " (" + cause.String() + ")"}, ev.list); diff != "" {
			t.Errorf("%s: Events (-want +got):\n%s", cause, diff)
		}
		line := `"address has an owner" "address"="192.168.1.200" "service"="default/web" "from"="` + from + `" "owner"="node1" "cause"="` + cause.String() + `"`
		if len(*lines) != 1 || !strings.HasSuffix((*lines)[0], line) {
			t.Errorf("%s: log %v, want one line that ends with %s", cause, *lines, line)
		}
		if diff := cmp.Diff(map[string]float64{cause.String(): 1}, movesCounted(t, s)); diff != "" {
			t.Errorf("%s: moves (-want +got):\n%s", cause, diff)
		}
		if got := s.status.want.ours["default.web"].Addresses; len(got) != 1 || got[0].Cause != cause.String() || got[0].From != from || got[0].Since == nil || !got[0].Since.Equal(new(metav1.NewTime(instant))) {
			t.Errorf("%s: ServiceL2Status is to say %+v", cause, got)
		}
	}
}

func TestAMomentWithoutAnOwnerIsNoMoveOfItsOwn(t *testing.T) {
	between := unowned("", "")
	between.Problem = nil
	s, ev, _ := reporter(t)
	for _, a := range []ownership.Address{owned("node2"), between, between, claimed("node1", "node2", lb.CauseDeath, instant)} {
		s.tell(view("node1", "node2"), decision(a))
	}
	want := []string{`Normal nodeAssigned default/web u1: node "node1" answers for 192.168.1.200, before it was node "node2" (death)`}
	if diff := cmp.Diff(want, ev.list); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
	s, ev, _ = reporter(t)
	for _, a := range []ownership.Address{owned("node1"), between, owned("node1")} {
		s.tell(view("node1"), decision(a))
	}
	if len(ev.list) != 1 {
		t.Errorf("nobody else had it meanwhile: Events %v, want one", ev.list)
	}
}

func TestAnAddressThatHadNoOwnerForAReasonIsNewsWhenItHasOneAgain(t *testing.T) {
	s, ev, lines := reporter(t)
	for _, a := range []ownership.Address{owned("node1"), unowned(ownership.NoEndpoint, "no pod"), owned("node1")} {
		s.tell(view("node1"), decision(a))
	}
	if len(ev.list) != 2 || len(*lines) != 3 {
		t.Errorf("Events %v, log %v, want two and three lines", ev.list, *lines)
	}
}

func TestTheLossOfAnOwnerIsLoggedByItsLastOneAndByTheSpokesman(t *testing.T) {
	lost := decision(unowned(ownership.NoEndpoint, "no pod"))
	for _, c := range []struct {
		name, before string
		speakers     []string
		lines        int
	}{
		{"the last owner, who is no spokesman", "node1", []string{"node0", "node1"}, 2}, // and when it took it
		{"the spokesman", "node2", []string{"node1", "node2"}, 1},
		{"another", "node2", []string{"node0", "node1", "node2"}, 0},
	} {
		s, _, lines := reporter(t)
		s.tell(view(c.speakers...), decision(owned(c.before)))
		s.tell(view(c.speakers...), lost)
		if len(*lines) != c.lines {
			t.Errorf("%s: log %v, want %d lines", c.name, *lines, c.lines)
		}
	}
	s, _, lines := reporter(t)
	s.tell(view("node1"), decision(owned("node1")))
	s.tell(view("node1"), decision())
	if last := (*lines)[len(*lines)-1]; !strings.Contains(last, `"from"="node1" "reason"="no Service holds the address any more"`) {
		t.Errorf("the Service is gone: %s", last)
	}
}

func TestADeadSpeakerIsNoSpokesman(t *testing.T) {
	s, ev, _ := reporter(t)
	v := view("node0", "node1")
	v.Peers[0].Gossip = lb.Dead
	s.tell(v, decision(unowned(ownership.InterfaceMissing, "no eth9")))
	if len(ev.list) != 1 {
		t.Errorf("Events %v, want that of the first of the living", ev.list)
	}
}

func TestTheGapIsMeasuredWhenTheOwnerBeforeFellSilent(t *testing.T) {
	for _, c := range []struct {
		name    string
		cause   lb.Cause
		from    string
		silent  time.Duration // before now; 0 is never
		samples uint64
		sum     float64
	}{
		{"a death", lb.CauseDeath, "node2", 400 * time.Millisecond, 1, 0.4},
		{"a hold that ended", lb.CauseHold, "node2", 10 * time.Second, 1, 10},
		{"a planned move from one who was silent for a moment", lb.CauseRequested, "node2", 400 * time.Millisecond, 0, 0},
		{"the owner was heard all the time", lb.CauseDeath, "node2", 0, 0, 0},
		{"the owner is nobody we know", lb.CauseDeath, "node9", 400 * time.Millisecond, 0, 0},
	} {
		s, _, _ := reporter(t)
		v := view("node1", "node2")
		v.Now = instant
		if c.silent > 0 {
			v.Peers[0].Silent = instant.Add(-c.silent)
		}
		s.tell(v, decision(claimed("node1", c.from, c.cause, instant)))
		s.tell(v, decision(claimed("node2", "node1", c.cause, instant))) // a gap is for the new owner to measure
		var m dto.Metric
		if err := s.metrics.gap.(prometheus.Metric).Write(&m); err != nil {
			t.Fatal(err)
		}
		if h := m.GetHistogram(); h.GetSampleCount() != c.samples || h.GetSampleSum() != c.sum {
			t.Errorf("%s: %d samples, together %v s, want %d and %v", c.name, h.GetSampleCount(), h.GetSampleSum(), c.samples, c.sum)
		}
	}
}

func TestRefusedSharersAreLoggedByTheOwnerOrTheSpokesmanWhenTheyChange(t *testing.T) {
	late, later := lb.Name{Namespace: "default", Name: "late"}, lb.Name{Namespace: "default", Name: "later"}
	refusing := func(owner string, names ...lb.Name) ownership.Decision {
		a := owned(owner)
		a.Refused = names
		return decision(a)
	}
	for _, c := range []struct {
		name, owner string
		speakers    []string
		want        int
	}{
		{"the owner", "node1", []string{"node0", "node1"}, 2},
		{"the spokesman", "node2", []string{"node1", "node2"}, 2},
		{"another", "node2", []string{"node0", "node1", "node2"}, 0},
	} {
		s, _, lines := reporter(t)
		for _, d := range []ownership.Decision{refusing(c.owner, late), refusing(c.owner, late), refusing(c.owner, late, later), refusing(c.owner)} {
			s.tell(view(c.speakers...), d)
		}
		if n := strings.Count(strings.Join(*lines, "\n"), "has an owner"); (n == 1) != (c.owner == "node1") {
			t.Errorf("%s: told %d times who has the address", c.name, n)
		}
		if n := strings.Count(strings.Join(*lines, "\n"), "may not share"); n != c.want {
			t.Errorf("%s: told %d times, want %d:\n%s", c.name, n, c.want, strings.Join(*lines, "\n"))
		}
	}
}

func TestAMistakeThatComesBackIsLoggedAgain(t *testing.T) {
	s, _, lines := reporter(t)
	v := view("node1")
	for _, wrong := range []bool{true, false, true} {
		v.Advertisements = []lb.Advertisement{{Name: "ad"}}
		if wrong {
			v.Advertisements[0].Problems = []lb.Problem{{Message: "no such operator"}}
		}
		s.tell(v, decision())
	}
	if len(*lines) != 2 {
		t.Errorf("log %v, want two lines", *lines)
	}
}

func TestEveryDecisionIsShown(t *testing.T) {
	s, _, _ := reporter(t)
	s.tell(view("node1"), decision(owned("node1")))
	if n := testutil.CollectAndCount(s.metrics.decision, "metallb_speaker_announced"); n != 1 {
		t.Errorf("%d addresses are shown as announced, want 1", n)
	}
}

func TestWhatIsGoneIsToldInTheOrderOfAddressesAndOnlyWhereThereWasAnOwner(t *testing.T) {
	s, _, lines := reporter(t)
	var before []ownership.Address
	for i := range 20 {
		a := owned("node1")
		if a.Addr = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}); i == 7 {
			a.Owner, a.Problem = "", &lb.Problem{Reason: ownership.NoEndpoint, Message: "no pod"}
		}
		before = append(before, a)
	}
	s.tell(view("node1"), decision(before...))
	*lines = nil
	s.tell(view("node1"), decision(before[:2]...))
	var got []string
	for _, line := range *lines {
		_, after, _ := strings.Cut(line, `"address"="192.0.2.`)
		last, _, _ := strings.Cut(after, `"`)
		got = append(got, last)
	}
	if want := strings.Fields("2 3 4 5 6 8 9 10 11 12 13 14 15 16 17 18 19"); !slices.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
}
