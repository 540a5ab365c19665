package controller

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// auditor watches every version of every Service of a stage, and keeps what must never be: an address that two hold at
// one moment, or one that changes.
type auditor struct {
	mu    sync.Mutex
	held  map[string]string // address → Service
	of    map[string]string // Service → address
	wrong []string
}

func (a *auditor) see(svc *corev1.Service, gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	was, now := a.of[svc.Name], addresses(svc)
	if gone {
		now = ""
	}
	if was != "" && now != was && !gone {
		a.wrong = append(a.wrong, fmt.Sprintf("%s changed from %s to %q", svc.Name, was, now))
	}
	delete(a.held, was)
	a.of[svc.Name] = now
	if now == "" {
		return
	}
	if other := a.held[now]; other != "" && other != svc.Name {
		a.wrong = append(a.wrong, fmt.Sprintf("%s is held by %s and %s", now, other, svc.Name))
	}
	a.held[now] = svc.Name
}

// served is the number of Services that have an address.
func (a *auditor) served() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.held)
}

// audit starts an auditor; its verdict is checked when the test ends. A watch that the API server closes is resumed where
// it ended, so that no version is missed.
func (s *stage) audit() *auditor {
	s.t.Helper()
	a := &auditor{held: map[string]string{}, of: map[string]string{}}
	clients, err := kubernetes.NewForConfig(s.lab.RESTConfig())
	if err != nil {
		s.t.Fatal(err)
	}
	see := func(gone bool) func(any) {
		return func(obj any) {
			if svc, ok := obj.(*corev1.Service); ok {
				a.see(svc, gone)
			}
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(clients.CoreV1().RESTClient(), "services", s.name, fields.Everything()),
		ObjectType:    &corev1.Service{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: see(false), UpdateFunc: func(_, obj any) { see(false)(obj) }, DeleteFunc: see(true),
		},
	})
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() { informer.RunWithContext(ctx); close(done) }()
	s.t.Cleanup(func() {
		cancel()
		<-done
		for _, why := range a.wrong {
			s.t.Error(why)
		}
	})
	s.eventually(func() string {
		if !informer.HasSynced() {
			return "the auditor has not seen the Services yet"
		}
		return ""
	})
	return a
}

// leader waits until a lease holder other than the given one is there, and returns it.
func (s *stage) leader(before string) (holder string) {
	s.t.Helper()
	s.eventually(func() string {
		var lease coordinationv1.Lease
		err := s.Get(s.ctx, client.ObjectKey{Namespace: s.poolNamespace(), Name: "steelyard-controller"}, &lease)
		if err == nil && lease.Spec.HolderIdentity != nil {
			holder = *lease.Spec.HolderIdentity
		}
		if holder == "" || holder == before {
			return fmt.Sprintf("the leader is %q, want another (%v)", holder, err)
		}
		return ""
	})
	return holder
}

// grows waits until 20 more Services have an address.
func (s *stage) grows(a *auditor) {
	s.t.Helper()
	from := a.served()
	s.eventually(func() string {
		if a.served() < from+20 {
			return fmt.Sprintf("%d Services served after %d", a.served(), from)
		}
		return ""
	})
}

// createServices creates one Service after the other until finish is called, which returns how many there are.
func (s *stage) createServices() (finish func() int) {
	stop, created := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { created <- n }()
		for {
			select {
			case <-stop:
				return
			case <-s.ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			if s.Create(s.ctx, s.newService(fmt.Sprintf("s%04d", n))) == nil {
				n++
			}
		}
	}()
	return func() int { close(stop); return <-created }
}

// TestNoAddressIsGivenTwiceWhileLeadersComeAndGo creates Services without a pause while the leader is stopped, killed, and
// frozen for longer than its lease and woken again.
func TestNoAddressIsGivenTwiceWhileLeadersComeAndGo(t *testing.T) {
	s := newStage(t, "leaders")
	s.pool("p", "192.168.0.0/20")
	a := s.audit()
	finish := s.createServices()
	grows := func() { t.Helper(); s.grows(a) }
	first := s.start()
	holder := s.leader("")
	grows()
	second := s.start()
	first.stop(syscall.SIGTERM) // hands over the lease
	holder = s.leader(holder)
	grows()
	third := s.start()
	second.stop(syscall.SIGKILL) // the lease must end
	holder = s.leader(holder)
	grows()
	fourth := s.start()
	third.signal(t, syscall.SIGSTOP) // in the middle of the burst
	holder = s.leader(holder)
	grows()
	third.signal(t, syscall.SIGCONT) // believes that it leads
	grows()
	fourth.stop(syscall.SIGTERM) // and the third, which lost the lease without ending, leads again
	s.leader(holder)
	grows()
	n := finish()
	s.eventually(func() string {
		if a.served() != n {
			return fmt.Sprintf("%d of %d Services have an address", a.served(), n)
		}
		return ""
	})
}

func TestAnAPIServerThatGoesAwayAndComesBackLosesNothing(t *testing.T) {
	s := newStage(t, "outage")
	s.pool("p", "192.168.1.0/24")
	s.start()
	s.service("before")
	s.hasAddress("before", "192.168.1.0")
	before := s.versions()
	if err := s.lab.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(6 * time.Second) // longer than the lease: the leader must give up, not end
	if err := s.lab.StartAPIServer(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.service("after")
	s.hasAddress("after", "192.168.1.1")
	if now := s.versions()["before"]; now != before["before"] {
		t.Errorf("before was %s and is %s", before["before"], now)
	}
}

// TestAnAddressIsReleasedBeforeItIsGivenOn: the address that one leaves by its own wish goes to the one that waits for it,
// and at no moment do both have it.
func TestAnAddressIsReleasedBeforeItIsGivenOn(t *testing.T) {
	s := newStage(t, "handover")
	s.pool("p", "192.168.1.0/31")
	s.pool("q", "192.168.2.0/32")
	s.start()
	s.service("mover")
	s.hasAddress("mover", "192.168.1.0")
	s.service("stays")
	s.hasAddress("stays", "192.168.1.1")
	waiter := s.newService("waiter")
	waiter.Annotations = map[string]string{"metallb.io/address-pool": "p"}
	s.create(waiter)
	s.waits("waiter", "Exhausted")
	a := s.audit()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"metallb.io/loadBalancerIPs":"192.168.2.0"}}}`))
	if err := s.Patch(s.ctx, s.get("mover"), patch); err != nil {
		t.Fatal(err)
	}
	s.hasAddress("waiter", "192.168.1.0")
	s.hasAddress("mover", "192.168.2.0")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wrong = dropMove(a.wrong, "mover changed from 192.168.1.0 to \"192.168.2.0\"")
}

// dropMove removes the one change that the test asked for.
func dropMove(wrong []string, move string) []string {
	var out []string
	for _, w := range wrong {
		if w != move {
			out = append(out, w)
		}
	}
	return out
}
