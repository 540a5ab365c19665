package ownership

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// nap is the time after a decision. Until the decision's Wake nothing changes by itself: what else changes, somebody tells of.
type nap struct {
	view  View
	wake  time.Time
	still stillness
}

// stillness is what a decision says and does, and would go on saying and doing.
type stillness struct {
	Answers []Answer
	Claims  []lb.Claim
	Check   []netip.Addr // but for those that are ours now
	Defend  []netip.Addr
}

func still(d Decision) stillness {
	s := stillness{Answers: d.Answers, Claims: d.Claims, Defend: d.Defend}
	for _, k := range d.Check {
		if !slices.ContainsFunc(d.Claims, func(c lb.Claim) bool { return c.Addr == k.Addr }) {
			s.Check = append(s.Check, k.Addr)
		}
	}
	return s
}

// doze notes a decision, and says how it differs from the one before when it must not: nothing has changed but the time, and the
// one before did not ask to be woken yet.
func (c *cluster) doze(v View, d Decision) {
	now := v.Now
	v.Now, v.Mine = time.Time{}, Memory{}
	v.Services, v.Advertisements, v.Speakers = slices.Clone(v.Services), slices.Clone(v.Advertisements), slices.Clone(v.Speakers)
	for i := range v.Speakers {
		v.Speakers[i].Seq = 0 // it grows with every step
	}
	before, after := c.naps[v.Self], nap{v, d.Wake, still(d)}
	c.naps[v.Self] = after
	before.still.Defend = nil // that was then
	if !before.wake.IsZero() && !now.Before(before.wake) || !reflect.DeepEqual(before.view, v) {
		return
	}
	if diff := cmp.Diff(before.still, after.still, cmpAddr()); diff != "" {
		c.overslept = append(c.overslept, fmt.Sprintf("at %v %s does something new (-before +now), though nothing else is new, and it wanted to sleep until %v:\n%s",
			now.Sub(day), v.Self, before.wake.Sub(day), diff))
	}
}
