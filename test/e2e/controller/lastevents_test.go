package controller

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestEventsThatWaitWhenTheLeaderIsAskedToEndAreSentFirst: a burst is served, its Events are not all sent yet.
func TestEventsThatWaitWhenTheLeaderIsAskedToEndAreSentFirst(t *testing.T) {
	const n = 100 // as many as are sent at the end
	s := newStage(t, "lastevents")
	s.pool("p", "192.168.0.0/20")
	a := s.audit()
	r := s.start()
	if err := s.burst(n)(); err != nil {
		t.Fatal(err)
	}
	s.eventually(func() string {
		if a.served() != n {
			return fmt.Sprintf("%d of %d served", a.served(), n)
		}
		return ""
	})
	before := s.assigned()
	began := time.Now()
	r.stop(syscall.SIGTERM)
	took := time.Since(began)
	s.eventually(func() string {
		if got := s.assigned(); got != n {
			return fmt.Sprintf("%d of %d Events have arrived, %d of them before SIGTERM", got, n, before)
		}
		return ""
	})
	t.Logf("%d of %d Events had arrived before SIGTERM, all after it; the end took %v", before, n, took)
}

// assigned is the number of Events that tell of an address.
func (s *stage) assigned() (n int) {
	s.t.Helper()
	var list eventsv1.EventList
	if err := s.List(s.ctx, &list, client.InNamespace(s.name)); err != nil {
		s.t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.Reason == "IPAllocated" {
			n++
		}
	}
	return n
}
