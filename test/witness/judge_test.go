package witness

import (
	"errors"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// saw is a sighting of vip4 in which Ethernet source and payload agree.
func saw(ms int, k Kind, by MAC) Sighting {
	return Sighting{Time: at(ms), Addr: vip4, Kind: k, Src: by, Payload: by}
}

func TestMACsCountsSourceAndPayload(t *testing.T) {
	forged := saw(20, Reply, node1)
	forged.Src = node2
	noOption := Sighting{Time: at(40), Addr: vip4, Kind: NASolicited, Src: client}
	other := saw(10, Reply, client)
	other.Addr = vip6
	r := Record{saw(0, Reply, node1), other, forged, saw(30, Reply, node1), noOption}
	for _, c := range []struct {
		name     string
		from, to int
		want     []MAC
	}{
		{"one claimant", 0, 20, []MAC{node1}},
		{"a payload in somebody else's frame is two claimants", 20, 30, []MAC{node1, node2}},
		{"an advertisement without option is its sender's", 40, 50, []MAC{client}},
		{"the end is not included", 30, 40, []MAC{node1}},
		{"nothing heard", 50, 60, nil},
	} {
		if got := r.MACs(vip4, at(c.from), at(c.to)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := r.Mismatches(); len(got) != 1 || got[0] != forged {
		t.Errorf("mismatches = %v, want the forged frame only", got)
	}
}

func TestFirstAnnouncementIgnoresRepliesAndForgeries(t *testing.T) {
	forged := saw(5, AnnounceRequest, node2)
	forged.Payload = node1
	r := Record{saw(0, AnnounceRequest, node1), forged, saw(8, Reply, node2), saw(10, AnnounceReply, node2), saw(11, AnnounceRequest, node2)}
	if s, ok := r.FirstAnnouncementBy(vip4, node2, at(0)); !ok || !s.Time.Equal(at(10)) {
		t.Errorf("first by node2 = %v, %v; want the one at 10 ms", s, ok)
	}
	if s, ok := r.FirstAnnouncementByOther(vip4, node1, at(1)); !ok || !s.Time.Equal(at(10)) {
		t.Errorf("first by another than node1 = %v, %v; want the one at 10 ms", s, ok)
	}
	if s, ok := r.FirstAnnouncementBy(vip4, node1, at(1)); ok {
		t.Errorf("first by node1 after 1 ms = %v, want none", s)
	}
}

func TestOnlyAcceptsExactlyOneAnswerer(t *testing.T) {
	for _, c := range []struct {
		name string
		a    Answers
		ok   bool
	}{
		{"one", Answers{Broadcast: []MAC{node1}, Unicast: map[MAC][]MAC{node1: {node1}, node2: nil}}, true},
		{"nobody", Answers{Unicast: map[MAC][]MAC{node1: nil, node2: nil}}, false},
		{"two by broadcast", Answers{Broadcast: []MAC{node1, node2}, Unicast: map[MAC][]MAC{node1: {node1}}}, false},
		{"the owner is silent when asked alone", Answers{Broadcast: []MAC{node1}, Unicast: map[MAC][]MAC{node1: nil}}, false},
		{"the owner, asked alone, is answered for by another", Answers{Broadcast: []MAC{node1}, Unicast: map[MAC][]MAC{node1: {node1, node2}}}, false},
		{"another answers when asked alone", Answers{Broadcast: []MAC{node1}, Unicast: map[MAC][]MAC{node1: {node1}, node2: {node2}}}, false},
	} {
		owner, err := c.a.Only()
		if (err == nil) != c.ok || c.ok && owner != node1 {
			t.Errorf("%s: owner %s, error %v; want ok = %v", c.name, owner, err, c.ok)
		}
	}
	if (Answers{Broadcast: []MAC{node1}}).Silent() || (Answers{Unicast: map[MAC][]MAC{node1: {node1}}}).Silent() {
		t.Error("an answer counts as silence")
	}
	if !(Answers{Unicast: map[MAC][]MAC{node1: nil}}).Silent() {
		t.Error("no answer does not count as silence")
	}
}

func TestAttemptsAreJudgedByTheTimeOfTheirAnswer(t *testing.T) {
	broken := errors.New("no answer")
	try := func(from, took int, err error) Attempt {
		return Attempt{Start: at(from), Took: time.Duration(took) * time.Millisecond, Err: err}
	}
	as := Attempts{try(0, 10, nil), try(20, 1000, broken), try(40, 500, nil), try(60, 100, nil), try(700, 10, nil)}
	if got := as.SuccessRatio(); got != 0.8 {
		t.Errorf("ratio = %v, want 0.8", got)
	}
	if got := as.Between(at(20), at(40)).SuccessRatio(); got != 0 {
		t.Errorf("ratio of the failed one = %v, want 0", got)
	}
	if got := (Attempts)(nil).SuccessRatio(); got != 0 {
		t.Errorf("ratio of nothing = %v, want 0", got)
	}
	if a, ok := as.FirstSuccess(at(20)); !ok || !a.End().Equal(at(160)) {
		t.Errorf("first success after 20 ms = %+v, %v; want the one that ended at 160 ms", a, ok)
	}
	if a, ok := as.FirstSuccess(at(701)); ok {
		t.Errorf("first success after 701 ms = %+v, want none", a)
	}
}

func TestFieldReadsTheServersAnswer(t *testing.T) {
	a := Attempt{Body: "pod=web-1 node=node2 client=192.168.1.100:4242\n"}
	if got := a.Field("node"); got != "node2" {
		t.Errorf("node = %q, want node2", got)
	}
	if got := a.Field("nod"); got != "" {
		t.Errorf("nod = %q, want nothing", got)
	}
}
