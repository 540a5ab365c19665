package speaker

import (
	"context"
	"time"
)

const (
	// minPause is the least time between two readings of the caches; what comes meanwhile is one reading. The first news
	// after a quiet time is acted on at once. A reading goes through every Service, so with a short pause a burst of 2,000
	// new ones took the speakers of a small machine as much CPU as the API server needed to store them.
	minPause = 100 * time.Millisecond
	// pauseFactor stretches the pause to a multiple of what the last reading took, which bounds our share of a CPU to a fifth
	// in a large cluster that never rests.
	pauseFactor = 4
	// refreshRetry is the pause after caches that could not be read.
	refreshRetry = time.Second
)

// follow hands the world to the core whenever something in it has changed, until ctx ends.
func (s *Speaker) follow(ctx context.Context) error {
	for {
		pause := time.After(s.refresh(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-pause:
		}
		if !s.awaitNews(ctx) {
			return nil
		}
	}
}

// awaitNews returns true when the world has changed, and false when ctx has ended.
func (s *Speaker) awaitNews(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.pods:
			s.ring.Look()
		case <-s.wake:
			return true
		}
	}
}

// refresh reads the caches and hands over what they say. It returns how long to pause. Should they not be readable, the core goes
// on with what was read before.
func (s *Speaker) refresh(ctx context.Context) time.Duration {
	begin := time.Now()
	w, err := s.world(ctx)
	s.metrics.have(w, err)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error(err, "deciding by what was known before")
			poke(s.wake)
		}
		return refreshRetry
	}
	s.core.Set(w)
	took := time.Since(begin)
	s.metrics.refresh.Observe(took.Seconds())
	return max(minPause, pauseFactor*took)
}
