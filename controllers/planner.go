package controllers

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// planner is the reconciler: it has one key, so it runs once at a time, and each run looks at the whole world.
type planner struct {
	lister  *lister
	barrier *barrier
	writer  *writer
	pools   *poolWriter
	metrics *Metrics
	memory  memory
	recent  atomic.Pointer[[]netip.Addr] // World.Recent of the last plan, for StatusPage
	now     func() time.Time

	// notBefore spaces plans out: after one that took d, the next starts pace*d later at the earliest, or busyPace*d while
	// statuses wait to be written, but maxPause later at most. While many wait, a new one would only wait behind them: then it is
	// burstPace*d, but at most perStatus for each, half of what they take. A lone Service is served at once, and in a burst of
	// thousands the time is left for writing.
	notBefore time.Time
}

const (
	pace      = 3
	busyPace  = 10
	maxPause  = 300 * time.Millisecond // also when a plan took long because the process was stopped in it
	burstPace = 30
	perStatus = time.Millisecond
	many      = 10 * writers
)

// Reconcile makes one plan and hands the writes to the writers. It does not wait for them.
func (p *planner) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	start := p.now()
	if wait := p.notBefore.Sub(start); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	s, err := p.lister.list(ctx)
	if err != nil {
		p.metrics.failed()
		return reconcile.Result{}, err
	}
	if wait, err := p.barrier.passed(ctx, s); wait > 0 || err != nil {
		return reconcile.Result{RequeueAfter: wait}, err
	}
	p.writer.flights.settle(&s)
	p.memory.recall(&s, start)
	p.recent.Store(&s.world.Recent)
	planning := p.now()
	r := allocate.Plan(s.world)
	p.metrics.PlanSeconds.Observe(p.now().Sub(planning).Seconds())
	p.metrics.Observe(r)
	p.memory.remember(r)
	p.write(s, r)
	took := p.now().Sub(start)
	p.notBefore = p.now().Add(p.pause(took))
	log.FromContext(ctx).V(1).Info("planned", "services", len(r.Services), "pools", len(r.Pools),
		"writes", p.writer.flights.size(), "duration", took.String())
	return reconcile.Result{RequeueAfter: wake(s.world, start)}, nil
}

// recentlyFreed are the addresses that the last plan found freed lately; they are only read.
func (p *planner) recentlyFreed() []netip.Addr {
	if list := p.recent.Load(); list != nil {
		return *list
	}
	return nil
}

// pause is how long to wait after a plan that took so long.
func (p *planner) pause(took time.Duration) time.Duration {
	switch waiting := p.writer.queue.Len(); {
	case waiting > many:
		return min(burstPace*took, time.Duration(waiting)*perStatus)
	case waiting > 0:
		return min(busyPace*took, maxPause)
	}
	return min(pace*took, maxPause)
}

func (p *planner) write(s snapshot, r allocate.Result) {
	nouns := make(map[lb.Name]*lb.Service, len(s.world.Services))
	for i := range s.world.Services {
		nouns[s.world.Services[i].Name] = &s.world.Services[i]
	}
	for _, a := range r.Services {
		svc, noun := s.services[a.Service], nouns[a.Service]
		if noun.Deleting {
			continue // it keeps what it holds until it is gone, and nobody reads its status
		}
		d := want(a, noun.Managed)
		if len(a.After) > 0 {
			have, _ := current(svc)
			d = releaseFirst(a, have)
		}
		p.writer.set(svc, d, a)
	}
	p.pools.set(r.Pools, s.pools)
}
