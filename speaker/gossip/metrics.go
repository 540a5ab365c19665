package gossip

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics carry no label: names and addresses of peers come from the network.
type metrics struct {
	members   prometheus.Gauge
	missing   prometheus.Gauge
	rejected  prometheus.Counter
	malformed prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	m := metrics{
		members: f.NewGauge(prometheus.GaugeOpts{Name: "steelyard_gossip_members",
			Help: "Speakers that this speaker believes alive, itself included."}),
		missing: f.NewGauge(prometheus.GaugeOpts{Name: "steelyard_gossip_missing_peers",
			Help: "Speaker pods that should be members and are not."}),
		rejected: f.NewCounter(prometheus.CounterOpts{Name: "steelyard_gossip_rejected_total",
			Help: "Packets and connections that were not encrypted with our key."}),
		malformed: f.NewCounter(prometheus.CounterOpts{Name: "steelyard_gossip_malformed_facts_total",
			Help: "Interface facts of other speakers that did not parse."}),
	}
	m.members.Set(1)
	return m
}
