package speaker

import (
	"context"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

const (
	// minPause is the least time between two passes for news from the API server; what comes meanwhile is one pass.
	minPause = 20 * time.Millisecond
	// pauseFactor stretches the pause to a multiple of what the last pass took, which bounds our share of a CPU to a third in a
	// large cluster that never rests.
	pauseFactor = 2
)

// loop decides whenever something has changed, until ctx ends. News from gossip and from the interfaces is acted on at once, with
// what the API server said last: it may be a death. News from the API server waits for the pause to be over.
func (s *Speaker) loop(ctx context.Context) {
	var wake <-chan struct{} // nil while we pause
	pause := time.After(s.pass(ctx, true))
	s.Probes.Ready()
	for {
		refresh := false
		select {
		case <-ctx.Done():
			return
		case <-s.pods:
			s.ring.Look()
			continue
		case <-pause:
			wake = s.wake
			continue
		case <-s.ring.Changed():
		case <-s.Wire.Changed():
			s.ring.SetInterfaces(s.Wire.Interfaces())
		case <-wake:
			refresh = true
		}
		pause, wake = time.After(s.pass(ctx, refresh)), nil
	}
}

// pass decides once and acts on it; with refresh it reads the caches first. It returns for how long to pause.
func (s *Speaker) pass(ctx context.Context, refresh bool) time.Duration {
	if ctx.Err() != nil {
		return minPause
	}
	begin := time.Now()
	if refresh {
		v, err := s.view(ctx)
		if err != nil {
			s.Log.Error(err, "deciding later")
			poke(s.wake)
			return time.Second
		}
		s.seen = v
	}
	v := s.seen
	v.Speakers = s.ring.Members()
	d := ownership.Decide(v)
	s.Wire.Set(d.Answers(s.Node))
	s.report(v, d)
	s.status.set(statusFor(v, d))
	took := time.Since(begin)
	s.metrics.pass.Observe(took.Seconds())
	return max(minPause, pauseFactor*took)
}

// report logs and counts what has changed since the last pass, and keeps the decision for the next.
func (s *Speaker) report(v ownership.View, d ownership.Decision) {
	// What concerns nobody's address is told by one speaker for all.
	spokesman := len(v.Speakers) > 0 && v.Speakers[0].Node == s.Node
	s.uids = make(map[lb.Name]types.UID, len(v.Services))
	for _, svc := range v.Services {
		s.uids[svc.Name] = types.UID(svc.UID)
	}
	for _, c := range changes(s.last, d) {
		s.tell(c, spokesman)
	}
	s.last = make(map[netip.Addr]ownership.Address, len(d.Addresses))
	owned, unowned := 0, 0
	for _, a := range d.Addresses {
		s.last[a.Addr] = a
		switch a.Owner {
		case s.Node:
			owned++
		case "":
			unowned++
		}
	}
	s.metrics.owned.Set(float64(owned))
	s.metrics.unowned.Set(float64(unowned))
	s.announced = nil
}
