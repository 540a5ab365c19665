package allocate

import (
	"math/rand/v2"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// TestThePlannerSharesAsTheSpeakersDo: what the planner says of a Service and the holders of an address is what lb.MayShare
// says of the Service and each of them. The speakers ask MayShare; if the two disagreed, an address would be given out in a
// way in which it is not announced.
func TestThePlannerSharesAsTheSpeakersDo(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	shared, refused := 0, 0
	for range 100000 {
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		d := &dice{data}
		a, b, c := d.sharer(), d.sharer(), d.sharer()
		h := &holding{}
		h.add(&service{Service: &a})
		want := lb.MayShare(a, c)
		if lb.MayShare(a, b) { // two holders share, or there is one
			h.add(&service{Service: &b})
			want = want && lb.MayShare(b, c)
		}
		got := h.admits(&service{Service: &c})
		if got != want {
			t.Fatalf("the planner says %v, MayShare %v:\n%+v\n%+v\n%+v", got, want, a, b, c)
		}
		if got {
			shared++
		} else {
			refused++
		}
	}
	if shared < 1000 || refused < 1000 {
		t.Errorf("%d pairs share and %d do not: the test sees too little of one", shared, refused)
	}
}

// sharer is a Service with few keys, selectors and ports.
func (d *dice) sharer() lb.Service {
	s := lb.Service{
		SharingKey: []string{"k", "k", "l", ""}[d.roll(4)],
		Local:      d.one(2), Selector: []string{"app=a", "app=b"}[d.roll(2)],
	}
	for range 1 + d.roll(2) {
		s.Ports = append(s.Ports, lb.Port{Protocol: []string{"TCP", "UDP"}[d.roll(2)], Number: uint16(d.roll(3))})
	}
	return s
}

func TestSharingAcrossPlans(t *testing.T) {
	four := []lb.Pool{aPool("p", "1.2.3.0/30")}
	two := []lb.Pool{aPool("p", "1.2.3.1/32"), aPool("q", "1.2.4.1/32")}
	taken := []lb.Service{aService("s2", holds("1.2.3.1")), aService("s3", holds("1.2.3.2")), aService("s4", holds("1.2.3.3"))}
	add := func(list ...lb.Service) []lb.Service { return append(list, taken...) }
	web, dns := ports("TCP/80"), ports("UDP/53")
	runPlans(t, []planTest{
		{"the last address is shared by those who want to", four, add(aService("s5", key("k"), web), aService("s6", key("k"), dns)), "s2=1.2.3.1 s3=1.2.3.2 s4=1.2.3.3 s5=1.2.3.0 s6=1.2.3.0"},
		{"not by a third with the port of the first", four, add(aService("s5", key("k"), web), aService("s6", key("k"), dns), aService("s7", key("k"), web)), "s2=1.2.3.1 s3=1.2.3.2 s4=1.2.3.3 s5=1.2.3.0 s6=1.2.3.0 s7=-:Exhausted"},
		{"Services of two namespaces share", four, []lb.Service{aService("a", key("k"), web), aService("b", key("k"), dns, inNamespace("other"))}, "a=1.2.3.0 b=1.2.3.0"},
		{"the group's address comes before a lower free one", four, []lb.Service{aService("a", holds("1.2.3.3"), key("k"), web), aService("b", key("k"), dns)}, "a=1.2.3.3 b=1.2.3.3"},
		{"one that leaves opens its port to the others", two, []lb.Service{
			aService("mover", created(3), holds("1.2.3.1"), key("k"), web, fromPool("q")), aService("stays", created(1), holds("1.2.3.1"), key("k"), dns),
			aService("waits", created(2), key("k"), web, fromPool("p"))}, "mover=1.2.4.1 stays=1.2.3.1 waits=1.2.3.1"},
		{"two that do not fit together any more: the older keeps", four, []lb.Service{aService("a", created(2), holds("1.2.3.3"), key("k"), web), aService("z", created(1), holds("1.2.3.3"), key("k"), web)}, "a=1.2.3.0 z=1.2.3.3"},
		{"one of three that does not fit goes alone", four, []lb.Service{aService("a", created(1), holds("1.2.3.3"), key("k"), web), aService("b", created(2), holds("1.2.3.3"), key("k"), web), aService("c", created(3), holds("1.2.3.3"), key("k"), dns)}, "a=1.2.3.3 b=1.2.3.0 c=1.2.3.3"},
		{"dual stack is shared in both families", []lb.Pool{aPool("p", "1.2.3.0/30", "1000::/126")}, []lb.Service{aService("a", requiresDual, key("k"), web), aService("b", requiresDual, key("k"), dns)}, "a=1.2.3.0,1000:: b=1.2.3.0,1000::"},
	})
}

func TestWhoMayShareAnAddress(t *testing.T) {
	small := []lb.Pool{aPool("test", "1.2.3.4/31")}
	web, dns := ports("TCP/80"), ports("TCP/53")
	runPlans(t, []planTest{
		{"none without a key", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web), aService("s3", asks("1.2.3.4"), dns)}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"Local with other backends does not", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, local("app=a")), aService("s3", asks("1.2.3.4"), key("k"), dns, local("app=b"))}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"Cluster beside Local does not", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, local("app=a")), aService("s3", asks("1.2.3.4"), key("k"), dns)}, "s3=-:AddressInUse s4=1.2.3.4"},
		// Differs from MetalLB, where a Local Service without a selector counts as Cluster.
		{"nor beside Local without a selector", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, local("")), aService("s3", asks("1.2.3.4"), key("k"), dns)}, "s3=-:AddressInUse s4=1.2.3.4"},
		{"Local with the same backends shares", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, local("app=a")), aService("s3", asks("1.2.3.4"), key("k"), dns, local("app=a"))}, "s3=1.2.3.4 s4=1.2.3.4"},
		{"Cluster with other backends shares", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), web, selector("app=a")), aService("s3", asks("1.2.3.4"), key("k"), dns, selector("app=b"))}, "s3=1.2.3.4 s4=1.2.3.4"},
		{"one protocol each on one port is no conflict", small, []lb.Service{aService("s4", holds("1.2.3.4"), key("k"), ports("TCP/53")), aService("s3", asks("1.2.3.4"), key("k"), ports("UDP/53"))}, "s3=1.2.3.4 s4=1.2.3.4"},
		{"who changes its sharing key gets another address", small, []lb.Service{aService("s4", created(1), holds("1.2.3.4"), key("k"), web), aService("s3", created(2), holds("1.2.3.4"), key("l"), dns)}, "s3=1.2.3.5 s4=1.2.3.4"},
		{"who changes its backends gets another address", small, []lb.Service{aService("s4", created(1), holds("1.2.3.4"), key("k"), web), aService("s3", created(2), holds("1.2.3.4"), key("k"), dns, local("app=a"))}, "s3=1.2.3.5 s4=1.2.3.4"},
	})
}
