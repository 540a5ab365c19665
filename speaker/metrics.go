package speaker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics carry no label for addresses or Services: those come and go without bound.
type metrics struct {
	owned, unowned prometheus.Gauge
	changes, moves prometheus.Counter
	refresh, pass  prometheus.Histogram
	statusErrors   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)})
	}
	return metrics{
		owned:        gauge("steelyard_speaker_addresses_owned", "Addresses that this node answers for."),
		unowned:      gauge("steelyard_speaker_addresses_unowned", "Addresses that a Service holds and no node may answer for."),
		changes:      counter("steelyard_speaker_decision_changes_total", "Addresses that got, lost or changed their owner, as seen by this speaker."),
		moves:        counter("steelyard_speaker_address_moves_total", "Addresses that went from one node to another, as seen by this speaker."),
		statusErrors: counter("steelyard_speaker_status_errors_total", "Writes of ServiceL2Status objects that failed and are tried again."),
		refresh:      seconds("steelyard_speaker_refresh_seconds", "Time to read the caches."),
		pass:         seconds("steelyard_speaker_pass_seconds", "Time to decide and to act on the decision."),
	}
}
