package nemesis

import (
	"context"
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// must ends the scenario when something that is not under test went wrong.
func (r *run) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// fault breaks something and remembers when.
func (r *run) fault(name string, f lab.Fault) {
	r.Helper()
	r.began = time.Now()
	r.must(r.Lab.Break(r.ctx, name, f))
}

// heal mends it and remembers when.
func (r *run) heal(name string) {
	r.Helper()
	r.must(r.Lab.Heal(r.ctx, name))
	r.healed = time.Now()
}

// during breaks something for a time.
func (r *run) during(d time.Duration, name string, f lab.Fault) {
	r.Helper()
	r.fault(name, f)
	r.hold(d)
	r.heal(name)
}

// hold waits: the time of a fault is what is tested.
func (r *run) hold(d time.Duration) {
	r.Helper()
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
		r.Fatal("the scenario took too long")
	}
}

// taken waits until each of the victim's addresses was announced by another node, and returns the longest time that took;
// false when it takes more than limit.
func (r *run) taken(addrs []netip.Addr, limit time.Duration) (time.Duration, bool) {
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	var longest time.Duration
	for _, a := range addrs {
		mac := r.MACOf(r.owners[a])
		heard, err := r.Witness.Await(ctx, r.began, func(w witness.Record) bool {
			_, ok := w.FirstAnnouncementByOther(a, mac, r.began)
			return ok
		})
		if err != nil {
			r.Errorf("nobody announced %s within %v of the fault; heard:\n%s", a, limit, heard.Of(a).Announcements())
			return limit, false
		}
		first, _ := heard.FirstAnnouncementByOther(a, mac, r.began)
		longest = max(longest, first.Time.Sub(r.began))
	}
	return longest, true
}

// takeover is how long a scenario waits for an announcement before it gives up; its limit is judged elsewhere.
const takeover = 20 * time.Second

// cutPower cuts the victim's power and waits until its addresses are announced by others.
func (r *run) cutPower() {
	r.Helper()
	r.began = time.Now()
	r.must(r.Lab.CutPower(r.victim))
	d, _ := r.taken(r.own, takeover)
	r.announced = append(r.announced, d)
}

// restorePower gives the victim its power back and starts what ran there.
func (r *run) restorePower() {
	r.Helper()
	r.must(r.Lab.RestorePower(r.ctx, r.victim))
	r.healed = time.Now() // what the speaker does while it starts is judged
	if r.bare != nil {
		r.must(r.bare.Revive(r.ctx, r.victim))
	} else {
		r.must(r.Settled(r.ctx))
	}
}

// other is a node that is not the victim.
func (r *run) other() string {
	for _, n := range r.Lab.Nodes() {
		if n.Name != r.victim {
			return n.Name
		}
	}
	return ""
}

// victimHost is the victim as a host of the lab.
func (r *run) victimHost() lab.Host { return r.Lab.Node(r.victim) }

// pulled is a cable of the victim that is out.
func (r *run) pulled(cable string) lab.Fault {
	r.Helper()
	f, err := r.Lab.Pulled(r.victim, cable)
	r.must(err)
	return f
}
