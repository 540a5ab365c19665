package controllers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// TestWhoWaitsIsNotWrittenWhenOthersComeAndGo: many Services wait at a full pool. What happens to its addresses is written to the
// pool, and of the Services only to those that get one.
func TestWhoWaitsIsNotWrittenWhenOthersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd = 20
		c := newCrowd(t)
		for i := range 4 + crowd {
			c.create(fmt.Sprintf("s%03d", i))
		}
		c.settled(4 + crowd) // each once: four have an address, the others are told that they wait
		c.delete("s000")
		c.settled(0) // its address is kept for it
		c.see("192.0.2.9")
		c.see("192.0.2.1")
		c.settled(0)
		c.delete("s002")
		c.settled(0)
		c.create("late")
		c.settled(1)
		time.Sleep(retention)
		c.settled(2) // the two addresses are free again, and two get them
		if got := c.pool("p").Status; got.AssignedIPv4 != 4 || len(got.Retained) != 0 {
			t.Errorf("the pool says %d in use and %d kept, want 4 and none", got.AssignedIPv4, len(got.Retained))
		}
	})
}

const retention = 12 * time.Second

// crowd is a play with a pool of four addresses that keeps those of deleted Services for a while, and counts writes.
type crowd struct {
	*play
	mu     sync.Mutex
	writes int // statuses of Services
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	pool := newPool("p", "192.0.2.0/30")
	pool.Spec.RetainFor = &metav1.Duration{Duration: retention}
	c := &crowd{play: &play{t: t, of: map[string]string{}, planner: newPlanner(t, nil)}}
	c.client = newAPI(t, c.patched, &pool)
	c.cache = &mirror{live: c.client}
	c.planner.lister.reader = c.cache
	w, pools := c.planner.writer, c.planner.pools
	w.client, w.fence, w.events = c.client, held(), &reporter{recorder: events.NewFakeRecorder(1000)}
	pools.client, pools.fence, pools.events = w.client, w.fence, w.events
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = w.Start(ctx) })
	all.Go(func() { _ = pools.Start(ctx) })
	all.Go(func() { c.plan(ctx) })
	t.Cleanup(func() { stop(); all.Wait() })
	return c
}

func (c *crowd) patched(_ context.Context, name string, apply func() error) error {
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	if name != "p" {
		c.mu.Lock()
		c.writes++
		c.mu.Unlock()
	}
	return apply()
}

// settled waits until nothing changes any more, and compares the number of writes since it was called last.
func (c *crowd) settled(want int) {
	c.t.Helper()
	time.Sleep(2 * time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes != want {
		c.t.Errorf("%d statuses of Services were written, want %d", c.writes, want)
	}
	c.writes = 0
}

func (c *crowd) delete(name string) {
	c.t.Helper()
	if err := c.client.Delete(c.t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}); err != nil {
		c.t.Error(err)
	}
}

func (c *crowd) pool(name string) *v1beta1.IPAddressPool {
	return poolBench{bench: &bench{client: c.client}}.pool(c.t, name)
}

// see reports a stranger that answers for an address, as a speaker does.
func (c *crowd) see(addr string) {
	c.t.Helper()
	p := c.pool("p")
	p.Status.Conflicts = append(p.Status.Conflicts, v1beta1.AddressConflict{Address: addr, Node: "n", Until: metav1.NewTime(time.Now().Add(20 * time.Minute).Truncate(time.Second))})
	if err := c.client.Status().Update(c.t.Context(), p); err != nil {
		c.t.Error(err)
	}
}
