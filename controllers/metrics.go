package controllers

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/allocate"
)

// Metrics of the controller. They are made once for a process, and outlive a lost lease. What a plan says of Services and pools
// is shown by the replica that is the leader, and by no other: their numbers would be of another time.
type Metrics struct {
	PlanSeconds prometheus.Histogram   // of one plan, without reading and writing
	WriteErrors *prometheus.CounterVec // object service|pool

	leader         prometheus.Gauge   // 1 on the replica that plans
	read, unread   prometheus.Counter // how often the world was read, and how often that failed
	loaded, faulty prometheus.Gauge   // whether the configuration was read at all, and whether something is wrong with it
	plan           *planCollector
}

// NewMetrics makes the metrics and registers them with r.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &Metrics{
		PlanSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "steelyard_plan_duration_seconds", Help: "Time of one plan of all addresses, without reading and writing.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}),
		WriteErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "steelyard_write_errors_total", Help: "Status writes that failed and are tried again, by object.",
		}, []string{"object"}),
		leader: gauge("steelyard_controller_leader", "1 while this replica is the one that gives out addresses."),
		read:   counter("metallb_k8s_client_updates_total", "Readings of Services, Namespaces and pools. MetalLB's name."),
		unread: counter("metallb_k8s_client_update_errors_total", "Readings that failed and are tried again. MetalLB's name."),
		loaded: gauge("metallb_k8s_client_config_loaded_bool", "1 once the pools have been read. MetalLB's name."),
		faulty: gauge("metallb_k8s_client_config_stale_bool",
			"1 while the last reading failed, or a part of a pool is not in force because it is wrong. MetalLB's name."),
		plan: newPlanCollector(),
	}
	for _, object := range []string{"service", "pool"} {
		m.WriteErrors.WithLabelValues(object)
	}
	for _, c := range []prometheus.Collector{m.PlanSeconds, m.WriteErrors, m.leader, m.read, m.unread, m.loaded, m.faulty, m.plan} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering a metric: %w", err)
		}
	}
	return m, nil
}

// Lead shows whether this replica is the leader.
func (m *Metrics) Lead(on bool) {
	m.plan.shown.Store(on)
	if on {
		m.leader.Set(1)
		return
	}
	m.leader.Set(0)
	m.faulty.Set(0)
}

// ConfigLoaded shows that the caches are filled, which they are on a replica that does not lead too.
func (m *Metrics) ConfigLoaded() { m.loaded.Set(1) }

// Observe shows what a plan says, as soon as this replica leads.
func (m *Metrics) Observe(r allocate.Result) {
	m.read.Inc()
	m.loaded.Set(1)
	m.faulty.Set(0)
	for _, u := range r.Pools {
		if len(u.Problems) > 0 {
			m.faulty.Set(1)
		}
	}
	m.plan.observe(r)
}

// failed counts a reading that did not become a plan.
func (m *Metrics) failed() {
	m.read.Inc()
	m.unread.Inc()
	m.faulty.Set(1)
}
