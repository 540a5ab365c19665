// Package wire answers and announces service addresses on the network interfaces of this host. It is the only place with
// packet sockets; what is said is decided by internal/neighbor.
//
// The contract: after Set, the address is answered on exactly the named interfaces that exist, and again by itself when one
// of them comes later, returns, changes its MAC or its link flaps; announcements follow. An answer never waits for Set, for
// netlink, or for another interface: the frame path reads an immutable table from an atomic pointer and takes no lock that
// the control path takes. Errors of the network are not errors of this package: they are logged, counted and tried again.
//
// Everything happens in the network namespace of the process, and needs CAP_NET_RAW.
package wire

import (
	"context"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// Options of a Wire.
type Options struct {
	Log logr.Logger
	// ExcludeInterfaces are patterns of interface names that are left alone; see ParseExclude and DefaultExcludeInterfaces.
	ExcludeInterfaces []*regexp.Regexp
	// Registerer takes the metrics; nil keeps them to ourselves.
	Registerer prometheus.Registerer
	// Host is the machine; nil means this one.
	Host Host
}

// Wire answers and announces on all usable interfaces of the host. Its methods may be called at any time, from any goroutine.
type Wire struct {
	log     logr.Logger
	host    Host
	metrics *metrics
	guard   *guard

	table   atomic.Pointer[neighbor.Table] // what the frame path answers
	changed chan struct{}                  // to our caller: the interfaces changed
	look    chan struct{}                  // to ourselves: look at the links and groups again
	due     chan struct{}                  // to ourselves: the schedule changed
	// To our caller: what other stations say, and that we were stopped.
	sightings chan neighbor.Sighting
	stalled   chan time.Duration

	complaints map[string]string // of follow's goroutine: what was logged last, by what was being done

	mu         sync.Mutex // guards all below; never taken on the way from a request to its answer
	want       map[netip.Addr][]string
	ports      map[string]*port // by interface name
	schedule   neighbor.Schedule
	interfaces []lb.Interface
	news       news
}

// New returns a Wire that does nothing until Run. It panics when the Registerer already holds its metrics: one process has
// one Wire.
func New(o Options) *Wire {
	w := &Wire{
		log: o.Log, host: o.Host,
		metrics: newMetrics(o.Registerer),
		guard:   newGuard(time.Now()),
		changed: make(chan struct{}, 1), look: make(chan struct{}, 1), due: make(chan struct{}, 1),
		sightings: make(chan neighbor.Sighting, 1024), stalled: make(chan time.Duration, 1),
		complaints: map[string]string{}, ports: map[string]*port{},
	}
	if w.host == nil {
		w.host = kernel{log: o.Log, exclude: o.ExcludeInterfaces}
	}
	return w
}

// Run works until ctx ends, and returns nil when everything that it started has ended.
func (w *Wire) Run(ctx context.Context) error {
	var running sync.WaitGroup
	w.guard.tick(time.Now())
	running.Go(func() { w.beat(ctx) })
	running.Go(func() { w.host.Watch(ctx, w.note) })
	running.Go(func() { w.announce(ctx) })
	w.follow(ctx)
	running.Wait()
	return nil
}

// Set replaces what this host answers for: each address with the names of the interfaces that answer. A pair that is new is
// announced at once; one that is missing is silent when Set returns, save for an answer that is being written at that very
// moment. A name without such an interface waits until there is one. The map is not kept.
func (w *Wire) Set(want map[netip.Addr][]string) {
	own := make(map[netip.Addr][]string, len(want))
	for addr, names := range want {
		own[addr] = slices.Clone(names)
	}
	table := neighbor.NewTable(own)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want = own
	w.table.Store(table)
	w.rescheduleLocked(time.Now())
	wake(w.look) // the groups
}

// Interfaces returns the usable interfaces, sorted by name, with the prefixes that are on-link there. It is empty until the
// first look; Changed tells. The result must not be changed.
func (w *Wire) Interfaces() []lb.Interface {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.interfaces
}

// Changed has a value in it when Interfaces may have changed since the last one was taken.
func (w *Wire) Changed() <-chan struct{} { return w.changed }

// rescheduleLocked gives the schedule every wanted address on every interface that has a link.
func (w *Wire) rescheduleLocked(now time.Time) {
	var targets []neighbor.Target
	for addr, names := range w.want {
		for _, name := range names {
			if p := w.ports[name]; p != nil && p.facts.Up {
				targets = append(targets, neighbor.Target{Addr: addr, Interface: name})
			}
		}
	}
	w.schedule.Set(now, targets)
	wake(w.due)
}

// wake puts a value into a one-slot channel, unless there is one already.
func wake(slot chan struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}
