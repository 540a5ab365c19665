package wire

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// metrics counts frames by interface, family, and what became of them. No label holds an address, so their number is bounded
// by the number of interfaces; the series of an interface go away with it.
type metrics struct {
	received *prometheus.CounterVec // interface, family, verdict
	sent     *prometheus.CounterVec // interface, family, kind
	failed   *prometheus.CounterVec // interface, family, operation
}

func newMetrics(r prometheus.Registerer) *metrics {
	vec := func(name, help, what string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "steelyard", Subsystem: "wire", Name: name, Help: help},
			[]string{"interface", "family", what})
	}
	m := &metrics{
		received: vec("frames_received_total", "ARP requests and neighbour solicitations received, by what became of them.", "verdict"),
		sent:     vec("frames_sent_total", "Answers and announcements sent.", "kind"),
		failed:   vec("errors_total", "Socket operations that failed: read, write, or join of a multicast group.", "operation"),
	}
	if r != nil {
		r.MustRegister(m.received, m.sent, m.failed)
	}
	return m
}

// counters are those of one interface and family, looked up once, so that counting a frame is one addition.
type counters struct {
	received              []prometheus.Counter // by neighbor.Verdict
	announced             []prometheus.Counter // by neighbor.Form
	answered              prometheus.Counter
	unread, unsent, joins prometheus.Counter // failures
}

func (m *metrics) of(name string, family lb.Family) counters {
	f := family.String()
	c := counters{
		answered: m.sent.WithLabelValues(name, f, "answer"),
		unread:   m.failed.WithLabelValues(name, f, "read"),
		unsent:   m.failed.WithLabelValues(name, f, "write"),
	}
	for _, v := range neighbor.Verdicts() {
		c.received = append(c.received, m.received.WithLabelValues(name, f, v.String()))
	}
	for _, form := range neighbor.Forms() {
		if (form == neighbor.NeighborAdvertisement) == (family == lb.IPv6) {
			c.announced = append(c.announced, m.sent.WithLabelValues(name, f, form.String()))
		} else {
			c.announced = append(c.announced, nil) // a form of the other family
		}
	}
	if family == lb.IPv6 {
		c.joins = m.failed.WithLabelValues(name, f, "join")
	}
	return c
}

// forget drops the series of an interface that is gone.
func (m *metrics) forget(name string) {
	for _, vec := range []*prometheus.CounterVec{m.received, m.sent, m.failed} {
		vec.DeletePartialMatch(prometheus.Labels{"interface": name})
	}
}
