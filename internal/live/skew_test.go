package live

import (
	"testing"
	"time"
)

func TestAClockIsOffOnlyWhereTheTimeOfAskingCannotExplainIt(t *testing.T) {
	asked := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answered := asked.Add(10 * time.Second)
	for _, c := range []struct {
		name string
		at   time.Time
		want time.Duration
	}{
		{"when asked", asked, 0},
		{"while others were asked", asked.Add(7 * time.Second), 0},
		{"when answered", answered, 0},
		{"a little early", asked.Add(-2 * time.Second), 0},
		{"a little late", answered.Add(2 * time.Second), 0},
		{"early", asked.Add(-3 * time.Second), -3 * time.Second},
		{"late", answered.Add(time.Hour), time.Hour},
	} {
		if got := (View{Time: c.at}).Skew(asked, answered); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
