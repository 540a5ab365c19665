package gossip

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// metrics carry no label but our own words and the ids of our keys: names and addresses of peers come from the
// network.
type metrics struct {
	members  prometheus.Gauge
	missing  prometheus.Gauge
	joins    prometheus.Counter
	unheard  prometheus.Gauge
	dropped  *prometheus.CounterVec
	rejected prometheus.Counter
	key      *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	m := metrics{
		members: f.NewGauge(prometheus.GaugeOpts{Name: "steelyard_gossip_members",
			Help: "Speakers that this speaker believes alive, itself included."}),
		missing: f.NewGauge(prometheus.GaugeOpts{Name: "steelyard_gossip_missing_peers",
			Help: "Speaker pods that should be members and are not."}),
		joins: f.NewCounter(prometheus.CounterOpts{Name: "steelyard_gossip_joins_total",
			Help: "Exchanges of everything that is known with a peer that was missing, begun by either."}),
		unheard: f.NewGauge(prometheus.GaugeOpts{Name: "steelyard_gossip_unheard_peers",
			Help: "Members whose heartbeats are missed, by this speaker or by their neighbours in the ring."}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{Name: "steelyard_gossip_dropped_total",
			Help: "Messages of other speakers that were dropped: key (not encrypted with a key of ours), malformed, oversized, " +
				"version (of another version), stale (older than what was known, so perhaps replayed)."}, []string{"reason"}),
		rejected: f.NewCounter(prometheus.CounterOpts{Name: "steelyard_gossip_rejected_total",
			Help: "Packets and connections that were not encrypted with a key of ours."}),
		key: f.NewGaugeVec(prometheus.GaugeOpts{Name: "steelyard_gossip_key_info",
			Help: "1 for each key of the gossip, by an id that does not tell the key; use is send (accepted too) or accept."}, []string{"id", "use"}),
	}
	m.members.Set(1)
	for _, reason := range []string{"key", "malformed", "oversized", "version", "stale"} {
		m.dropped.WithLabelValues(reason)
	}
	return m
}

// showKeys replaces the keys that are shown: the first sends.
func (m metrics) showKeys(ids []string) {
	m.key.Reset()
	use := "send"
	for _, id := range ids {
		m.key.WithLabelValues(id, use).Set(1)
		use = "accept"
	}
}

// tell shows how many members there are.
func (m metrics) tell(b *book) {
	unheard := 0
	for _, p := range b.peers {
		if p.member && p.watch.life == lb.Unknown {
			unheard++
		}
	}
	m.members.Set(float64(len(b.members())))
	m.unheard.Set(float64(unheard))
}
