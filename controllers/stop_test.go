package controllers

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
)

// diary notes what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// notedLock is a lock whose release is noted.
type notedLock struct {
	fakeLock
	diary *diary
}

func (l *notedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	err := l.fakeLock.Update(ctx, r)
	if r.HolderIdentity == "" && err == nil {
		l.diary.note("the lease is released")
	}
	return err
}

// newManager returns a manager with our options, over the lock and without an API server.
func newManager(t *testing.T, lock resourcelock.Interface) manager.Manager {
	t.Helper()
	o := managerOptions(Options{Namespace: "metallb-system"}, lock)
	o.Logger = logr.Discard()
	o.NewCache = func(*rest.Config, cache.Options) (cache.Cache, error) { return &informertest.FakeInformers{}, nil }
	o.MapperProvider = func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return meta.NewDefaultRESTMapper(nil), nil }
	mgr, err := ctrl.NewManager(&rest.Config{Host: "127.0.0.1:1"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return mgr
}

// TestTheLeaseIsReleasedAfterTheLastWrite stops a manager while each of its writers waits for the API server and more is to be
// written.
func TestTheLeaseIsReleasedAfterTheLastWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &diary{}
		svc, late, p, q := service("s"), service("late"), newPool("p", "192.0.2.0/24"), newPool("q", "198.51.100.0/24")
		b := newBench(t, func(name string) error {
			log.note("begin " + name)
			time.Sleep(time.Second)
			log.note("end " + name)
			return nil
		}, &svc, &late, &p, &q)
		b.writer.fence = &Fence{}
		pools := newPoolWriter(b.client, "metallb-system", b.writer.fence, b.writer.events, b.metrics)
		mgr := newManager(t, b.writer.fence.Lock(&notedLock{diary: log}))
		for _, r := range []manager.Runnable{b.writer, pools} {
			if err := mgr.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- mgr.Start(ctx) }()
		<-mgr.Elected()

		b.writer.set(b.get(t, "s"), give("192.0.2.1"), allocate.Assignment{})
		time.Sleep(100 * time.Millisecond)
		pools.set([]allocate.Usage{{Pool: "p", AvailableIPv4: 255}, {Pool: "q", AvailableIPv4: 256}},
			map[string]*v1beta1.IPAddressPool{"p": &p, "q": &q})
		time.Sleep(100 * time.Millisecond)
		stop()
		synctest.Wait()
		b.writer.set(b.get(t, "late"), give("192.0.2.2"), allocate.Assignment{})
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []string{"begin s", "begin p", "end s", "end p", "the lease is released"}
		if d := cmp.Diff(want, log.read()); d != "" {
			t.Errorf("what happened (-want +got):\n%s", d)
		}
		if got, _ := current(b.get(t, "s")); len(got.ingress) != 1 {
			t.Error("the write under way was cut off")
		}
		wantEvents(t, b.events, eventAllocated)
	})
}

// TestTheManagerKeepsTheTimesThatTheFenceReckonsWith: a lease that ends later, or is given up later, than the fence believes
// would let two leaders write.
func TestTheManagerKeepsTheTimesThatTheFenceReckonsWith(t *testing.T) {
	o := managerOptions(Options{Namespace: "metallb-system"}, &fakeLock{})
	got := []time.Duration{*o.LeaseDuration, *o.RenewDeadline, *o.RetryPeriod}
	if d := cmp.Diff([]time.Duration{LeaseDuration, RenewDeadline, RetryPeriod}, got); d != "" {
		t.Errorf("lease, renewal and retry (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]time.Duration{5 * time.Second, 3 * time.Second, time.Second}, got); d != "" {
		t.Errorf("lease, renewal and retry as documented (-want +got):\n%s", d)
	}
	if pod := 30 * time.Second; *o.GracefulShutdownTimeout+RenewDeadline >= pod || *o.GracefulShutdownTimeout <= writeTimeout {
		t.Errorf("writers may take %v to end, want more than one write and less than a pod has", *o.GracefulShutdownTimeout)
	}
}
