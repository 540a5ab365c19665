package core

import (
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestNothingWaitsForASpeakerWhoseNodeIsOutOfService(t *testing.T) {
	for _, c := range []struct {
		name   string
		node   lb.Node
		ignore bool
		want   bool
	}{
		{"in service", lb.Node{Name: "n1"}, false, false},
		{"out of service", lb.Node{Name: "n1", OutOfService: true}, false, true},
		{"drained", lb.Node{Name: "n1", Drained: true}, false, true},
		{"excluded", lb.Node{Name: "n1", Excluded: true}, false, true},
		{"excluded, and told to ignore that", lb.Node{Name: "n1", Excluded: true}, true, false},
		{"drained, and told to ignore exclusion", lb.Node{Name: "n1", Drained: true, Excluded: true}, true, true},
		{"another is", lb.Node{Name: "n2", OutOfService: true}, false, true}, // there is no n1 any more
	} {
		t.Run(c.name, func(t *testing.T) {
			core := &Core{Options: Options{Node: "n1", IgnoreExcludeLB: c.ignore}, world: World{Nodes: []lb.Node{c.node}}}
			if got := core.outOfService(); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestWhenTheNextDecisionIsDue(t *testing.T) {
	var never time.Time
	for _, c := range []struct {
		name      string
		decideAt  time.Time
		undecided bool
		rest      time.Time
		want      time.Time
	}{
		{"never, when nothing has changed", never, false, ms(50), never},
		{"when the last one wants it", ms(30), false, never, ms(30)},
		{"now, when something has changed", ms(30), true, never, ms(0)},
		{"when it should have been, if that is over", ms(-30), true, never, ms(-30)},
		{"after the rest", ms(30), false, ms(50), ms(50)},
		{"after the rest, when something has changed", never, true, ms(50), ms(50)},
		{"later than the rest", ms(60), false, ms(50), ms(60)},
	} {
		t.Run(c.name, func(t *testing.T) {
			core := &Core{decideAt: c.decideAt, undecided: c.undecided, restUntil: c.rest}
			if got := core.nextDecision(ms(0)); !got.Equal(c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if due, want := core.due(ms(0)), !c.want.IsZero() && !c.want.After(ms(0)); due != want {
				t.Errorf("due %v, want %v", due, want)
			}
		})
	}
}
