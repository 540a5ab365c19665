package speaker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker/core"
)

// Metrics of a speaker, but for those of gossip and of the wire. No label holds an address or a Service, since those come and go
// without bound, except in the one metric that MetalLB named so (see decisionCollector).
type Metrics struct {
	decision     *decisionCollector
	moves        *prometheus.CounterVec
	gap          prometheus.Histogram
	conflicts    *prometheus.CounterVec
	strangers    prometheus.Counter
	refresh      prometheus.Histogram
	statusErrors prometheus.Counter

	read, unread   prometheus.Counter // readings of the caches, and those that failed
	loaded, faulty prometheus.Gauge   // whether the configuration was read at all, and whether something is wrong with it
}

// OnNode returns a Registerer that gives every metric the label node, so that each says where it comes from, those of the wire and of
// gossip too. One speaker uses one for all.
func OnNode(reg prometheus.Registerer, node string) prometheus.Registerer {
	return prometheus.WrapRegistererWith(prometheus.Labels{"node": node}, reg)
}

// NewMetrics makes the metrics and registers them, with a Registerer from OnNode; without one they are counted and shown to nobody.
// It panics when the Registerer already holds them: one process has one speaker.
func NewMetrics(reg prometheus.Registerer) Metrics {
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := Metrics{
		decision: newDecisionCollector(),
		moves: f.NewCounterVec(prometheus.CounterOpts{Name: "steelyard_speaker_address_moves_total",
			Help: "Addresses that this node has begun to own, by cause."}, []string{"cause"}),
		gap: f.NewHistogram(prometheus.HistogramOpts{Name: "steelyard_speaker_takeover_gap_seconds",
			Help:    "Time from the last sign of life of a dead owner, as this node heard it, until this node answered for the address.",
			Buckets: prometheus.ExponentialBuckets(0.1, 1.5, 14)}),
		conflicts: f.NewCounterVec(prometheus.CounterOpts{Name: "steelyard_speaker_conflicts_total",
			Help: "Addresses that this node owned and another speaker claimed or answered for too, by who keeps them."}, []string{"kept_by"}),
		strangers:    counter("steelyard_speaker_strangers_total", "Stations that answered for an address of a Service and are no speakers; one that goes on is counted once in ten minutes."),
		statusErrors: counter("steelyard_speaker_status_errors_total", "Writes of ServiceL2Status objects and of the conflicts of pools that failed and are tried again."),
		refresh: f.NewHistogram(prometheus.HistogramOpts{Name: "steelyard_speaker_refresh_seconds", Help: "Time to read the caches.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		read:   counter("metallb_k8s_client_updates_total", "Readings of Services, EndpointSlices, Nodes, pools and advertisements. MetalLB's name."),
		unread: counter("metallb_k8s_client_update_errors_total", "Readings that failed and are tried again. MetalLB's name."),
		loaded: gauge("metallb_k8s_client_config_loaded_bool", "1 once the pools and advertisements have been read. MetalLB's name."),
		faulty: gauge("metallb_k8s_client_config_stale_bool",
			"1 while the last reading failed, or a part of a pool or advertisement is not in force because it is wrong. MetalLB's name."),
	}
	if reg != nil {
		reg.MustRegister(m.decision)
	}
	m.begin()
	return m
}

// begin makes every series that there may be, since an increase from nothing to 1 is none to Prometheus.
func (m Metrics) begin() {
	for c := lb.CauseFree; c <= lb.CauseShutdown; c++ {
		m.moves.WithLabelValues(c.String())
	}
	for _, who := range []string{"this", "other"} {
		m.conflicts.WithLabelValues(who)
	}
}

// Show shows what a decision says, from the next scrape on. It keeps both, and only reads them.
func (m Metrics) Show(v ownership.View, d ownership.Decision) {
	m.decision.last.Store(&decided{v, d})
}

// have counts a reading of the caches.
func (m Metrics) have(w core.World, err error) {
	m.read.Inc()
	if err != nil {
		m.unread.Inc()
		m.faulty.Set(1)
		return
	}
	m.loaded.Set(1)
	m.faulty.Set(0)
	for _, p := range w.Pools {
		if len(p.Problems) > 0 {
			m.faulty.Set(1)
		}
	}
	for _, a := range w.Advertisements {
		if len(a.Problems) > 0 {
			m.faulty.Set(1)
		}
	}
}
