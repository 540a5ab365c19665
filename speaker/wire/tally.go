package wire

import (
	"net/netip"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// tally counts the frames about one address, of all interfaces.
type tally struct{ requests, answers, announcements atomic.Uint64 }

// tallies exports a tally for each address that is our own, by the names that MetalLB gave them. Their number is bounded by the
// addresses of this node; one that is released is dropped, and begins at 0 should it come back. Counting a frame is a look into
// a map and an addition: the map is never changed, only replaced, and a tally lives on from one map to the next.
type tallies struct {
	now                              atomic.Pointer[map[netip.Addr]*tally]
	requests, answers, announcements *prometheus.Desc
}

func newTallies() *tallies {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("metallb_layer2_"+name, help+" MetalLB's name.", []string{"ip"}, nil)
	}
	t := &tallies{
		requests:      desc("requests_received", "ARP requests and neighbour solicitations for an address that this node owns."),
		answers:       desc("responses_sent", "Answers to requests for an address that this node owns."),
		announcements: desc("gratuitous_sent", "Frames that announced an address that this node owns."),
	}
	t.now.Store(&map[netip.Addr]*tally{})
	return t
}

// keep goes on counting for the addresses of want that are our own, begins with the new ones and drops all others. Calls must not
// overlap.
func (t *tallies) keep(want map[neighbor.Target]neighbor.Entry) {
	was, next := *t.now.Load(), make(map[netip.Addr]*tally, len(want))
	for target, e := range want {
		if e.Kind != neighbor.Own || next[target.Addr] != nil {
			continue
		}
		if next[target.Addr] = was[target.Addr]; next[target.Addr] == nil {
			next[target.Addr] = &tally{}
		}
	}
	t.now.Store(&next)
}

// asked counts a request for an address, and its answer if it got one.
func (t *tallies) asked(addr netip.Addr, answered bool) {
	c := (*t.now.Load())[addr]
	if c == nil {
		return
	}
	c.requests.Add(1)
	if answered {
		c.answers.Add(1)
	}
}

// announced counts an announcement.
func (t *tallies) announced(addr netip.Addr) {
	if c := (*t.now.Load())[addr]; c != nil {
		c.announcements.Add(1)
	}
}

// Describe implements prometheus.Collector.
func (t *tallies) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{t.requests, t.answers, t.announcements} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (t *tallies) Collect(out chan<- prometheus.Metric) {
	for addr, c := range *t.now.Load() {
		ip := addr.String()
		counter := func(d *prometheus.Desc, n *atomic.Uint64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n.Load()), ip)
		}
		counter(t.requests, &c.requests)
		counter(t.answers, &c.answers)
		counter(t.announcements, &c.announcements)
	}
}
