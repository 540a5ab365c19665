package ownership

import (
	"slices"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestStandbyStaysWhileItMay(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*View)
		want   string
	}{
		{"the one before, though another ranks first", func(v *View) { v.mine(func(h *holding) { h.Standby = "node3" }) }, "node3"},
		{"the best, when there was none", func(v *View) { v.mine(func(h *holding) { h.Standby = "" }) }, "node2"},
		{"another, when it is dead", func(v *View) { v.mine(); v.dies("node2") }, "node3"},
		{"another, when it is cut off", func(v *View) { v.mine(); v.witness("node2", lb.Dead, lb.Alive, lb.Alive, time.Minute) }, "node3"},
		{"another, when it is deaf", func(v *View) { v.mine(); v.speakerOf("node2").Interfaces[0].Deaf = true }, "node3"},
		{"another, when it is excluded", func(v *View) { v.mine(); v.nodeOf("node2").Excluded = true }, "node3"},
		{"nobody, when all are", func(v *View) { v.mine(); v.nodeOf("node2").Excluded, v.nodeOf("node3").Excluded = true, true }, ""},
		{"nobody, when all are deaf", func(v *View) {
			v.mine()
			for i := range v.Speakers {
				v.Speakers[i].Interfaces[0].Deaf = true
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := scene()
			c.change(v)
			if got := Decide(*v).Claims[0].Standby; got != c.want {
				t.Errorf("standby %q, want %q", got, c.want)
			}
		})
	}
}

// Who was dead when the standby was named inherits its part again.
func TestABetterStandbyIsNamedWhenItHasBeenThereForAWhile(t *testing.T) {
	v := scene()
	v.mine(func(h *holding) { h.Standby = "node3" })
	begun := v.Now
	for _, c := range []struct {
		after time.Duration
		dead  bool
		want  string
	}{{0, false, "node3"}, {steady / 2, true, "node3"}, {steady, false, "node3"}, {2*steady - 1, false, "node3"}, {2 * steady, false, "node2"}} {
		now := *v
		now.Now = begun.Add(c.after)
		if now.Peers = slices.Clone(v.Peers); c.dead {
			now.dies("node2")
		}
		d := Decide(now)
		if got := d.Claims[0].Standby; got != c.want {
			t.Errorf("after %v: standby %q, want %q", c.after, got, c.want)
		}
		v.Mine = d.Memory
	}
}
