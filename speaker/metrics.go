package speaker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// metrics carry no label for addresses or Services: those come and go without bound.
type metrics struct {
	owned, unowned   prometheus.Gauge
	standIn, trailed prometheus.Gauge
	deaf             prometheus.Gauge
	moves            *prometheus.CounterVec
	gap              prometheus.Histogram
	conflicts        *prometheus.CounterVec
	strangers        prometheus.Counter
	refresh          prometheus.Histogram
	statusErrors     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return metrics{
		owned:   gauge("steelyard_speaker_addresses_owned", "Addresses that this node answers for."),
		unowned: gauge("steelyard_speaker_addresses_unowned", "Addresses that a Service holds and no node may answer for."),
		standIn: gauge("steelyard_speaker_addresses_standing_in", "Addresses of nodes whose speaker does not answer, for which this node answers in their name."),
		trailed: gauge("steelyard_speaker_addresses_trailing", "Addresses that this node has handed over and for which it still answers the new owner."),
		deaf:    gauge("steelyard_speaker_deaf_interfaces", "Interfaces that are up and on which nobody is heard, though somebody should be there."),
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
	}
}

// show sets the gauges that a decision tells.
func (m metrics) show(v ownership.View, d ownership.Decision) {
	count := map[neighbor.Kind]int{}
	for _, a := range d.Answers {
		count[a.Kind]++
	}
	unowned, deaf := 0, 0
	for _, a := range d.Addresses {
		if a.Problem != nil {
			unowned++
		}
	}
	for _, s := range v.Speakers {
		for _, itf := range s.Interfaces {
			if s.Node == v.Self && itf.Deaf {
				deaf++
			}
		}
	}
	m.owned.Set(float64(count[neighbor.Own]))
	m.standIn.Set(float64(count[neighbor.StandIn]))
	m.trailed.Set(float64(count[neighbor.Trail]))
	m.unowned.Set(float64(unowned))
	m.deaf.Set(float64(deaf))
}
