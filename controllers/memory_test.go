package controllers

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// history drives a planner through what the cache shows, one look after the other, with writes that succeed at once.
type history struct {
	t     *testing.T
	shelf *shelf
	*planner
	clock time.Time
}

func newHistory(t *testing.T, pools ...v1beta1.IPAddressPool) *history {
	h := &history{t: t, shelf: &shelf{pools: pools}, clock: time.Unix(1000, 0)}
	h.planner = newPlanner(t, h.shelf)
	h.now = func() time.Time { return h.clock }
	return h
}

// plan makes one plan and writes it: services into the shelf, retentions into the pools.
func (h *history) plan() reconcile.Result {
	h.t.Helper()
	h.notBefore = time.Time{}
	r, err := h.Reconcile(context.Background(), reconcile.Request{})
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range h.shelf.services {
		svc := &h.shelf.services[i]
		w, d, ok := h.writer.flights.begin(nameOf(svc))
		if !ok {
			continue
		}
		svc.ResourceVersion += "1"
		svc.Annotations = map[string]string{v1beta1.AnnotationAllocatedFromPool: d.pool}
		svc.Status.LoadBalancer.Ingress = nil
		for _, a := range d.ingress {
			svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a.String()})
		}
		svc.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionAllocated, Status: d.status, Reason: d.reason, Message: d.message}}
		h.writer.flights.end(w, accepted)
	}
	for i := range h.shelf.pools {
		p := &h.shelf.pools[i]
		p.Status = poolStatus(p, h.pools.usage[p.Name], metav1.NewTime(h.clock))
	}
	return r
}

func (h *history) create(name, uid string) {
	svc := service(name)
	svc.UID, svc.CreationTimestamp = types.UID(uid), metav1.NewTime(h.clock)
	h.shelf.services = append(h.shelf.services, svc)
}

func (h *history) remove(name string) {
	for i, svc := range h.shelf.services {
		if svc.Name == name {
			h.shelf.services = append(h.shelf.services[:i:i], h.shelf.services[i+1:]...)
			return
		}
	}
}

func (h *history) want(name, ip string) {
	h.t.Helper()
	for _, svc := range h.shelf.services {
		if svc.Name != name {
			continue
		}
		got := ""
		if in := svc.Status.LoadBalancer.Ingress; len(in) > 0 {
			got = in[0].IP
		}
		if got != ip {
			h.t.Errorf("%s has %q, want %q", name, got, ip)
		}
		return
	}
	h.t.Errorf("no Service %s", name)
}

func retaining(d time.Duration) v1beta1.IPAddressPool {
	p := newPool("p", "192.0.2.0/30")
	p.Spec.RetainFor = &metav1.Duration{Duration: d}
	return p
}

func TestAFreedAddressIsHandedOutLast(t *testing.T) {
	h := newHistory(t, newPool("p", "192.0.2.0/30"))
	h.create("a", "1")
	h.create("b", "2")
	h.plan()
	h.want("a", "192.0.2.0")
	h.remove("b")
	h.clock = h.clock.Add(time.Minute)
	h.plan()
	h.remove("a")
	for _, n := range []string{"c", "d", "e", "f"} {
		h.create(n, n)
		h.plan()
	}
	h.want("c", "192.0.2.2")
	h.want("d", "192.0.2.3")
	h.want("e", "192.0.2.1") // freed before a's
	h.want("f", "192.0.2.0")
	h.remove("e")
	h.plan()
	h.remove("f")
	h.plan()
	h.clock = h.clock.Add(quarantine)
	h.create("g", "g")
	h.plan()
	h.want("g", "192.0.2.0") // the lowest again
}

func TestADeletedServiceGetsItsAddressBack(t *testing.T) {
	h := newHistory(t, retaining(time.Hour))
	h.create("a", "1")
	h.plan()
	h.remove("a")
	h.create("b", "2")
	r := h.plan()
	h.want("b", "192.0.2.1")
	if r.RequeueAfter < time.Hour || r.RequeueAfter > time.Hour+2*time.Second {
		t.Errorf("RequeueAfter = %v, want the end of the retention", r.RequeueAfter)
	}
	want := []v1beta1.RetainedAddress{{Address: "192.0.2.0", Namespace: "default", Name: "a", Until: metav1.NewTime(time.Unix(4601, 0))}}
	if d := cmp.Diff(want, h.shelf.pools[0].Status.Retained); d != "" {
		t.Errorf("retained (-want +got):\n%s", d)
	}
	h.planner.memory = memory{} // another leader reads it from the status
	for _, n := range []string{"c", "d", "e"} {
		h.create(n, n)
	}
	h.plan()
	h.want("e", "")
	h.create("a", "6")
	h.plan()
	h.want("a", "192.0.2.0")
	h.plan()
	if got := h.shelf.pools[0].Status.Retained; len(got) != 0 {
		t.Errorf("retained %+v, want none after it came back", got)
	}
}

