package wire

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// metrics counts frames by interface, family, and what became of them. No label of a vector holds an address, so their number is
// bounded by the number of interfaces; the series of an interface go away with it. Addresses of our own have tallies.
type metrics struct {
	tallies  *tallies
	received *prometheus.CounterVec // interface, family, verdict
	sent     *prometheus.CounterVec // interface, family, kind
	heard    *prometheus.CounterVec // interface, family, kind
	failed   *prometheus.CounterVec // interface, family, operation
}

func newMetrics(r prometheus.Registerer) *metrics {
	vec := func(name, help, what string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "steelyard", Subsystem: "wire", Name: name, Help: help},
			[]string{"interface", "family", what})
	}
	m := &metrics{
		tallies:  newTallies(),
		received: vec("frames_received_total", "ARP packets and neighbour solicitations and advertisements received, by what became of them.", "verdict"),
		sent:     vec("frames_sent_total", "Answers, announcements and probes sent.", "kind"),
		heard:    vec("probe_answers_total", "Answers to our probes.", "kind"),
		failed: vec("errors_total", "What failed: read or write of a frame, join of a multicast group, probe that had nowhere to be asked from, "+
			"report of a frame that nobody took.", "operation"),
	}
	if r != nil {
		r.MustRegister(m.tallies, m.received, m.sent, m.heard, m.failed)
	}
	return m
}

// counters are those of one interface and family, looked up once, so that counting a frame is one addition.
type counters struct {
	received  []prometheus.Counter // by neighbor.Verdict
	announced []prometheus.Counter // by neighbor.Form
	probed    []prometheus.Counter // by neighbor.ProbeKind
	heard     []prometheus.Counter // by neighbor.ProbeKind
	// answered are by those neighbor.Verdict that come with a reply; the others are nil.
	answered [neighbor.Trailed + 1]prometheus.Counter
	// Failures.
	unread, unsent, joins, unasked, untold prometheus.Counter
}

func (m *metrics) of(name string, family lb.Family) counters {
	f := family.String()
	failed := func(operation string) prometheus.Counter { return m.failed.WithLabelValues(name, f, operation) }
	sent := func(kind string) prometheus.Counter { return m.sent.WithLabelValues(name, f, kind) }
	c := counters{unread: failed("read"), unsent: failed("write"), unasked: failed("probe"), untold: failed("report")}
	if family == lb.IPv6 {
		c.joins = failed("join")
	}
	c.answered[neighbor.Answered] = sent("answer")
	c.answered[neighbor.StoodIn] = sent("stand_in_answer")
	c.answered[neighbor.Trailed] = sent("trail_answer")
	for _, v := range neighbor.Verdicts() {
		c.received = append(c.received, m.received.WithLabelValues(name, f, v.String()))
	}
	for _, kind := range neighbor.ProbeKinds() {
		c.probed = append(c.probed, sent(kind.String()))
		c.heard = append(c.heard, m.heard.WithLabelValues(name, f, kind.String()))
	}
	for _, form := range neighbor.Forms() {
		if form == neighbor.Unlearning || (form == neighbor.NeighborAdvertisement) == (family == lb.IPv6) {
			c.announced = append(c.announced, sent(form.String()))
		} else {
			c.announced = append(c.announced, nil) // a form of the other family
		}
	}
	return c
}

// forget drops the series of an interface that is gone.
func (m *metrics) forget(name string) {
	for _, vec := range []*prometheus.CounterVec{m.received, m.sent, m.heard, m.failed} {
		vec.DeletePartialMatch(prometheus.Labels{"interface": name})
	}
}
