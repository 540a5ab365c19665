package controllers

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// view is a snapshot in which svc is the only Service.
func view(svc *corev1.Service) snapshot {
	n := kube.Service(svc, "")
	return snapshot{
		world:    allocate.World{Services: []lb.Service{n}},
		services: map[lb.Name]*corev1.Service{n.Name: svc},
	}
}

// heldAfter settles the snapshot of svc and returns what the plan will see.
func heldAfter(f *inFlight, svc *corev1.Service) []netip.Addr {
	s := view(svc)
	f.settle(&s)
	return s.world.Services[0].Held
}

func give(list ...string) desired {
	return desired{ingress: addrs(list...), pool: "p", status: "True", reason: "Allocated"}
}

func holding(version string, list ...string) *corev1.Service {
	svc := service("s")
	svc.ResourceVersion = version
	for _, ip := range list {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip})
	}
	return &svc
}

func TestWritesInFlightCountAsHeld(t *testing.T) {
	key := lb.Name{Namespace: "default", Name: "s"}
	for _, c := range []struct {
		name string
		do   func(f *inFlight, old *corev1.Service)
		seen *corev1.Service // what the cache shows then; nil: still the old object, which holds .1
		want []netip.Addr
	}{
		{"nothing in flight", func(*inFlight, *corev1.Service) {}, nil, addrs("192.0.2.1")},
		{"waiting: new and old", func(f *inFlight, old *corev1.Service) { f.set(old, give("192.0.2.2"), allocate.Assignment{}) }, nil, addrs("192.0.2.2", "192.0.2.1")},
		{"sending: new and old", func(f *inFlight, old *corev1.Service) {
			f.set(old, give("192.0.2.2"), allocate.Assignment{})
			f.begin(key)
		}, nil, addrs("192.0.2.2", "192.0.2.1")},
		{"accepted: the new alone", func(f *inFlight, old *corev1.Service) { send(f, old, key, accepted, "192.0.2.2") }, nil, addrs("192.0.2.2")},
		{"a release that was accepted is free", func(f *inFlight, old *corev1.Service) { send(f, old, key, accepted) }, nil, nil},
		{"refused: both, it will be sent again", func(f *inFlight, old *corev1.Service) { send(f, old, key, refused, "192.0.2.2") }, nil, addrs("192.0.2.2", "192.0.2.1")},
		{"unknown, and another wish since: all three", func(f *inFlight, old *corev1.Service) {
			send(f, old, key, unknown, "192.0.2.2")
			f.set(old, give("192.0.2.3"), allocate.Assignment{})
		}, nil, addrs("192.0.2.3", "192.0.2.2", "192.0.2.1")},
		{"refused, and another wish since: not the refused one", func(f *inFlight, old *corev1.Service) {
			send(f, old, key, refused, "192.0.2.2")
			f.set(old, give("192.0.2.3"), allocate.Assignment{})
			f.begin(key)
		}, nil, addrs("192.0.2.3", "192.0.2.1")},
		{"being sent, and another wish since: all three", func(f *inFlight, old *corev1.Service) {
			f.set(old, give("192.0.2.2"), allocate.Assignment{})
			f.begin(key)
			f.set(old, give("192.0.2.3"), allocate.Assignment{})
		}, nil, addrs("192.0.2.3", "192.0.2.2", "192.0.2.1")},
		{"unknown, and another wish is being sent: all three", func(f *inFlight, old *corev1.Service) {
			send(f, old, key, unknown, "192.0.2.2")
			f.set(old, give("192.0.2.3"), allocate.Assignment{})
			f.begin(key)
		}, nil, addrs("192.0.2.3", "192.0.2.2", "192.0.2.1")},
		{"the cache shows another version: what it shows", func(f *inFlight, old *corev1.Service) { send(f, old, key, accepted, "192.0.2.2") }, holding("2", "192.0.2.2"), addrs("192.0.2.2")},
		{"somebody else changed it: what the cache shows", func(f *inFlight, old *corev1.Service) { send(f, old, key, refused, "192.0.2.2") }, holding("2", "192.0.2.9"), addrs("192.0.2.9")},
		{"another object of that name: what the cache shows", func(f *inFlight, old *corev1.Service) { send(f, old, key, accepted, "192.0.2.2") }, reborn(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &inFlight{writes: map[lb.Name]*write{}}
			old := holding("1", "192.0.2.1")
			c.do(f, old)
			if c.seen == nil {
				c.seen = old
			}
			if d := cmp.Diff(c.want, heldAfter(f, c.seen), sameAddr); d != "" {
				t.Errorf("held (-want +got):\n%s", d)
			}
		})
	}
}

