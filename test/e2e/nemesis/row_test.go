package nemesis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/test/witness"
)

func TestARowFailsWhenALimitIsPassed(t *testing.T) {
	strict := moving(1, 1)
	strict.failed, strict.broken = 2, 0
	whole := row{want: strict, times: 1, fewest: 1, moved: 1, silence4: time.Second, silence6: time.Second, doubt: time.Second, failed: 2}
	for _, c := range []struct {
		name   string
		change func(*row)
		says   string // empty: passes
	}{
		{"all at their limits", func(*row) {}, ""},
		{"IPv4 silent", func(r *row) { r.silence4++ }, "IPv4: nobody answered"},
		{"IPv6 silent", func(r *row) { r.silence6++ }, "IPv6: nobody answered"},
		{"two owners", func(r *row) { r.doubt++ }, "two nodes answered"},
		{"one address moved twice", func(r *row) { r.moved = 2 }, "moved 1 to 2 times, want 1 to 1"},
		{"one address did not move", func(r *row) { r.fewest = 0 }, "moved 0 to 1 times, want 1 to 1"},
		{"another's address moved", func(r *row) { r.strayed = 1 }, "not about moved 1 times"},
		{"a connection failed", func(r *row) { r.failed = 3 }, "3 of 0 new connections failed, limit 2"},
		{"a long-lived one broke", func(r *row) { r.broken = 1 }, "1 of 0 long-lived connections broke, limit 0"},
		{"half announced late", func(r *row) { r.announced = slices.Repeat([]time.Duration{medianAnnounced + 1}, enough) }, "the median"},
		{"one announced too late", func(r *row) { r.announced = []time.Duration{1, 1, worstAnnounced + 1} }, "came after"},
		{"not limited", func(r *row) { r.failed, r.broken, r.want.failed, r.want.broken = 9, 9, unlimited, unlimited }, ""},
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
	one.add(witness.Verdict{Silence: 3, Owners: []string{"a", "b"}, Asked: 5, Unanswered: 2}, false, true, 1)
	one.add(witness.Verdict{Silence: 4, Owners: []string{"a"}, Asked: 5, StoodIn: 1}, true, true, 0)
	one.add(witness.Verdict{Silence: 1, Owners: []string{"c", "b", "c"}, Asked: 5}, false, false, 2)
	total := row{fewest: never}
	total.merge(row{times: 1, fewest: 1, moved: 1, silence4: 9, doubt: 1, failed: 1, connections: 10})
	total.merge(one)
	got := [...]int{total.times, int(total.silence4), int(total.silence6), int(total.doubt), total.fewest, total.moved, total.strayed, total.asked, total.unanswered, total.stoodIn, total.failed}
	if want := [...]int{2, 9, 4, 2, 0, 1, 2, 15, 2, 1, 1}; got != want {
		t.Errorf("the row is %v, want %v", got, want)
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
