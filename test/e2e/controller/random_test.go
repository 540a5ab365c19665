package controller

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// settleLimit bounds the way to a quiet point: a lease that must end, the barrier of a new leader, and a busy machine.
const settleLimit = 40 * time.Second

// TestRandomChangesWhileControllersDie makes random changes to Services and pools while two replicas are killed, stopped and
// frozen at random moments, and looks at every quiet point whether all is as it must be. DURATION (default 30s) is how long,
// SEED repeats the same changes; their interleaving with the controllers' work is never the same.
func TestRandomChangesWhileControllersDie(t *testing.T) {
	duration, err := time.ParseDuration(cmp.Or(os.Getenv("DURATION"), "30s"))
	if err != nil {
		t.Fatalf("DURATION: %v", err)
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SEED: %v", err)
		}
	}
	fmt.Printf("random changes for %v: SEED=%d\n", duration, seed) // also when the test does not end
	s := newStageFor(t, "random", duration+3*time.Minute)
	c := newChaos(s, seed)
	rounds := 0
	for end := time.Now().Add(duration); time.Now().Before(end); rounds++ {
		for range 5 + c.Int()%60 {
			c.step()
			time.Sleep(time.Duration(c.Int64()%30) * time.Millisecond)
		}
		c.audit()
	}
	t.Logf("SEED=%d: %d quiet points, %d changes, %d signals: all well", seed, rounds, len(c.events)-c.signals, c.signals)
}

// chaos makes random changes. Everything random is drawn in one goroutine, so a seed repeats them.
type chaos struct {
	*stage
	*rand.Rand
	observer *observer
	began    time.Time
	events   []string
	signals  int

	replicas [2]*replica
	frozen   [2]bool

	made    int // Services ever made, for their names
	alive   []string
	pools   pools           // as the API server has them
	touched map[string]bool // Services created, edited or deleted since the last quiet point
	steps   []pools         // all states of the pools since then
	before  map[string]*corev1.Service
}

func newChaos(s *stage, seed uint64) *chaos {
	c := &chaos{stage: s, Rand: rand.New(rand.NewPCG(seed, 0)), began: time.Now(), pools: pools{}, touched: map[string]bool{}}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("SEED=%d; what happened:\n%s", seed, strings.Join(c.events, "\n"))
		}
	})
	c.observer = s.observe()
	for i := range c.replicas {
		c.replicas[i] = s.start()
	}
	c.steps = []pools{{}}
	return c
}

func (c *chaos) note(format string, args ...any) {
	c.events = append(c.events, fmt.Sprintf("%8.3f ", time.Since(c.began).Seconds())+fmt.Sprintf(format, args...))
}

// pick returns one of the given things.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// step makes one change, or sends one signal.
func (c *chaos) step() {
	switch n := c.IntN(100); {
	case n < 32 && len(c.alive) < 60:
		c.createService()
	case n < 35 && len(c.alive) < 60:
		c.flood()
	case n < 50:
		c.deleteService()
	case n < 80:
		c.editService()
	case n < 92:
		c.changePool()
	default:
		c.disturb()
	}
}

// disturb kills, stops or freezes a replica, or brings one back.
func (c *chaos) disturb() {
	i := c.IntN(len(c.replicas))
	r := c.replicas[i]
	if r == nil || c.frozen[i] {
		c.revive(i)
		return
	}
	c.signals++
	sig := pick(c.Rand, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSTOP)
	c.note("replica %d: %v", i, sig)
	if sig == syscall.SIGSTOP {
		r.signal(c.t, sig)
		c.frozen[i] = true
		return
	}
	r.stop(sig)
	c.replicas[i] = nil
	if c.IntN(2) == 0 {
		c.revive(i)
	}
}

func (c *chaos) revive(i int) {
	switch {
	case c.replicas[i] == nil:
		c.note("replica %d: started", i)
		c.replicas[i] = c.start()
	case c.frozen[i]:
		c.note("replica %d: woken", i)
		c.replicas[i].signal(c.t, syscall.SIGCONT)
	}
	c.frozen[i] = false
}

// audit waits for a quiet point and looks at everything.
func (c *chaos) audit() {
	c.t.Helper()
	for i := range c.replicas {
		c.revive(i)
	}
	v := c.quiet()
	wrong := v.faults()
	for name, was := range c.before {
		now := v.services[name]
		if c.touched[name] || was.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		disputed := func(addr netip.Addr) bool { return c.observer.heldBy(addr, c.touched) }
		for _, addr := range lost(was, now, c.steps, disputed) {
			wrong = append(wrong, fmt.Sprintf("%s kept its request and lost %v: it had %v and has %v", name, addr, holds(was), holds(now)))
		}
	}
	wrong = append(wrong, c.observer.forget()...)
	c.note("quiet: %d Services, %d pools", len(v.services), len(v.pools))
	for _, w := range wrong {
		c.note("WRONG %s", w)
		c.t.Error(w)
	}
	if len(wrong) > 0 {
		c.t.FailNow()
	}
	c.before, c.touched, c.steps = v.services, map[string]bool{}, []pools{maps.Clone(c.pools)}
}

// quiet waits until a Service made after all other changes was looked at, and nothing has been written for a second.
func (c *chaos) quiet() view {
	c.t.Helper()
	sentinel := c.newRandomService()
	c.create(sentinel)
	c.note("create %s, the last of this round", wishOf(sentinel))
	deadline := time.Now().Add(settleLimit)
	var last map[string]string
	for since := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		now := c.versions()
		seen := allocated(c.get(sentinel.Name)).Type != ""
		if !seen || !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
		if time.Since(since) > time.Second {
			break
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("no quiet point within %v: the last Service was seen: %v", settleLimit, seen)
		}
	}
	v := view{services: map[string]*corev1.Service{}, pools: c.pools}
	var list corev1.ServiceList
	if err := c.List(c.ctx, &list, client.InNamespace(c.name)); err != nil {
		c.t.Fatal(err)
	}
	for i := range list.Items {
		v.services[list.Items[i].Name] = &list.Items[i]
	}
	return v
}

// block returns one of the 16 blocks of 8 addresses from which pools are made, half of them IPv6.
func block(i int) string {
	if i < 8 {
		return fmt.Sprintf("10.7.0.%d-10.7.0.%d", 8*i, 8*i+7)
	}
	return fmt.Sprintf("fd00:7::%x/125", 8*(i-8))
}

// universe is every address that a pool may have.
func universe() []netip.Addr {
	var out []netip.Addr
	for i := range 64 {
		out = append(out, netip.AddrFrom4([4]byte{10, 7, 0, byte(i)}), netip.MustParseAddr(fmt.Sprintf("fd00:7::%x", i)))
	}
	return out
}

// wishOf describes a Service's request in the log of events.
func wishOf(svc *corev1.Service) string {
	annotations := maps.Clone(svc.Annotations)
	delete(annotations, v1beta1.AnnotationAllocatedFromPool)
	var ports []string
	for _, p := range svc.Spec.Ports {
		ports = append(ports, fmt.Sprintf("%s/%d", p.Protocol, p.Port))
	}
	return fmt.Sprintf("%s: %s %s %s %v %v %v labels %v", svc.Name, svc.Spec.Type, *svc.Spec.IPFamilyPolicy, svc.Spec.ExternalTrafficPolicy, ports,
		svc.Spec.Selector, annotations, svc.Labels)
}
