package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// patching is one status write, as the API server sees it: apply does it.
type patching func(ctx context.Context, apply func() error) error

// TestNoFaultLosesAnAddressOrGivesItTwice lets the API server, or the watch of it, fail at the first write of one of many
// Services. More Services come while that is not settled.
func TestNoFaultLosesAnAddressOrGivesItTwice(t *testing.T) {
	gaveUp := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	internal := apierrors.NewInternalError(errors.New("etcd"))
	for _, c := range []struct {
		name  string
		fault func(p *play) patching
		tries int64 // writes of the Service that is hit; one suffices when the cache shows it before it is tried again
	}{
		{"none", func(*play) patching { return nil }, 1},
		{"another changes the Service first: a conflict", func(p *play) patching {
			return func(_ context.Context, apply func() error) error { return errors.Join(p.relabel("hit"), apply()) }
		}, 2},
		{"an internal error, and it was written", func(*play) patching {
			return func(_ context.Context, apply func() error) error { return errors.Join(apply(), internal) }
		}, 1},
		{"an internal error, and nothing was written", func(*play) patching {
			return func(context.Context, func() error) error { return internal }
		}, 2},
		{"refused by a policy", func(*play) patching {
			return func(context.Context, func() error) error {
				return apierrors.NewForbidden(services, "hit", errors.New("by a policy"))
			}
		}, 2},
		{"refused as invalid, which a policy may do too", func(*play) patching {
			return func(context.Context, func() error) error {
				return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "hit", nil)
			}
		}, 2},
		{"too many requests", func(*play) patching {
			return func(context.Context, func() error) error { return apierrors.NewTooManyRequests("later", 1) }
		}, 2},
		{"the API server gave up, and it was written", func(*play) patching {
			return func(_ context.Context, apply func() error) error {
				return errors.Join(apply(), apierrors.NewTimeoutError("gave up", 1))
			}
		}, 1},
		{"the Service is replaced meanwhile by one of its name", func(p *play) patching {
			return func(_ context.Context, apply func() error) error {
				p.replace("hit")
				return apply()
			}
		}, 2},
		{"a broken connection, and it was written", func(*play) patching {
			return func(_ context.Context, apply func() error) error { return errors.Join(apply(), errors.New("reset")) }
		}, 1},
		{"too slow, and nothing was written", func(*play) patching {
			return func(ctx context.Context, _ func() error) error { return gaveUp(ctx) }
		}, 2},
		{"too slow, and written before the client gave up", func(*play) patching {
			return func(ctx context.Context, apply func() error) error { return errors.Join(apply(), gaveUp(ctx)) }
		}, 1},
		{"too slow, and written before it is tried again", func(*play) patching {
			return func(ctx context.Context, apply func() error) error {
				time.AfterFunc(writeTimeout+firstRetry/2, func() { _ = apply() })
				return gaveUp(ctx)
			}
		}, 1},
		{"too slow, and written after it was tried again", func(*play) patching {
			return func(ctx context.Context, apply func() error) error {
				time.AfterFunc(writeTimeout+time.Second, func() { _ = apply() }) // in vain, the version has gone
				return gaveUp(ctx)
			}
		}, 2},
		{"the watch breaks, and the cache stands still", func(p *play) patching {
			return func(_ context.Context, apply func() error) error {
				p.cache.hold(true)
				time.AfterFunc(20*time.Second, func() { p.cache.hold(false) })
				return apply()
			}
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t)
				p.fault = c.fault(p)
				ctx, stop := context.WithCancel(t.Context())
				var all sync.WaitGroup
				all.Go(func() { _ = p.planner.writer.Start(ctx) })
				all.Go(func() { p.plan(ctx) })
				p.create("hit", "b", "c", "d")
				for i := range 8 {
					time.Sleep(200 * time.Millisecond)
					p.create(fmt.Sprintf("a%d", i)) // comes before "hit" in a plan
				}
				time.Sleep(30 * time.Second)
				stop()
				all.Wait()
				if len(p.of) != 12 || p.tries.Load() != c.tries {
					t.Errorf("%d Services have an address, want 12; the one that was hit was written %d times, want %d", len(p.of), p.tries.Load(), c.tries)
				}
			})
		})
	}
}

