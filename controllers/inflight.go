package controllers

import (
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// inFlight remembers, from plan to plan, the writes that the cache does not show yet. Their addresses count as held, so that two
// plans never give out one address.
//
// Every write names the resourceVersion of the object that it was decided on. Once the cache shows another version, or
// another object, the write has happened or never will; only until then is it remembered:
//
//	state     the API server may have   so the Service holds, for the plan
//	waiting   the old status            old and new, and what was sent last (and any earlier attempt whose outcome is unknown)
//	sending   the old or the new one    old and new
//	written   the new status            new
type inFlight struct {
	mu     sync.Mutex
	writes map[lb.Name]*write
}

type state int

const (
	waiting state = iota // to be sent, for the first time or again
	sending
	written
)

// write is one Service's status on its way.
type write struct {
	object *corev1.Service     // the version that it was decided on
	want   desired             // the latest wish
	why    allocate.Assignment // what the plan said of it
	state  state
	sent   desired // while sending, and once written: what was sent
	// doubtful are addresses of earlier attempts whose outcome is unknown.
	doubtful []netip.Addr
	// unchanged says that the API server accepted the write and nothing changed: the version stays, and so may the write.
	unchanged bool
	attempts  int
}

// settle forgets the writes whose outcome the snapshot shows, and overlays the others on its world.
func (f *inFlight) settle(s *snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, w := range f.writes {
		if now := s.services[name]; now == nil || now.UID != w.object.UID || now.ResourceVersion != w.object.ResourceVersion {
			delete(f.writes, name)
		}
	}
	for i := range s.world.Services {
		svc := &s.world.Services[i]
		w := f.writes[svc.Name]
		if w == nil {
			continue
		}
		held, from := slices.Clone(w.sent.ingress), w.sent.pool
		if w.state != written {
			held = slices.Concat(w.want.ingress, held, w.doubtful, svc.Held)
			from = w.want.pool
		}
		svc.Held, svc.HeldFrom = unique(held), from
	}
}

func unique(list []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// set notes that svc shall become as wanted, and says whether there is something to send now. What has failed for this version
// of svc is sent when it is tried again, whatever the wish is by then.
func (f *inFlight) set(svc *corev1.Service, d desired, a allocate.Assignment) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := nameOf(svc)
	have, clean := current(svc)
	asIs := clean && d.equal(have)
	w := f.writes[name]
	switch {
	case w == nil || (w.unchanged && !w.want.equal(d)):
		if asIs {
			return false
		}
		f.writes[name] = &write{object: svc, want: d, why: a}
		return true
	case w.state == written || w.want.equal(d):
		return false // the next plan will see it, or it is on its way already
	case asIs && w.attempts == 0:
		delete(f.writes, name)
		return false
	}
	w.want, w.why = d, a // replaces what waits, or is sent if the attempt under way fails
	return w.attempts == 0
}

// begin hands out the write of name for sending; false when there is none.
func (f *inFlight) begin(name lb.Name) (*write, desired, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.writes[name]
	if w == nil || w.state != waiting {
		return nil, desired{}, false
	}
	w.state, w.sent = sending, w.want
	w.attempts++
	return w, w.sent, true
}

// outcome is how a write ended.
type outcome int

const (
	accepted outcome = iota
	noChange         // accepted, and the object was like that already
	refused          // certainly not done
	unknown          // perhaps done
)

// end records the outcome of what begin handed out, and says whether it must be sent again.
func (f *inFlight) end(w *write, o outcome) (again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch o {
	case accepted, noChange:
		w.state, w.doubtful, w.unchanged = written, nil, o == noChange
		return false
	case unknown:
		w.doubtful = unique(append(w.doubtful, w.sent.ingress...))
	}
	w.state = waiting
	return true
}

// size is the number of writes that are not settled.
func (f *inFlight) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.writes)
}