func reborn() *corev1.Service {
	svc := holding("1")
	svc.UID = "another"
	return svc
}

// send wishes, sends and ends a write.
func send(f *inFlight, svc *corev1.Service, key lb.Name, o outcome, list ...string) {
	f.set(svc, give(list...), allocate.Assignment{})
	w, _, _ := f.begin(key)
	f.end(w, o)
}

func TestWhatIsSent(t *testing.T) {
	key := lb.Name{Namespace: "default", Name: "s"}
	old := holding("1", "192.0.2.1")
	f := &inFlight{writes: map[lb.Name]*write{}}
	if have, _ := current(old); f.set(old, have, allocate.Assignment{}) || f.size() != 0 {
		t.Fatal("a Service that is as wanted is written")
	}
	if !f.set(old, give("192.0.2.2"), allocate.Assignment{}) {
		t.Fatal("a new wish is not sent")
	}
	if f.set(old, give("192.0.2.2"), allocate.Assignment{}) {
		t.Error("the same wish is queued twice")
	}
	w, d, ok := f.begin(key)
	if !ok || !d.equal(give("192.0.2.2")) {
		t.Fatalf("begin = %v, %v; want the wish", d, ok)
	}
	if _, _, ok := f.begin(key); ok {
		t.Error("one write is sent twice at the same time")
	}
	if f.set(old, give("192.0.2.3"), allocate.Assignment{}) {
		t.Error("a second write is queued while the first is being sent")
	}
	if !f.end(w, refused) {
		t.Fatal("a refused write is not sent again")
	}
	if _, d, ok := f.begin(key); !ok || !d.equal(give("192.0.2.3")) {
		t.Errorf("after a refusal %v, %v is sent; want the newest wish", d, ok)
	}
	if f.end(w, accepted) {
		t.Error("an accepted write is sent again")
	}
	if f.set(old, give("192.0.2.4"), allocate.Assignment{}) {
		t.Error("a write is decided on an object that is known to have changed")
	}
}

func TestAWriteThatChangesNothingIsNotRepeated(t *testing.T) {
	key := lb.Name{Namespace: "default", Name: "s"}
	old := holding("1")
	f := &inFlight{writes: map[lb.Name]*write{}}
	send(f, old, key, noChange, "192.0.2.2")
	heldAfter(f, old)
	if f.set(old, give("192.0.2.2"), allocate.Assignment{}) {
		t.Error("the API server says that nothing changed, and the write is sent again: a hot loop")
	}
	if !f.set(old, give("192.0.2.3"), allocate.Assignment{}) {
		t.Error("a new wish is not sent")
	}
}

func TestAWishThatIsWithdrawnBeforeItWasSentIsForgotten(t *testing.T) {
	old := holding("1", "192.0.2.1")
	have, _ := current(old)
	f := &inFlight{writes: map[lb.Name]*write{}}
	f.set(old, give("192.0.2.2"), allocate.Assignment{})
	f.set(old, have, allocate.Assignment{})
	if f.size() != 0 {
		t.Error("the withdrawn wish is still in flight")
	}
	send(f, old, nameOf(old), unknown, "192.0.2.2")
	f.set(old, have, allocate.Assignment{})
	if _, d, ok := f.begin(nameOf(old)); !ok || !d.equal(have) {
		t.Errorf("after an attempt of unknown outcome %v is sent (%v), want the old status back", d, ok)
	}
}
