package speaker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker/core"
)

func TestMetricsOfADecision(t *testing.T) {
	second, third := netip.MustParseAddr("192.168.1.201"), netip.MustParseAddr("2001:db8::1")
	shared, others := owned("node1"), owned("node2")
	shared.Services = []lb.Name{web, {Namespace: "default", Name: "dns"}}
	others.Addr = second
	nobodys := unowned(ownership.Deaf, "node1 hears nobody")
	nobodys.Addr = third

	v := view("node1", "node2")
	v.Speakers[0].Interfaces = []lb.Interface{{Name: "eth0", Up: true, Deaf: true}, {Name: "eth1", Up: true}}
	v.Speakers[0].KubeProxy = lb.Dead
	v.Speakers[1].Interfaces = []lb.Interface{{Name: "eth0", Up: true, Deaf: true}} // is for that node to show
	v.Speakers[0].Claims = []lb.Claim{{Addr: third}}                                // of the decision before
	v.Speakers[1].Claims = []lb.Claim{{Addr: addr}, {Addr: second}, {Addr: third}}
	v.Speakers = append(v.Speakers, lb.Speaker{Node: "node3", Claims: []lb.Claim{{Addr: second}}}) // dead: contests nothing
	v.Speakers = append(v.Speakers, lb.Speaker{Node: "node5", Claims: []lb.Claim{{Addr: addr}}})   // a third for the first address
	v.Peers = append(v.Peers, lb.Peer{Node: "node3", Gossip: lb.Dead}, lb.Peer{Node: "node5", Gossip: lb.Alive})
	for _, n := range []string{"node1", "node2", "node3", "node4"} {
		v.Nodes = append(v.Nodes, lb.Node{Name: n})
	}
	d := ownership.Decision{
		Addresses: []ownership.Address{shared, others, nobodys},
		Answers:   []ownership.Answer{{Addr: addr, Kind: neighbor.Own}, {Addr: second, Kind: neighbor.StandIn}, {Addr: second, Kind: neighbor.Trail}},
		Claims:    []lb.Claim{{Addr: addr}},
	}
	m := NewMetrics(prometheus.NewRegistry())
	if n := testutil.CollectAndCount(m.decision); n != 0 {
		t.Errorf("%d series before the first decision", n)
	}
	m.Show(v, d)
	if err := testutil.CollectAndCompare(m.decision, strings.NewReader(shown), "metallb_speaker_announced",
		"steelyard_speaker_addresses_owned", "steelyard_speaker_addresses_unowned", "steelyard_speaker_addresses_contested",
		"steelyard_speaker_addresses_standing_in", "steelyard_speaker_addresses_trailing", "steelyard_speaker_deaf_interfaces", "steelyard_speaker_kube_proxy_dead", "steelyard_speaker_nodes"); err != nil {
		t.Error(err)
	}
	d.Claims[0].HandTo, v.Speakers[3].Claims = "node2", nil
	m.Show(v, d)
	if n := gaugeOf(t, m.decision, "steelyard_speaker_addresses_contested"); n != 0 {
		t.Errorf("%d addresses contested while one is handed over, want none", n)
	}
}

const shown = `
# TYPE metallb_speaker_announced gauge
# HELP metallb_speaker_announced 1 for each Service and address that this node answers for. MetalLB's name.
metallb_speaker_announced{ip="192.168.1.200",protocol="layer2",service="default/dns"} 1
metallb_speaker_announced{ip="192.168.1.200",protocol="layer2",service="default/web"} 1
# TYPE steelyard_speaker_addresses_owned gauge
# HELP steelyard_speaker_addresses_owned Addresses that this node answers for.
steelyard_speaker_addresses_owned 1
# TYPE steelyard_speaker_addresses_standing_in gauge
# HELP steelyard_speaker_addresses_standing_in Addresses of nodes whose speaker does not answer, for which this node answers in their name.
steelyard_speaker_addresses_standing_in 1
# TYPE steelyard_speaker_addresses_trailing gauge
# HELP steelyard_speaker_addresses_trailing Addresses that this node has handed over and for which it still answers the new owner.
steelyard_speaker_addresses_trailing 1
# TYPE steelyard_speaker_addresses_unowned gauge
# HELP steelyard_speaker_addresses_unowned Addresses that a Service holds and no node may answer for, by reason.
steelyard_speaker_addresses_unowned{reason="Deaf"} 1
steelyard_speaker_addresses_unowned{reason="NoEndpoint"} 0
# TYPE steelyard_speaker_addresses_contested gauge
# HELP steelyard_speaker_addresses_contested Addresses that more than one living speaker claims, as this one has heard.
steelyard_speaker_addresses_contested 1
# TYPE steelyard_speaker_deaf_interfaces gauge
# HELP steelyard_speaker_deaf_interfaces Interfaces that are up and on which nobody is heard, though somebody should be there.
steelyard_speaker_deaf_interfaces 1
# TYPE steelyard_speaker_kube_proxy_dead gauge
# HELP steelyard_speaker_kube_proxy_dead 1 while kube-proxy on this node fails its health check; 0 also where it is not asked.
steelyard_speaker_kube_proxy_dead 1
# TYPE steelyard_speaker_nodes gauge
# HELP steelyard_speaker_nodes Nodes of the cluster, by what gossip knows of a speaker there: speaking, silent (heard before, and not now) or never (heard).
steelyard_speaker_nodes{state="never"} 1
steelyard_speaker_nodes{state="silent"} 1
steelyard_speaker_nodes{state="speaking"} 2
`

