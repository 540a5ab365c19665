package nemesis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/test/witness"
)

func TestARowFailsWhenALimitIsPassed(t *testing.T) {
	strict := moving(1, 1)
	strict.failed, strict.broken, strict.stoodIn, strict.meanwhile = 2, 0, 3, 2*time.Second
	whole := row{want: strict, times: 1, fewest: 1, moved: 1, silence4: time.Second, silence6: time.Second, doubt: time.Second, meanwhile: 2 * time.Second,
		asked: 100, most: 20, connections: 10, failed: 2, streams: 5, stoodIn: 8}
	for _, c := range []struct {
		name   string
		change func(*row)
		says   string // empty: passes
	}{
		{"all at their limits", func(*row) {}, ""},
		{"IPv4 silent", func(r *row) { r.silence4++ }, "IPv4: nobody answered"},
		{"IPv6 silent", func(r *row) { r.silence6++ }, "IPv6: nobody answered"},
		{"two owners after the heal", func(r *row) { r.doubt++ }, "after the heal, limit 1s"},
		{"two owners meanwhile", func(r *row) { r.meanwhile++ }, "two nodes answered for 2s, limit 2s"},
		{"many short silences", func(r *row) { r.most = 21 }, "21 questions about one address stayed without an answer, limit 20"},
		{"somebody stood in too often", func(r *row) { r.stoodIn = 9 }, "in 9 rounds of 100, limit 3 and one in 20"},
		{"an announcement in another's name", func(r *row) { r.forged = 1 }, "1 announcements named another"},
		{"nobody asked", func(r *row) { r.asked = 0 }, "nothing was measured"},
		{"nobody connected", func(r *row) { r.connections = 0 }, "nothing was measured"},
		{"no long-lived connection", func(r *row) { r.streams = 0 }, "nothing was measured"},
		{"about no address", func(r *row) { r.fewest, r.moved = never, 0 }, "nothing was measured"},
		{"one address moved twice", func(r *row) { r.moved = 2 }, "moved 1 to 2 times, want 1 to 1"},
		{"one address did not move", func(r *row) { r.fewest = 0 }, "moved 0 to 1 times, want 1 to 1"},
		{"another's address moved", func(r *row) { r.strayed = 1 }, "not about moved 1 times"},
		{"a connection failed", func(r *row) { r.failed = 3 }, "3 of 10 new connections failed, limit 2"},
		{"a long-lived one broke", func(r *row) { r.broken = 1 }, "1 of 5 long-lived connections broke, limit 0"},
		{"half announced late", func(r *row) { r.announced = slices.Repeat([]time.Duration{medianAnnounced + 1}, enough) }, "the median"},
		{"one announced too late", func(r *row) { r.announced = []time.Duration{1, 1, worstAnnounced + 1} }, "came after"},
		{"not limited", func(r *row) {
			r.failed, r.broken, r.stoodIn, r.want.failed, r.want.broken, r.want.stoodIn = 9, 9, 9, unlimited, unlimited, unlimited
		}, ""},
		{"not settled", func(r *row) { r.unsettled = []string{"192.168.1.200: two"} }, "a second after the heal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := whole
			c.change(&r)
			got := strings.Join(r.passed(), "\n")
			if (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
			if failed := strings.Contains(table{r}.String(), "FAILED"); failed != (c.says != "") {
				t.Errorf("the table says failed = %v:\n%s", failed, table{r})
			}
		})
	}
}

func TestARowKeepsTheWorstOfItsAddressesAndRepetitions(t *testing.T) {
	one := row{times: 1, fewest: never}
	one.add(witness.Verdict{Silence: 3, Owners: []string{"a", "b"}, Asked: 40, Unanswered: 7, Unheard: 3, Pace: 8}, false, true, 1)
	one.add(witness.Verdict{Silence: 4, Owners: []string{"a"}, Asked: 5, StoodIn: 1, Doubt: 3}, true, true, 0)
	one.add(witness.Verdict{Silence: 1, Owners: []string{"c", "b", "c"}, Asked: 5}, false, false, 2)
	one.connections, one.failed, one.streams, one.broken, one.forged = 20, 2, 4, 3, 2
	one.announced, one.notes, one.unsettled = []time.Duration{6}, []string{"one"}, []string{"two"}
	total := row{fewest: never}
	total.merge(row{times: 1, fewest: 1, moved: 1, silence4: 9, doubt: 1, meanwhile: 2, most: 1, failed: 1, connections: 10, streams: 1, broken: 1, forged: 1,
		unheard: 1, pace: 9, announced: []time.Duration{5}, notes: []string{"first"}})
	total.merge(one)
	want := row{times: 2, fewest: 0, moved: 1, strayed: 2, silence4: 9, silence6: 4, doubt: 2, meanwhile: 3, asked: 50, unanswered: 7, most: 5, unheard: 4, stoodIn: 1,
		connections: 30, failed: 3, streams: 5, broken: 4, forged: 3, pace: 9, announced: []time.Duration{5, 6}, notes: []string{"first", "one"}, unsettled: []string{"two"}}
	if diff := cmp.Diff(want, total, cmp.AllowUnexported(row{}, limits{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhoAnnouncesMustOwnAndNameItself(t *testing.T) {
	a, b, stranger, everybody := witness.MAC{2, 1}, witness.MAC{2, 2}, witness.MAC{2, 9}, witness.MAC{0x33, 0x33}
	name := func(m witness.MAC) string { return map[witness.MAC]string{a: "a", b: "b"}[m] }
	saw := func(kind witness.Kind, src, payload, dst witness.MAC) witness.Sighting {
		return witness.Sighting{Kind: kind, Src: src, Payload: payload, Dst: dst}
	}
	for _, c := range []struct {
		name   string
		heard  witness.Sighting
		others int
		forged int
	}{
		{"the owner", saw(witness.AnnounceRequest, a, a, witness.Broadcast), 0, 0},
		{"another", saw(witness.AnnounceReply, b, b, witness.Broadcast), 1, 0},
		{"another, IPv6", saw(witness.NAUnsolicited, b, b, everybody), 1, 0},
		{"another in the owner's name", saw(witness.NAUnsolicited, b, a, everybody), 1, 1},
		{"the owner in another's name", saw(witness.AnnounceRequest, a, b, witness.Broadcast), 0, 1},
		{"a stranger", saw(witness.AnnounceRequest, stranger, stranger, witness.Broadcast), 0, 0},
		{"another's answer in the owner's name, which stands in", saw(witness.Reply, b, a, witness.MAC{2, 3}), 0, 0},
		{"what is told to one station only", saw(witness.AnnounceRequest, b, a, witness.MAC{2, 3}), 0, 0},
	} {
		record := witness.Record{c.heard, c.heard}
		if got := otherAnnouncers(record, "a", name); len(got) != c.others {
			t.Errorf("%s: other announcers %v, want %d", c.name, got, c.others)
		}
		if got := forgeries(record); len(got) != 2*c.forged {
			t.Errorf("%s: forgeries %v, want %d", c.name, got, 2*c.forged)
		}
	}
}

func TestEveryScenarioIsNamedOnceAndSomeAreShort(t *testing.T) {
	seen, short := map[string]bool{}, 0
	for _, c := range scenarios() {
		if seen[c.name] {
			t.Errorf("%q is there twice", c.name)
		}
		if seen[c.name] = true; c.short {
			short++
		}
	}
	if short == 0 {
		t.Error("`go test` would run nothing")
	}
}
