package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
)

var poolResource = schema.GroupResource{Group: v1beta1.GroupVersion.Group, Resource: "ipaddresspools"}

// poolBench is a poolWriter that runs on a fake API server; fail decides the fate of each patch by the name of the pool.
type poolBench struct {
	*bench
	pools *poolWriter
}

func runPools(t *testing.T, fail func(name string) error, names []string, do func(b poolBench)) {
	t.Helper()
	var objects []client.Object
	for _, name := range names {
		p := newPool(name, "192.0.2.0/24")
		objects = append(objects, &p)
	}
	b := poolBench{bench: newBench(t, fail, objects...)}
	b.writer.queue.ShutDown() // these tests do not run it
	b.pools = newPoolWriter(b.client, "metallb-system", held(), b.writer.events, b.metrics)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.pools.Start(ctx) }()
	do(b)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func (b poolBench) pool(t *testing.T, name string) *v1beta1.IPAddressPool {
	t.Helper()
	var p v1beta1.IPAddressPool
	if err := b.client.Get(context.Background(), client.ObjectKey{Namespace: "metallb-system", Name: name}, &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

// plan is what a plan says in which each of the pools has that many addresses in use.
func (b poolBench) plan(t *testing.T, used int64, names ...string) {
	t.Helper()
	var usage []allocate.Usage
	have := map[string]*v1beta1.IPAddressPool{}
	for _, name := range names {
		usage = append(usage, allocate.Usage{Pool: name, AssignedIPv4: used, AvailableIPv4: 256 - used})
		have[name] = b.pool(t, name)
	}
	b.pools.set(usage, have)
}

func TestAPoolThatCannotBeWrittenIsTriedSeldomHoweverOftenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var denied atomic.Bool
		var attempts atomic.Int64
		denied.Store(true)
		fail := func(name string) error {
			if name != "denied" {
				return nil
			}
			attempts.Add(1)
			if denied.Load() {
				return apierrors.NewForbidden(poolResource, name, errors.New("by a policy"))
			}
			return nil
		}
		runPools(t, fail, []string{"denied", "fine"}, func(b poolBench) {
			for i := range int64(100) {
				b.plan(t, i+1, "denied", "fine")
				time.Sleep(100 * time.Millisecond)
			}
			if n := attempts.Load(); n < 4 || n > 9 {
				t.Errorf("%d attempts in 10 s of a burst, want a growing delay from 100 ms on", n)
			}
			if n := b.pool(t, "fine").Status.AssignedIPv4; n < 95 {
				t.Errorf("the pool beside the denied one says %d in use, want about 100", n)
			}
			denied.Store(false)
			time.Sleep(10 * time.Second)
			if n := b.pool(t, "denied").Status.AssignedIPv4; n != 100 {
				t.Errorf("after the policy has gone the pool says %d in use, want 100", n)
			}
			if n := testutil.ToFloat64(b.metrics.WriteErrors.WithLabelValues("pool")); int64(n) != attempts.Load()-1 {
				t.Errorf("write errors = %v, want %d", n, attempts.Load()-1)
			}
			wantEvents(t, b.events, eventNotWritten)

			denied.Store(true) // again, and again from the short delay on
			before := attempts.Load()
			b.plan(t, 200, "denied", "fine")
			time.Sleep(10 * time.Second)
			if n := attempts.Load() - before; n != 7 { // at 0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3 s
				t.Errorf("%d attempts in 10 s of the next row, want 7", n)
			}
			wantEvents(t, b.events, eventNotWritten)
		})
	})
}

func TestThePauseOfOnePoolHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("p%02d", i))
		}
		var patches atomic.Int64
		runPools(t, func(string) error { patches.Add(1); return nil }, names, func(b poolBench) {
			b.plan(t, 1, names...)
			time.Sleep(100 * (poolGap + time.Millisecond))
			for _, name := range names {
				if n := b.pool(t, name).Status.AssignedIPv4; n != 1 {
					t.Errorf("%s says %d in use after 2 s, want 1", name, n)
				}
			}
			before := patches.Load()
			for i := range int64(50) {
				b.plan(t, i+2, "p00")
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Second)
			if n := patches.Load() - before; n < 10 || n > 12 {
				t.Errorf("%d writes of a pool that changes all the time, in 5 s; want one in %v", n, poolRest)
			}
			if n := b.pool(t, "p00").Status.AssignedIPv4; n != 51 {
				t.Errorf("it says %d in use, want the last, 51", n)
			}
		})
	})
}

// TestAPoolThatChangesMeanwhileIsReadAgain: a speaker reports a conflict between the look at the pool and the write.
func TestAPoolThatChangesMeanwhileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b poolBench
		reported := false
		report := func(string) error {
			if reported {
				return nil
			}
			reported = true
			p := b.pool(t, "p")
			p.Status.Conflicts = []v1beta1.AddressConflict{{Address: "192.0.2.9", Node: "n", Until: inAnHour()}}
			return b.client.Status().Update(context.Background(), p)
		}
		runPools(t, report, []string{"p"}, func(running poolBench) {
			b = running
			b.plan(t, 7, "p")
			time.Sleep(time.Second)
			if got := b.pool(t, "p").Status; got.AssignedIPv4 != 7 || len(got.Conflicts) != 1 {
				t.Errorf("status %+v, want 7 in use beside what the speaker reported", got)
			}
			if n := testutil.ToFloat64(b.metrics.WriteErrors.WithLabelValues("pool")); n != 0 {
				t.Errorf("%v write errors: a pool that changed is none", n)
			}
		})
	})
}

func inAnHour() metav1.Time { return metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)) }
