package controllers

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

func TestTheFirstPlanOfALeaderWaitsForItsCache(t *testing.T) {
	pool := newPool("p", "192.0.2.0/24")
	pool.ResourceVersion = "5"
	newer := pool
	newer.ResourceVersion = "6"
	held, pools := []corev1.Service{*holding("7", "192.0.2.1")}, []v1beta1.IPAddressPool{pool}
	for _, c := range []struct {
		name   string
		live   shelf
		cached shelf
		want   bool
	}{
		{"both have all", shelf{services: held, pools: pools}, shelf{services: held, pools: pools}, true},
		{"an older version of a Service", shelf{services: held}, shelf{services: []corev1.Service{*holding("6")}}, false},
		{"a later version of a Service", shelf{services: held}, shelf{services: []corev1.Service{*holding("10", "192.0.2.1")}}, true},
		{"no such Service", shelf{services: held}, shelf{}, false},
		{"no such pool", shelf{pools: pools}, shelf{}, false},
		{"an older version of a pool", shelf{pools: []v1beta1.IPAddressPool{newer}}, shelf{pools: pools}, false},
		{"more than the API server has", shelf{}, shelf{services: held, pools: pools}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := time.Unix(1000, 0)
			b := &barrier{live: &c.live, unsettled: (&Fence{}).unsettled, now: func() time.Time { return clock }}
			passed := func() bool {
				s, err := (&lister{reader: &c.cached}).list(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				wait, err := b.passed(context.Background(), s)
				if err != nil {
					t.Fatal(err)
				}
				return wait == 0
			}
			if got := passed(); got != c.want {
				t.Fatalf("passed = %v, want %v", got, c.want)
			}
			c.live.services, c.live.pools, clock = nil, nil, clock.Add(2*barrierRenew)
			if !passed() {
				t.Error("held back by what is deleted since")
			}
			c.live.services = []corev1.Service{*holding("99")}
			if !passed() {
				t.Error("closed again after it was open")
			}
		})
	}
}

// TestAWriteOfTheLeaderBeforeIsSeenHoweverLate: a leader that was killed had a write on its way, which the API server applies
// after the next one took over.
func TestAWriteOfTheLeaderBeforeIsSeenHoweverLate(t *testing.T) {
	for _, c := range []struct {
		name   string
		holder string        // in the lease that is taken
		after  time.Duration // from the takeover to the first plan
	}{
		{"the leader before was killed", "other", lateWrite + 300*time.Millisecond},
		{"the leader before released the lease", "", 300 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fence, lease := &Fence{}, by(c.holder, 3)
				if err := take(t, fence.Lock(&fakeLock{record: &lease})); err != nil {
					t.Fatal(err)
				}
				start, pools := time.Now(), []v1beta1.IPAddressPool{newPool("p", "192.0.2.0/31")}
				pools[0].ResourceVersion = "1"
				waits := service("waits")
				cached := &shelf{pools: pools, services: []corev1.Service{waits, *holding("1")}}
				live := &shelf{pools: pools, services: cached.services}
				p := newPlanner(t, cached)
				p.barrier = &barrier{live: live, namespace: "metallb-system", unsettled: fence.unsettled, now: time.Now}

				later := []corev1.Service{waits, *holding("9", "192.0.2.0")} // what the late write makes of it
				seen := c.after - time.Millisecond                           // by the cache
				for p.writer.flights.size() == 0 && time.Since(start) < time.Minute {
					if c.holder == "" || time.Since(start) >= lateWrite-time.Millisecond {
						live.services = later // before the release, or late
					}
					if time.Since(start) >= seen {
						cached.services = later
					}
					r, err := p.Reconcile(t.Context(), reconcile.Request{})
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(max(min(r.RequeueAfter, barrierPause), time.Millisecond))
				}
				if took := time.Since(start); took < seen || took > c.after+2*barrierPause {
					t.Errorf("the first plan came after %v, want %v", took, c.after)
				}
				got := p.writer.flights.writes[nameOf(&waits)]
				if got == nil || !slices.Equal(got.want.ingress, addrs("192.0.2.1")) {
					t.Errorf("%+v is given, want the address that the late write left", got)
				}
			})
		})
	}
}
