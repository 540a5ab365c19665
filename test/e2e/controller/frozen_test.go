package controller

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestALeaderThatWakesUpGivesNothingTwice freezes the leader while it is writing, and wakes it while the lease is still its
// own, when another may be taking over, and long after. Beside the burst, Services come without a pause.
func TestALeaderThatWakesUpGivesNothingTwice(t *testing.T) {
	for _, c := range []struct {
		name   string
		frozen time.Duration
		ousted bool // another leads for certain before it wakes
	}{
		{"frozen-1s", time.Second, false},
		{"frozen-5s", 5 * time.Second, false},
		{"frozen-20s", 20 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.name)
			s.pool("p", "192.168.0.0/20")
			a := s.audit()
			old := s.start()
			holder := s.leader("")
			s.start()
			finish := s.createServices()
			s.grows(a)
			burst := s.burst(200)
			s.grows(a) // it is in the middle of it
			old.signal(t, syscall.SIGSTOP)
			stopped := time.Now()
			if c.ousted {
				s.leader(holder)
				s.grows(a)
			}
			if err := burst(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(stopped.Add(c.frozen))) // the time is what is tested
			old.signal(t, syscall.SIGCONT)
			woken := time.Now()
			s.grows(a)
			grown := time.Since(woken)
			n := finish() + 200
			s.eventually(func() string {
				if a.served() != n {
					return fmt.Sprintf("%d of %d Services have an address", a.served(), n)
				}
				return ""
			})
			t.Logf("20 more Services had an address %v after the old leader was woken, all %d after %v", grown, n, time.Since(woken))
		})
	}
}

// TestALeaderThatWakesUpWritesNothingThatItHadDecided: resourceVersion does not protect here. The frozen leader has an address
// for a Service on its way, which nobody changes meanwhile, and the next leader gives that address to another.
func TestALeaderThatWakesUpWritesNothingThatItHadDecided(t *testing.T) {
	s := newStage(t, "woken")
	s.pool("p", "192.168.1.0/24")
	deny := s.denyStatusWrites("denied")
	a := s.audit()
	old := s.start()
	holder := s.leader("")
	denied := s.newService("denied")
	denied.Labels = map[string]string{"denied": "true"}
	s.create(denied)
	s.eventually(func() string { return differ(s.reasons("denied"), "StatusWriteFailed", 1) })
	old.signal(t, syscall.SIGSTOP) // it will try .0 again when it wakes
	onlyOld := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"validations":[{"expression":"`+
		`!(has(object.metadata.labels) && 'denied' in object.metadata.labels) || has(object.status.loadBalancer.ingress) && `+
		`object.status.loadBalancer.ingress.exists(i, i.ip == '192.168.1.0')"}]}}`))
	if err := s.Patch(s.ctx, deny[1], onlyOld); err != nil {
		t.Fatal(err)
	}
	other := s.newService("other")
	other.Annotations = map[string]string{"metallb.io/loadBalancerIPs": "192.168.1.0"}
	s.create(other)
	s.start()
	s.leader(holder)
	s.hasAddress("other", "192.168.1.0")
	if got := addresses(s.get("denied")); got != "" {
		t.Fatalf("the denied one has %s", got)
	}
	old.signal(t, syscall.SIGCONT)
	time.Sleep(3 * time.Second) // it would write at once
	if got := addresses(s.get("denied")); got != "" {
		t.Errorf("the old leader wrote %s after it woke", got)
	}
	if n := a.served(); n != 1 {
		t.Errorf("%d addresses are held, want the one of the other", n)
	}
	for _, o := range deny {
		if err := s.Delete(s.ctx, o); err != nil {
			t.Fatal(err)
		}
	}
}

// burst creates n Services at once; the function that it returns waits until they are made.
func (s *stage) burst(n int) (wait func() error) {
	var all sync.WaitGroup
	errs := make([]error, n)
	for part := range 8 {
		all.Go(func() {
			for i := part; i < n; i += 8 {
				errs[i] = s.Create(s.ctx, s.newService(fmt.Sprintf("burst%04d", i)))
			}
		})
	}
	return func() error { all.Wait(); return errors.Join(errs...) }
}
