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
		got := h.conflict(&service{Service: &c}) == ""
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
