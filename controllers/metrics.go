package controllers

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/allocate"
)

// Metrics of the controller. They are made once for a process, and outlive a lost lease.
type Metrics struct {
	PoolAddresses *prometheus.GaugeVec   // pool, family, state used|free
	Pending       prometheus.Gauge       // Services without what they ask for
	PlanSeconds   prometheus.Histogram   // of one plan, without reading and writing
	WriteErrors   *prometheus.CounterVec // object service|pool
	Leader        prometheus.Gauge       // 1 on the replica that plans
}

// NewMetrics makes the metrics and registers them with r.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		PoolAddresses: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "steelyard_pool_addresses", Help: "Addresses of a pool, by IP family and whether they are used or free.",
		}, []string{"pool", "family", "state"}),
		Pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "steelyard_services_pending", Help: "Services that do not have the addresses they ask for.",
		}),
		PlanSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "steelyard_plan_duration_seconds", Help: "Time of one plan of all addresses, without reading and writing.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}),
		WriteErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "steelyard_write_errors_total", Help: "Status writes that failed and are tried again, by object.",
		}, []string{"object"}),
		Leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "steelyard_controller_leader", Help: "1 while this replica is the one that gives out addresses.",
		}),
	}
	for _, c := range []prometheus.Collector{m.PoolAddresses, m.Pending, m.PlanSeconds, m.WriteErrors, m.Leader} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observe sets the gauges to what the plan says.
func (m *Metrics) observe(r allocate.Result) {
	m.PoolAddresses.Reset()
	for _, u := range r.Pools {
		for _, v := range []struct {
			family, state string
			n             int64
		}{
			{"IPv4", "used", u.AssignedIPv4}, {"IPv4", "free", u.AvailableIPv4},
			{"IPv6", "used", u.AssignedIPv6}, {"IPv6", "free", u.AvailableIPv6},
		} {
			m.PoolAddresses.WithLabelValues(u.Pool, v.family, v.state).Set(float64(v.n))
		}
	}
	pending := 0
	for _, a := range r.Services {
		if !a.Complete {
			pending++
		}
	}
	m.Pending.Set(float64(pending))
}