func TestAServiceReplacedBetweenTwoPlansKeepsItsAddress(t *testing.T) {
	h := newHistory(t, retaining(time.Hour))
	h.create("z", "1")
	h.create("a", "2")
	h.plan()
	h.want("a", "192.0.2.0")
	h.want("z", "192.0.2.1")
	h.remove("z")
	h.create("z", "3")
	h.plan()
	h.want("z", "192.0.2.1")
}

func TestARetentionEnds(t *testing.T) {
	h := newHistory(t, retaining(time.Minute))
	for _, n := range []string{"a", "b", "c", "d"} {
		h.create(n, n)
	}
	h.plan()
	h.remove("c")
	h.create("e", "e")
	r := h.plan()
	h.want("e", "")
	h.clock = h.clock.Add(r.RequeueAfter)
	h.plan()
	h.want("e", "192.0.2.2")
	if got := h.shelf.pools[0].Status.Retained; len(got) != 0 {
		t.Errorf("retained %+v, want none after it ended", got)
	}
}

func TestWhatIsNoDeletionIsNotRetained(t *testing.T) {
	h := newHistory(t, retaining(time.Hour))
	h.create("a", "1")
	h.plan()
	h.shelf.services[0].Spec.Type = corev1.ServiceTypeClusterIP
	h.shelf.services[0].ResourceVersion = "9"
	h.plan()
	h.remove("a")
	h.plan()
	if got := h.shelf.pools[0].Status.Retained; len(got) != 0 {
		t.Errorf("retained %+v for a Service that had given up its address", got)
	}
	h.shelf.pools[0].Spec.RetainFor = nil
	h.create("b", "2")
	h.plan()
	h.remove("b")
	h.plan()
	if got := h.shelf.pools[0].Status.Retained; len(got) != 0 {
		t.Errorf("retained %+v without retainFor", got)
	}
}

func TestAConflictIsAvoidedWhileItLasts(t *testing.T) {
	p := newPool("p", "192.0.2.0/31")
	p.Status.Conflicts = []v1beta1.AddressConflict{{Address: "192.0.2.0", MAC: "02:00:00:00:00:01", Node: "n1", Until: metav1.NewTime(time.Unix(1600, 0))}}
	h := newHistory(t, p)
	h.create("a", "1")
	h.create("b", "2")
	r := h.plan()
	h.want("a", "192.0.2.1")
	h.want("b", "")
	if r.RequeueAfter != 600*time.Second {
		t.Errorf("RequeueAfter = %v, want 10 minutes", r.RequeueAfter)
	}
	h.clock = h.clock.Add(r.RequeueAfter)
	h.plan()
	h.want("b", "192.0.2.0")
	if got := h.shelf.pools[0].Status.Conflicts; len(got) != 0 {
		t.Errorf("conflicts %+v, want none after they ended", got)
	}
}

func TestTheQuarantineIsBounded(t *testing.T) {
	var m memory
	s := view(holding("1"))
	for i := range maxRecent + 10 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		m.recent = append(m.recent, freed{a, time.Unix(1000, 0)})
	}
	m.recall(&s, time.Unix(1000, 0))
	if len(m.recent) != maxRecent || len(s.world.Recent) != maxRecent || s.world.Recent[0] != addrs("10.0.0.10")[0] {
		t.Errorf("%d addresses in quarantine, want the youngest %d", len(m.recent), maxRecent)
	}
}

func TestPlansAreWokenByConflictsAndNotByOurOwnStatus(t *testing.T) {
	old := newPool("p", "192.0.2.0/31")
	ours, theirs := *old.DeepCopy(), *old.DeepCopy()
	ours.Status.AssignedIPv4 = 1
	theirs.Status.Conflicts = []v1beta1.AddressConflict{{Address: "192.0.2.0", Node: "n1"}}
	for _, c := range []struct {
		name string
		now  v1beta1.IPAddressPool
		want bool
	}{{"our own status", ours, false}, {"a conflict", theirs, true}} {
		if got := poolChanged().Update(event.UpdateEvent{ObjectOld: &old, ObjectNew: &c.now}); got != c.want {
			t.Errorf("%s wakes the plan: %v, want %v", c.name, got, c.want)
		}
	}
	if !poolChanged().Create(event.CreateEvent{Object: &old}) || !poolChanged().Delete(event.DeleteEvent{Object: &old}) {
		t.Error("a new or deleted pool wakes nobody")
	}
}
