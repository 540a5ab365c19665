package monitoring

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/steelyard-lb/steelyard/controllers"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/speaker/wire"
)

// metric is what a program says of one of its metrics.
type metric struct {
	labels []string // sorted
	kind   string   // counter, gauge or histogram
	// values are those that a label has in the series of a program that has just decided for the first time.
	values map[string][]string
}

// recorder is a registry that remembers what each collector of one metric is, since one without series does not say.
type recorder struct {
	prometheus.Registerer
	registry *prometheus.Registry
	kinds    map[string]string // by metric
}

func newRecorder() *recorder {
	r := prometheus.NewRegistry()
	return &recorder{Registerer: r, registry: r, kinds: map[string]string{}}
}

func (r *recorder) Register(c prometheus.Collector) error {
	for _, d := range descriptions(c) {
		name, _ := parse(d)
		r.kinds[name] = kindOf(c)
	}
	return r.Registerer.Register(c)
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// kindOf says what a vector is; empty for a collector whose series say it.
func kindOf(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	}
	return ""
}

// address is that of the only Service of the tests' world.
func address() netip.Addr { return netip.MustParseAddr("192.0.2.1") }

// controller returns what the controller registers, with the numbers of a plan. It does what cmd/steelyard-controller does.
func controller(t *testing.T) map[string]metric {
	t.Helper()
	r := newRecorder()
	m, err := controllers.NewMetrics(r)
	if err != nil {
		t.Fatal(err)
	}
	m.Lead(true)
	m.Observe(allocate.Result{
		Services: []allocate.Assignment{{Problem: &lb.Problem{Reason: allocate.ReasonExhausted}}},
		Pools:    []allocate.Usage{{Pool: "lan", AssignedIPv4: 1}},
	})
	return describe(t, r.registry, r.kinds)
}

// speaking returns what a speaker registers, with the numbers of a decision. It does what cmd/steelyard-speaker does.
func speaking(t *testing.T) map[string]metric {
	t.Helper()
	r := newRecorder()
	r.Registerer = speaker.OnNode(r.registry, "node1")
	w := wire.New(wire.Options{Log: logr.Discard(), Registerer: r})
	w.Answer(map[neighbor.Target]neighbor.Entry{{Addr: address(), Interface: "eth0"}: {}})
	if _, err := gossip.New(gossip.Config{Node: "node1", Bind: netip.MustParseAddrPort("127.0.0.1:7946"), Log: logr.Discard(), Registerer: r}); err != nil {
		t.Fatal(err)
	}
	m := speaker.NewMetrics(r)
	m.Show(ownership.View{Self: "node1", Now: time.Unix(0, 0)}, ownership.Decision{
		Addresses: []ownership.Address{{Addr: address(), Owner: "node1", Services: []lb.Name{{Namespace: "default", Name: "web"}}}},
	})
	return describe(t, r.registry, r.kinds)
}

// common are the metrics that both programs serve because of their libraries: of Go, the process and the API client.
func common(t *testing.T) map[string]metric {
	t.Helper()
	registry, ok := ctrlmetrics.Registry.(*prometheus.Registry)
	if !ok {
		t.Fatalf("the registry of controller-runtime is a %T", ctrlmetrics.Registry)
	}
	return describe(t, registry, nil)
}

// describe lists the metrics of a registry.
func describe(t *testing.T, r *prometheus.Registry, kinds map[string]string) map[string]metric {
	t.Helper()
	out := map[string]metric{}
	for _, d := range descriptions(r) {
		name, labels := parse(d)
		out[name] = metric{labels: labels, kind: kinds[name], values: map[string][]string{}}
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		m := out[f.GetName()]
		m.kind = strings.ToLower(f.GetType().String())
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				m.values[l.GetName()] = append(m.values[l.GetName()], l.GetValue())
			}
		}
		out[f.GetName()] = m
	}
	return out
}

// described reads a description: client_golang shows its parts in no other way.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// parse returns the name of a metric and its labels, sorted.
func parse(d *prometheus.Desc) (name string, labels []string) {
	part := described.FindStringSubmatch(d.String())
	if part == nil {
		panic("cannot read " + d.String())
	}
	for l := range strings.SplitSeq(part[2]+","+part[3], ",") {
		if label, _, _ := strings.Cut(l, "="); label != "" { // a constant one has its value
			labels = append(labels, label)
		}
	}
	slices.Sort(labels)
	return part[1], labels
}

// descriptions are those of a collector.
func descriptions(c prometheus.Collector) []*prometheus.Desc {
	each := make(chan *prometheus.Desc)
	go func() { c.Describe(each); close(each) }()
	var out []*prometheus.Desc
	for d := range each {
		out = append(out, d)
	}
	return out
}
