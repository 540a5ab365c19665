package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// scaleResult is what was measured of one controller among thousands of Services.
type scaleResult struct {
	floor, burst period        // of status writes
	sinceStart   time.Duration // from the start of the process to the last address
	rss          int64         // after the burst
	cpu          time.Duration // of the controller from its start to the last address
	freshRSS     int64         // of a process that found all addresses given
	ready        samples       // process started → caches filled
	afterReady   samples       // caches filled → first new address
	restarted    samples       // process started after a clean stop → first new address
	killed       samples       // kill -9, at once started again → first new address
	terminated   samples       // of two replicas the leader is asked to end → first new address by the other
	murdered     samples       // of two replicas the leader is killed → first new address by the other
}

// stage is a controller, an API server and a crowd of Services.
type stage struct {
	*bench
	brain brain
	crowd *arrivals
	late  int         // Services made after the crowd
	begun int         // processes
	ports map[int]int // of the replicas
}

// crowdNamespaces are where the pool and the crowd are.
const crowdNamespaces = `
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: bench-crowd}
`

const crowdPoolObject = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: bench-crowd, namespace: metallb-system}
spec: {addresses: [10.200.0.0/15], autoAssign: false}
`

// atScale measures one controller in a lab of its own.
func (b *bench) atScale(ctx context.Context, c brain) (r scaleResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	b.progress("%s: an API server comes up", c.title)
	l, err := lab.Up(ctx, lab.Options{Tier: lab.APIOnly, Name: b.LabName, Log: os.Stderr})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	api, err := rig.Client(l)
	if err != nil {
		return r, err
	}
	s := &stage{bench: &bench{Rig: &rig.Rig{Lab: l, API: api}, options: b.options, start: b.start}, brain: c, ports: map[int]int{}}
	if err := s.furnish(ctx); err != nil {
		return r, err
	}
	var stop func()
	if s.crowd, stop, err = watchAll(ctx, l); err != nil {
		return r, err
	}
	defer stop()
	if err := s.bursts(ctx, &r); err != nil {
		return r, err
	}
	if b.has("scale") {
		if err := s.restarts(ctx, &r); err != nil {
			return r, err
		}
		if err := s.kills(ctx, &r); err != nil {
			return r, err
		}
	}
	if b.has("leader") && c.elects {
		err = s.leaders(ctx, &r)
	}
	return r, err
}

func (s *stage) furnish(ctx context.Context) error {
	if _, err := s.Lab.Kubectl(ctx, crowdNamespaces, "apply", "-f", "-"); err != nil {
		return err
	}
	for _, m := range s.brain.manifests {
		if _, err := s.Lab.Kubectl(ctx, "", "apply", "--server-side", "--force-conflicts", "-f", m); err != nil {
			return err
		}
	}
	return rig.Poll(ctx, func() error { // until the CRD is served
		_, err := s.Lab.Kubectl(ctx, crowdPoolObject, "apply", "-f", "-")
		return err
	})
}

// floors is how often the floor is measured. The shortest counts: the first comes when the API server is still busy with what
// making the Services left behind.
const floors = 3

// bursts measures the floor and then the controller, on the same Services and in the same way: they are there before, and the
// time is from the first address that a watch shows to the last.
func (s *stage) bursts(ctx context.Context, r *scaleResult) (err error) {
	s.progress("%s: making %d Services", s.brain.title, s.Scale)
	if err := inParallel(s.Scale, func(i int) error { return s.API.Create(ctx, crowdService(i)) }); err != nil {
		return fmt.Errorf("creating Services: %w", err)
	}
	for i := range floors {
		s.progress("%s: the floor, a bare loop patches their statuses, %d of %d", s.brain.title, i+1, floors)
		took, err := s.bareLoop(ctx)
		if err != nil {
			return err
		}
		s.progress("%s: it took %v", s.brain.title, took.length())
		if i == 0 || took.length() < r.floor.length() {
			r.floor = took
		}
	}
	s.progress("%s: the controller starts", s.brain.title)
	start := time.Now()
	if err := s.begin(1); err != nil {
		return err
	}
	if r.burst, err = s.crowd.await(ctx, s.Scale); err != nil {
		return err
	}
	r.sinceStart = r.burst.last.Sub(start)
	s.progress("%s: %v from the first to the last address", s.brain.title, r.burst.length())
	r.rss, r.cpu, err = s.uses(ctx)
	return err
}

// bareLoop writes an address into the status of each Service, as many at a time as Steelyard's controller does and with the
// same kind of client, and takes them away again.
func (s *stage) bareLoop(ctx context.Context) (took period, err error) {
	write := func(ingress func(i int) string) error {
		return inParallelBy(bareWriters, s.Scale, func(i int) error {
			patch := `{"status":{"loadBalancer":{"ingress":` + ingress(i) + `}}}`
			return s.API.Status().Patch(ctx, crowdService(i), client.RawPatch("application/merge-patch+json", []byte(patch)))
		})
	}
	err = write(func(i int) string { return fmt.Sprintf(`[{"ip":"10.200.%d.%d"}]`, i>>8, i&255) })
	if err != nil {
		return took, fmt.Errorf("patching statuses: %w", err)
	}
	if took, err = s.crowd.await(ctx, s.Scale); err != nil {
		return took, err
	}
	if err := write(func(int) string { return "null" }); err != nil {
		return took, fmt.Errorf("clearing statuses: %w", err)
	}
	return took, s.crowd.empty(ctx)
}

// bareWriters is how many status writes Steelyard's controller has under way.
const bareWriters = 32

// restarts ends the controller and starts it again, among all Services.
func (s *stage) restarts(ctx context.Context, r *scaleResult) error {
	for i := range s.Tries {
		s.progress("%s: restart %d of %d", s.brain.title, i+1, s.Tries)
		if err := s.end(1, syscall.SIGTERM); err != nil {
			return err
		}
		name, err := s.newcomer(ctx)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := s.begin(1); err != nil {
			return err
		}
		if s.brain.probed {
			if err := s.ready(ctx, 1); err != nil {
				return err
			}
		}
		ready := time.Now()
		served, err := s.crowd.served(ctx, name)
		if err != nil {
			return err
		}
		r.restarted = append(r.restarted, served.Sub(start))
		if s.brain.probed {
			r.ready, r.afterReady = append(r.ready, ready.Sub(start)), append(r.afterReady, max(served.Sub(ready), 0))
		}
	}
	var err error
	r.freshRSS, _, err = s.uses(ctx)
	return err
}

// kills kills the controller and starts it again at once, among all Services.
func (s *stage) kills(ctx context.Context, r *scaleResult) error {
	for i := range s.Tries {
		s.progress("%s: kill -9 and restart, %d of %d", s.brain.title, i+1, s.Tries)
		start := time.Now()
		if err := errors.Join(s.end(1, syscall.SIGKILL), s.begin(1)); err != nil {
			return err
		}
		took, err := s.firstAfter(ctx, start)
		if err != nil {
			return err
		}
		r.killed = append(r.killed, took)
	}
	return nil
}

// leaders ends the leader of two replicas, gently and not.
func (s *stage) leaders(ctx context.Context, r *scaleResult) error {
	leader, standby := 1, 2
	for _, c := range []struct {
		how  syscall.Signal
		into *samples
	}{{syscall.SIGTERM, &r.terminated}, {syscall.SIGKILL, &r.murdered}} {
		for i := range s.Tries {
			s.progress("%s: the leader gets %v, %d of %d", s.brain.title, c.how, i+1, s.Tries)
			if err := errors.Join(s.begin(standby), s.ready(ctx, standby)); err != nil {
				return err
			}
			start := time.Now()
			if err := s.end(leader, c.how); err != nil {
				return err
			}
			took, err := s.firstAfter(ctx, start)
			if err != nil {
				return err
			}
			*c.into = append(*c.into, took)
			leader, standby = standby, leader
		}
	}
	return nil
}

// firstAfter makes a Service and returns how long after start it had its address.
func (s *stage) firstAfter(ctx context.Context, start time.Time) (time.Duration, error) {
	name, err := s.newcomer(ctx)
	if err != nil {
		return 0, err
	}
	served, err := s.crowd.served(ctx, name)
	return served.Sub(start), err
}

// newcomer makes one Service more and returns its name.
func (s *stage) newcomer(ctx context.Context) (string, error) {
	svc := crowdService(s.Scale + s.late)
	s.late++
	if err := s.API.Create(ctx, svc); err != nil {
		return "", fmt.Errorf("creating a Service: %w", err)
	}
	return svc.Name, nil
}
