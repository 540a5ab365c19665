package witness

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// patrolled lays out a patrol of vip4 with a round each 100 ms. answers[i] says who answers round i: the first word by
// broadcast, the others when asked alone; "1/2" is node2 answering with the address of node1, "-" is nobody.
func patrolled(answers ...[]string) (Record, []Round) {
	macs := map[string][2]MAC{"1": {node1, node1}, "2": {node2, node2}, "1/2": {node2, node1}, "x": {client, client}}
	var r Record
	var rounds []Round
	for i, who := range answers {
		rounds = append(rounds, Round{Time: at(i * 100), Addr: vip4, seq: i})
		for kind, w := range who {
			if m, ok := macs[w]; ok {
				r = append(r, Sighting{Time: at(i*100 + 1), Addr: vip4, Kind: Reply, Src: m[0], Payload: m[1], Dst: stationMAC(kind, i)})
			}
		}
	}
	return r, rounds
}

func names(m MAC) string {
	switch m {
	case node1:
		return "n1"
	case node2:
		return "n2"
	}
	return ""
}

func TestJudgeSaysWhoHadTheAddressAndWhenNobodyOrTwo(t *testing.T) {
	one, two, none := []string{"1", "1", "-"}, []string{"2", "-", "2"}, []string{"-", "-", "-"}
	for _, c := range []struct {
		name    string
		answers [][]string
		want    Verdict
	}{
		{"one owner", [][]string{one, one, one}, Verdict{Asked: 3, Owners: []string{"n1"}}},
		{"a silence ends with the next answer", [][]string{one, none, none, two},
			Verdict{Asked: 4, Unanswered: 2, Silence: 201 * time.Millisecond, SilentAt: at(100), Owners: []string{"n1", "n2"}}},
		{"a silence lasts to the end", [][]string{one, none, none},
			Verdict{Asked: 3, Unanswered: 2, Silence: 200 * time.Millisecond, SilentAt: at(100), Owners: []string{"n1"}}},
		{"an answer to a question to one alone ends no silence", [][]string{one, {"-", "1"}, one},
			Verdict{Asked: 3, Unanswered: 1, Silence: 101 * time.Millisecond, SilentAt: at(100), Owners: []string{"n1"}}},
		{"a stranger's answer ends none either", [][]string{one, {"x"}, one},
			Verdict{Asked: 3, Unanswered: 1, Silence: 101 * time.Millisecond, SilentAt: at(100), Owners: []string{"n1"}}},
		{"two by broadcast and alone are doubt", [][]string{one, {"1", "1", "2"}, {"2", "1", "2"}, {"1", "2"}, two},
			Verdict{Asked: 5, Doubt: 200 * time.Millisecond, DoubtAt: at(100), Owners: []string{"n1", "n2"}}},
		{"a move within a round is no doubt", [][]string{one, {"1", "-", "2"}, two}, Verdict{Asked: 3, Owners: []string{"n1", "n2"}}},
		{"an owner that hears only everybody's questions", [][]string{one, {"1", "-"}, one}, Verdict{Asked: 3, Unheard: 1, Owners: []string{"n1"}}},
		{"back and forth is two moves", [][]string{one, two, one}, Verdict{Asked: 3, Owners: []string{"n1", "n2", "n1"}}},
		{"a stand-in is the owner's answer", [][]string{one, {"1/2", "-", "1/2"}, one}, Verdict{Asked: 3, Owners: []string{"n1"}, StoodIn: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, rounds := patrolled(c.answers...)
			c.want.Pace = 100 * time.Millisecond
			got := Judge(r.Looks(vip4, rounds), names, start, at(len(rounds)*100))
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Verdict{}, "Since")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestLooksGiveALateAnswerToItsQuestion(t *testing.T) {
	var answers [][]string
	for range stations + 2 {
		answers = append(answers, []string{"1"})
	}
	answers[0] = []string{"-"}
	r, rounds := patrolled(answers...)
	late := Sighting{Time: at(700), Addr: vip4, Kind: Reply, Src: node1, Payload: node1, Dst: stationMAC(0, 0)}
	r = append(r[:6:6], append(Record{late}, r[6:]...)...)
	looks := r.Looks(vip4, rounds)
	if !looks[0].Answered || looks[0].Delay != 700*time.Millisecond {
		t.Errorf("the first round = %+v, want it answered after 700 ms", looks[0])
	}
	if last := looks[stations]; last.Delay != time.Millisecond {
		t.Errorf("the station's next question = %+v, want it answered after 1 ms", last)
	}
}

func TestJudgeLooksOnlyAtItsTime(t *testing.T) {
	r, rounds := patrolled([]string{"-"}, []string{"1", "1"}, []string{"1", "2"}, []string{"-"})
	got := Judge(r.Looks(vip4, rounds), names, at(100), at(200))
	if diff := cmp.Diff(Verdict{Asked: 1, Owners: []string{"n1"}, Since: []time.Time{at(100)}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSettledIsOneAnswererAskedByAllAndAlone(t *testing.T) {
	whole := Verdict{Asked: 20, Unanswered: 1, Silence: apart, Unheard: 2, Owners: []string{"n1"}}
	for _, c := range []struct {
		name   string
		change func(*Verdict)
		want   bool
	}{
		{"as good as always heard", func(*Verdict) {}, true},
		{"silent for longer", func(v *Verdict) { v.Silence++ }, false},
		{"often not heard when asked alone", func(v *Verdict) { v.Unheard++ }, false},
		{"two", func(v *Verdict) { v.Doubt = 1 }, false},
		{"moved", func(v *Verdict) { v.Owners = append(v.Owners, "n2") }, false},
		{"another stands in", func(v *Verdict) { v.StoodIn = 1 }, false},
		{"never asked", func(v *Verdict) { *v = Verdict{} }, false},
	} {
		v := whole
		if c.change(&v); v.Settled() != c.want {
			t.Errorf("%s: settled = %v, want %v", c.name, v.Settled(), c.want)
		}
	}
}
