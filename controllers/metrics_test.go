package controllers

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// usedUp is the plan of a pool of four IPv4 addresses and as many of IPv6, with three Services, one of whom waits.
func usedUp() allocate.Result {
	stranger := netip.MustParseAddr("192.0.2.4")
	return allocate.Result{
		Services: []allocate.Assignment{
			{Complete: true},
			{Complete: true, Problem: &lb.Problem{Reason: "AddressShared"}},
			{Problem: &lb.Problem{Reason: "PoolExhausted"}},
		},
		Pools: []allocate.Usage{{Pool: "lan", AssignedIPv4: 3, AssignedIPv6: 1, AvailableIPv6: 3, Waiting: 1,
			Conflicts: []lb.Conflict{{Address: stranger, Node: "node1"}, {Address: stranger, Node: "node2"}}}},
	}
}

const usedUpShown = `
# TYPE steelyard_pool_addresses gauge
# HELP steelyard_pool_addresses Addresses of a pool, by IP family and whether they are used or free.
steelyard_pool_addresses{family="IPv4",pool="lan",state="free"} 0
steelyard_pool_addresses{family="IPv4",pool="lan",state="used"} 3
steelyard_pool_addresses{family="IPv6",pool="lan",state="free"} 3
steelyard_pool_addresses{family="IPv6",pool="lan",state="used"} 1
# TYPE steelyard_pool_conflicts gauge
# HELP steelyard_pool_conflicts Addresses of a pool that something else on the LAN answers for.
steelyard_pool_conflicts{pool="lan"} 1
# TYPE steelyard_pool_services_waiting gauge
# HELP steelyard_pool_services_waiting Services without an address that could have one of this pool if one were free.
steelyard_pool_services_waiting{pool="lan"} 1
# TYPE steelyard_services_pending gauge
# HELP steelyard_services_pending Services that do not have the addresses they ask for.
steelyard_services_pending 1
# TYPE steelyard_services_with_problem gauge
# HELP steelyard_services_with_problem Services that lack an address or hold one against a rule, by the reason in their condition.
steelyard_services_with_problem{reason="AddressShared"} 1
steelyard_services_with_problem{reason="PoolExhausted"} 1
# TYPE metallb_allocator_addresses_total gauge
# HELP metallb_allocator_addresses_total Addresses of a pool, used and free. MetalLB's name.
metallb_allocator_addresses_total{pool="lan"} 7
# TYPE metallb_allocator_addresses_in_use_total gauge
# HELP metallb_allocator_addresses_in_use_total Addresses of a pool that Services hold. MetalLB's name.
metallb_allocator_addresses_in_use_total{pool="lan"} 4
# TYPE metallb_allocator_ipv4_addresses_total gauge
# HELP metallb_allocator_ipv4_addresses_total IPv4 addresses of a pool, used and free. MetalLB's name.
metallb_allocator_ipv4_addresses_total{pool="lan"} 3
# TYPE metallb_allocator_ipv4_addresses_in_use_total gauge
# HELP metallb_allocator_ipv4_addresses_in_use_total IPv4 addresses of a pool that Services hold. MetalLB's name.
metallb_allocator_ipv4_addresses_in_use_total{pool="lan"} 3
# TYPE metallb_allocator_ipv6_addresses_total gauge
# HELP metallb_allocator_ipv6_addresses_total IPv6 addresses of a pool, used and free. MetalLB's name.
metallb_allocator_ipv6_addresses_total{pool="lan"} 4
# TYPE metallb_allocator_ipv6_addresses_in_use_total gauge
# HELP metallb_allocator_ipv6_addresses_in_use_total IPv6 addresses of a pool that Services hold. MetalLB's name.
metallb_allocator_ipv6_addresses_in_use_total{pool="lan"} 1
`

func TestOnlyTheLeaderShowsAPlan(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	shows := func(when, want string) {
		t.Helper()
		if err := testutil.CollectAndCompare(m.plan, strings.NewReader(want)); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	m.Observe(usedUp()) // the first plan may come before the news that we lead
	shows("before it leads", "")
	m.Lead(true)
	shows("as the leader", usedUpShown)
	m.Lead(false)
	shows("after the lease is lost", "")
	if n := testutil.ToFloat64(m.leader); n != 0 {
		t.Errorf("leader = %v after the lease is lost", n)
	}
}

func TestWhatIsGoneFromThePlanIsGoneFromTheMetrics(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	m.Lead(true)
	m.Observe(usedUp())
	m.Observe(allocate.Result{})
	if n := testutil.CollectAndCount(m.plan); n != 1 {
		t.Errorf("%d series without any pool or problem, want that of the pending Services alone", n)
	}
}

func TestMetricsSayWhetherTheConfigurationIsInForce(t *testing.T) {
	values := func(m *Metrics) [4]float64 {
		return [4]float64{testutil.ToFloat64(m.read), testutil.ToFloat64(m.unread), testutil.ToFloat64(m.loaded), testutil.ToFloat64(m.faulty)}
	}
	s := &shelf{}
	p := newPlanner(t, s)
	m := p.metrics
	want := func(when string, read, unread, loaded, faulty float64) {
		t.Helper()
		if got := values(m); got != [4]float64{read, unread, loaded, faulty} {
			t.Errorf("%s: updates, errors, loaded, stale = %v, want %v", when, got, [4]float64{read, unread, loaded, faulty})
		}
	}
	want("at the start", 0, 0, 0, 0)
	m.ConfigLoaded()
	want("with filled caches", 0, 0, 1, 0)
	m.Observe(usedUp())
	want("after a plan", 1, 0, 1, 0)
	m.Observe(allocate.Result{Pools: []allocate.Usage{{Pool: "lan", Problems: []lb.Problem{{Reason: "InvalidAddress"}}}}})
	want("with a pool that does not parse", 2, 0, 1, 1)
	m.Observe(usedUp())
	want("after it was mended", 3, 0, 1, 0)
	s.err, s.fails = errors.New("the cache is not filled"), &corev1.ServiceList{}
	if _, err := p.Reconcile(t.Context(), reconcile.Request{}); err == nil {
		t.Error("a reading that fails is no error")
	}
	want("after a reading that failed", 4, 1, 1, 1)
}
