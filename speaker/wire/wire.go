// Package wire answers and announces service addresses on the network interfaces of this host. It is the only place with
// packet sockets; what is said is decided by internal/neighbor.
//
// The contract: after Answer, the address is answered on exactly the named interfaces that exist, and again by itself when one
// of them comes later, returns, changes its MAC or its link flaps; announcements follow. An answer never waits for Answer, for
// netlink, or for another interface: the frame path reads an immutable table from an atomic pointer and takes no lock that
// the control path takes. Errors of the network are not errors of this package: they are logged, counted and tried again.
//
// It is also the eyes: Probe asks, and Sightings tell what other stations say. What that means is judged elsewhere.
//
// A process that was stopped for over 300 ms finds itself mute when it wakes, before it answers or announces anything: others may
// have what was its own. Stalled tells; Mute(false) ends it.
//
// Everything happens in the network namespace of the process, and needs CAP_NET_RAW.
package wire

import (
	"context"
	"maps"
	"net/netip"
	"regexp"
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
	// Beats ticks every 50 ms while this process runs; nil means a ticker. A simulated process that is stopped gets none, which
	// is how a Wire knows.
	Beats <-chan time.Time
}

// Wire answers and announces on all usable interfaces of the host. Its methods may be called at any time, from any goroutine.
type Wire struct {
	log     logr.Logger
	host    Host
	metrics *metrics
	guard   *guard
	beats   <-chan time.Time // nil: a ticker

	table   atomic.Pointer[neighbor.Table] // what the frame path answers
	asked   atomic.Pointer[questions]      // what we asked lately
	changed chan struct{}                  // to our caller: the interfaces changed
	look    chan struct{}                  // to ourselves: look at the links and groups again
	due     chan struct{}                  // to ourselves: the schedule changed
	// To our caller: what other stations say.
	sightings chan neighbor.Sighting

	complaints map[string]string // of follow's goroutine: what was logged last, by what was being done

	mu         sync.Mutex // guards all below; never taken on the way from a request to its answer
	want       map[neighbor.Target]neighbor.Entry
	ports      map[string]*port // by interface name
	schedule   neighbor.Schedule
	interfaces []lb.Interface
	news       news
}

// New returns a Wire that does nothing until Run. It panics when the Registerer already holds its metrics: one process has
// one Wire.
func New(o Options) *Wire {
	w := &Wire{
		log: o.Log, host: o.Host, beats: o.Beats,
		metrics: newMetrics(o.Registerer),
		guard:   newGuard(time.Now()),
		changed: make(chan struct{}, 1), look: make(chan struct{}, 1), due: make(chan struct{}, 1),
		sightings:  make(chan neighbor.Sighting, sightingsAhead),
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
	w.guard.begin(time.Now())
	running.Go(func() { w.beat(ctx) })
	running.Go(func() { w.host.Watch(ctx, w.note) })
	running.Go(func() { w.announce(ctx) })
	w.follow(ctx)
	running.Wait()
	return nil
}

// Answer replaces what this host answers, and how: an entry for each address and interface. An Own one that is new is announced
// at once; one that is missing is silent when Answer returns, save for an answer that is being written at that very moment. An
// interface that does not exist waits until it does. Nothing of want is kept.
func (w *Wire) Answer(want map[neighbor.Target]neighbor.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if maps.EqualFunc(want, w.want, neighbor.Entry.Equal) {
		return
	}
	w.want = make(map[neighbor.Target]neighbor.Entry, len(want))
	for t, e := range want {
		w.want[t] = e.Clone()
	}
	w.metrics.tallies.keep(want)
	w.table.Store(neighbor.NewTable(want))
	w.rescheduleLocked(time.Now())
	wake(w.look) // the groups
}

// Mute makes the Wire answer and announce nothing, or ends that; then what is ours is announced once. The table is kept, and
// questions of ours are asked and answers to them heard.
func (w *Wire) Mute(on bool) {
	if was := w.guard.muted.Swap(on); on || !was {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.schedule.Once(time.Now(), func(neighbor.Target) bool { return true })
	wake(w.due)
}

// Stalled has a value in it when the process had been stopped: for how long, at least. The Wire is mute then.
func (w *Wire) Stalled() <-chan time.Duration { return w.guard.stalled }

// Announce announces those addresses that are ours once more, now: to defend them (RFC 5227 §2.4).
func (w *Wire) Announce(addrs []netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		wanted[a] = true
	}
	w.schedule.Once(time.Now(), func(t neighbor.Target) bool { return wanted[t.Addr] })
	wake(w.due)
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

// UpSince returns for each interface that Interfaces shows as up since when it is.
func (w *Wire) UpSince() map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := make(map[string]time.Time, len(w.ports))
	for name, p := range w.ports {
		if !p.upSince.IsZero() {
			since[name] = p.upSince
		}
	}
	return since
}

// rescheduleLocked gives the schedule every address of ours on every interface that has a link.
func (w *Wire) rescheduleLocked(now time.Time) {
	announced := map[neighbor.Target]neighbor.MAC{}
	for t, e := range w.want {
		if p := w.ports[t.Interface]; e.Kind == neighbor.Own && p != nil && p.facts.Up {
			announced[t] = e.As
		}
	}
	w.schedule.Set(now, announced)
	wake(w.due)
}

// wake puts a value into a one-slot channel, unless there is one already.
func wake(slot chan struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}
