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
	// minPause is the least time between two passes for news from the API server; what comes meanwhile is one pass. The first
	// news after a quiet time is acted on at once. A pass reads every Service, so with a short pause a burst of 2,000 new ones
	// took the speakers of a small machine as much CPU as the API server needed to store them.
	minPause = 100 * time.Millisecond
	// pauseFactor stretches the pause to a multiple of what the last pass took, reading included, which bounds our share of a
	// CPU to a fifth in a large cluster that never rests.
	pauseFactor = 4
	// refreshRetry is the pause after caches that could not be read.
	refreshRetry = time.Second
)

// loop decides whenever something has changed, until ctx ends. News from gossip and from the interfaces is acted on at once, with
// what the API server said last: it may be a death. News from the API server waits for the pause to be over.
func (s *Speaker) loop(ctx context.Context) {
	s.pass() // awaitPeers has refreshed
	s.Probes.Ready()
	pause := time.After(minPause)
	var wake <-chan struct{} // nil while we pause
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
		if ctx.Err() != nil {
			return // stop deciding: the world may look different already because of us
		}
		pause, wake = time.After(s.step(ctx, refresh)), nil
	}
}

// step is one round of the loop. It returns for how long to pause.
func (s *Speaker) step(ctx context.Context, refresh bool) time.Duration {
	begin, least := time.Now(), minPause
	if refresh && !s.refresh(ctx) {
		least = refreshRetry
	}
	s.pass()
	return max(least, pauseFactor*time.Since(begin))
}

// refresh reads the caches for the passes that follow. Should that fail, it returns false and they go on with what was read before.
func (s *Speaker) refresh(ctx context.Context) bool {
	begin := time.Now()
	v, err := s.view(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error(err, "deciding by what was known before")
			poke(s.wake)
		}
		return false
	}
	s.seen = v
	s.metrics.refresh.Observe(time.Since(begin).Seconds())
	return true
}

// pass decides once, by what refresh has read and gossip says, and acts on it.
func (s *Speaker) pass() {
	begin := time.Now()
	v := s.seen
	v.Speakers = s.ring.Members()
	d := ownership.Decide(v)
	s.Wire.Set(d.Answers(s.Node))
	s.report(v, d)
	s.status.set(statusFor(v, d))
	s.metrics.pass.Observe(time.Since(begin).Seconds())
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
	s.tellMistakes(v.Advertisements, spokesman)
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
