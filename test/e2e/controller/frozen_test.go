package controller

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"
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