// gaugeOf returns the value of the only series of a metric.
func gaugeOf(t *testing.T, c prometheus.Collector, name string) int {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatalf("there is not one series of %s", name)
	return 0
}

func TestEveryMetricNamesItsNode(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(OnNode(reg, "node1"))
	m.Show(view("node1"), decision(owned("node1")))
	families, err := reg.Gather()
	if err != nil || len(families) < 15 {
		t.Fatalf("%d metrics, %v", len(families), err)
	}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			if !slices.ContainsFunc(series.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "node" && l.GetValue() == "node1" }) {
				t.Errorf("%s %v has no label for the node", f.GetName(), series)
			}
		}
	}
}

func TestEverySeriesOfACounterIsThereFromTheStart(t *testing.T) {
	reg := prometheus.NewRegistry()
	NewMetrics(reg)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				got[f.GetName()] = append(got[f.GetName()], l.GetValue())
			}
		}
	}
	want := map[string][]string{"steelyard_speaker_conflicts_total": {"other", "this"},
		"steelyard_speaker_address_moves_total": {"death", "free", "hold-expired", "ineligible", "preferred", "rebalance", "requested", "shutdown"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestAReleasedAddressIsNoMoreAnnounced(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	m.Show(view("node1"), decision(owned("node1")))
	if n := testutil.CollectAndCount(m.decision, "metallb_speaker_announced"); n != 1 {
		t.Errorf("%d series of an address that is ours, want 1", n)
	}
	m.Show(view("node1", "node2"), decision(owned("node2")))
	if n := testutil.CollectAndCount(m.decision, "metallb_speaker_announced"); n != 0 {
		t.Errorf("%d series of an address that went to another node, want none", n)
	}
}

func TestMetricsSayWhetherTheConfigurationIsInForce(t *testing.T) {
	wrong := []lb.Problem{{Reason: "InvalidSelector"}}
	m := NewMetrics(nil)
	for i, c := range []struct {
		name           string
		world          core.World
		err            error
		errors         float64
		loaded, faulty float64
	}{
		{"caches that are not filled", core.World{}, errors.New("not yet"), 1, 0, 1},
		{"all is well", core.World{}, nil, 1, 1, 0},
		{"an advertisement with a mistake", core.World{Advertisements: []lb.Advertisement{{Problems: wrong}}}, nil, 1, 1, 1},
		{"a pool with a mistake", core.World{Pools: []lb.Pool{{Problems: wrong}}}, nil, 1, 1, 1},
		{"all is well again", core.World{}, nil, 1, 1, 0},
		{"caches that fail later", core.World{}, errors.New("no more"), 2, 1, 1},
	} {
		m.have(c.world, c.err)
		want := fmt.Sprint(i+1, c.errors, c.loaded, c.faulty)
		got := fmt.Sprint(testutil.ToFloat64(m.read), testutil.ToFloat64(m.unread), testutil.ToFloat64(m.loaded), testutil.ToFloat64(m.faulty))
		if got != want {
			t.Errorf("%s: updates, errors, loaded, stale = %s, want %s", c.name, got, want)
		}
	}
}

// BenchmarkScrape10000 is what a scrape costs on a node that owns 10,000 addresses.
func BenchmarkScrape10000(b *testing.B) {
	var d ownership.Decision
	for i := range 10000 {
		a := owned("node1")
		a.Addr = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		d.Addresses = append(d.Addresses, a)
		d.Claims = append(d.Claims, lb.Claim{Addr: a.Addr})
	}
	m := NewMetrics(nil)
	m.Show(view("node1"), d)
	for b.Loop() {
		if n := testutil.CollectAndCount(m.decision, "metallb_speaker_announced"); n != 10000 {
			b.Fatal(n)
		}
	}
}