// play is a planner and a writer on a fake API server, with a cache that can stand still. It looks at every Service after
// every write.
type play struct {
	t       *testing.T
	client  client.Client
	cache   *mirror
	planner *planner

	fault patching // of the first write of the Service "hit"; nil: none
	tries atomic.Int64

	mu sync.Mutex
	of map[string]string // Service → address
}

func newPlay(t *testing.T) *play {
	t.Helper()
	pool := newPool("p", "192.0.2.0-192.0.2.11") // just enough, so that none is spared by chance
	p := &play{t: t, of: map[string]string{}, planner: newPlanner(t, nil)}
	p.client = newAPI(t, p.patched, &pool)
	p.cache = &mirror{live: p.client}
	p.planner.lister.reader = p.cache
	w := p.planner.writer
	w.client, w.fence, w.events = p.client, held(), &reporter{recorder: events.NewFakeRecorder(100)}
	return p
}

// patched is the API server's side of a status write.
func (p *play) patched(ctx context.Context, name string, apply func() error) error {
	watched := func() error {
		p.cache.mu.Lock() // the fake needs two steps, and the cache must not see the first alone
		defer p.cache.mu.Unlock()
		defer p.look()
		return apply()
	}
	if name != "hit" {
		return watched()
	}
	if p.tries.Add(1) > 1 || p.fault == nil {
		return watched()
	}
	return p.fault(ctx, watched)
}

// look compares all Services with what was seen before: nobody's address may change, and no two may have one.
func (p *play) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list corev1.ServiceList
	if err := p.client.List(context.Background(), &list); err != nil {
		p.t.Error(err)
	}
	holder := map[string]string{}
	for i := range list.Items {
		name := list.Items[i].Name
		had, _ := current(&list.Items[i])
		now := joined(had.ingress, ",")
		if was := p.of[name]; was != "" && now != was {
			p.t.Errorf("%s had %s and has %q", name, was, now)
		}
		if now == "" {
			continue
		}
		if holder[now] != "" {
			p.t.Errorf("%s and %s have %s", holder[now], name, now)
		}
		p.of[name], holder[now] = now, name
	}
}

func (p *play) create(names ...string) {
	p.t.Helper()
	for _, name := range names {
		svc := service(name)
		svc.ResourceVersion = ""
		if err := p.client.Create(context.Background(), &svc); err != nil {
			p.t.Fatal(err)
		}
	}
}

// relabel changes a Service as another controller might.
func (p *play) relabel(name string) error {
	var svc corev1.Service
	if err := p.client.Get(context.Background(), client.ObjectKey{Namespace: "default", Name: name}, &svc); err != nil {
		return err
	}
	svc.Labels = map[string]string{"changed": "meanwhile"}
	return p.client.Update(context.Background(), &svc)
}

// replace deletes a Service and makes one of its name.
func (p *play) replace(name string) {
	p.t.Helper()
	svc := service(name)
	svc.ResourceVersion, svc.UID = "", ""
	if err := p.client.Delete(context.Background(), &svc); err != nil {
		p.t.Error(err)
	}
	svc.UID = "uid-of-another"
	svc.ResourceVersion = ""
	if err := errors.Join(p.client.Create(context.Background(), &svc), p.relabel(name)); err != nil { // the fake's versions begin anew
		p.t.Error(err)
	}
}

// plan makes plans until ctx ends, far more often than there is anything new.
func (p *play) plan(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.cache.follow(ctx); err != nil {
			p.t.Error(err)
		}
		if _, err := p.planner.Reconcile(ctx, reconcile.Request{}); err != nil {
			p.t.Error(err)
		}
		time.Sleep(80 * time.Millisecond)
	}
}

// mirror is a cache: it shows what the API server had when it followed last.
type mirror struct {
	shelf
	live client.Reader

	mu   sync.Mutex
	held bool // its watch is broken
}

func (m *mirror) hold(held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = held
}

func (m *mirror) follow(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held {
		return nil
	}
	var svcs corev1.ServiceList
	var pools v1beta1.IPAddressPoolList
	err := errors.Join(m.live.List(ctx, &svcs), m.live.List(ctx, &pools))
	m.services, m.pools = svcs.Items, pools.Items
	return err
}
