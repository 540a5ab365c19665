package kubeproxy

import (
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestBelief(t *testing.T) {
	const patience = 5 * time.Second
	for _, c := range []struct {
		name string
		// answers are one a second: + is a yes, - a no, and a space is a second in which we were stopped.
		answers string
		// want is what is believed after each: A alive, D dead.
		want string
	}{
		{"the first answer is believed: well", "+", "A"},
		{"the first answer is believed: not well", "-", "D"},
		{"one that stays well", "+++++++", "AAAAAAA"},
		{"a restart shorter than patience", "++-----++", "AAAAAAAAA"},
		{"dead for patience", "+-------", "AAAAAADD"},
		{"a yes between begins anew", "+----+-----", "AAAAAAAAAAA"},
		{"back for patience", "-+++++++", "DDDDDDAA"},
		{"one that crashes again and again stays dead", "-+++-+++--++++-", "DDDDDDDDDDDDDDD"},
		{"two answers far apart prove nothing", "+-       -+", "AA       AA"},
		{"three do", "+-       --", "AA       AD"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b belief
			got := ""
			for i, a := range c.answers {
				if a == ' ' {
					got += " "
					continue
				}
				b = b.after(time.Unix(int64(i), 0), a == '+', patience)
				got += map[lb.Life]string{lb.Unknown: "?", lb.Alive: "A", lb.Dead: "D"}[b.life]
			}
			if got != c.want {
				t.Errorf("after %q it is believed %q, want %q", c.answers, got, c.want)
			}
		})
	}
}
