package nemesis

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/test/lab"
)

// instant is how many of the connections of one planned move may fail where the kernel's connection tracking does not help:
// those that are open while the client changes over, at 100 a second and a few milliseconds each.
const instant = 3

// moves are planned ones, under 100 new connections a second and long-lived ones for each family.
func moves() []scenario {
	var out []scenario
	for _, c := range []struct {
		name  string
		short bool
		act   func(*run)
	}{{"exclude label", false, excludeVictim}, {"explicit move", true, preferOther}} {
		with, without := moving(1, 1), moving(1, 1)
		with.failed, with.broken = 0, 0
		without.failed = 2 * instant // of two families
		with.silence, without.silence = 2*pace, 2*pace
		out = append(out,
			scenario{name: c.name + ", strict conntrack", short: c.short, perSecond: 100, want: with, act: func(r *run) {
				r.strict()
				c.act(r)
			}},
			scenario{name: c.name + ", kernel defaults", perSecond: 100, want: without, act: c.act})
	}
	return out
}

// strict gives every node what a planned move without a lost connection needs. Connections that are open already are known to
// the kernel and stay.
func (r *run) strict() {
	r.Helper()
	for _, n := range r.Lab.Nodes() {
		r.must(r.Lab.Break(r.ctx, "strict-"+n.Name, lab.StrictConntrack(n)))
	}
}

// excludeVictim labels the victim so that it must give its addresses away, and unlabels it: nothing comes back.
func excludeVictim(r *run) {
	r.began = time.Now()
	r.kubectl("label", "node", r.victim, corev1.LabelNodeExcludeBalancers+"=")
	r.awaitAnnouncements()
	r.hold(5 * time.Second)
	r.kubectl("label", "node", r.victim, corev1.LabelNodeExcludeBalancers+"-")
	r.healed = time.Now()
}

// preferOther asks for another node by the Services' annotation, and takes the wish back: nothing comes back.
func preferOther(r *run) {
	to := r.other()
	names := []string{r.service[r.one4]}
	if six := r.service[r.one6]; six != names[0] {
		names = append(names, six)
	}
	r.about = slices.DeleteFunc(slices.Clone(r.addrs), func(a netip.Addr) bool { return !slices.Contains(names, r.service[a]) || r.owners[a] == to })
	r.began = time.Now()
	for _, n := range names {
		r.kubectl("annotate", "service", n, preferredNode+"="+to)
	}
	r.awaitAnnouncements()
	r.hold(5 * time.Second)
	for _, n := range names {
		r.kubectl("annotate", "service", n, preferredNode+"-")
	}
	r.healed = time.Now()
}

// awaitAnnouncements waits for the new owners' announcements and notes how long they took.
func (r *run) awaitAnnouncements() {
	r.Helper()
	if d, ok := r.taken(r.about, takeover); ok {
		r.note("first announcement by the last new owner %v after the request", ms(d))
	}
}

// kubectl runs kubectl and ends the scenario when it fails.
func (r *run) kubectl(args ...string) string {
	r.Helper()
	ctx, cancel := context.WithTimeoutCause(r.ctx, patient, fmt.Errorf("waited %v", patient))
	defer cancel()
	out, err := r.Lab.Kubectl(ctx, "", args...)
	r.must(err)
	return out
}
