package controllers

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// planCollector exports the last plan. All of its series are of one plan, and one that speaks of a pool is gone with the pool.
// Labels are names of pools, and reasons that the code knows: a handful each, whatever the number of Services.
type planCollector struct {
	shown atomic.Bool
	last  atomic.Pointer[[]prometheus.Metric]

	addresses, waiting, conflicts *prometheus.Desc
	pending, problems             *prometheus.Desc
	total, inUse                  [3]*prometheus.Desc // MetalLB's: of both families, of IPv4, of IPv6
}

func newPlanCollector() *planCollector {
	desc := prometheus.NewDesc
	c := &planCollector{
		addresses: desc("steelyard_pool_addresses", "Addresses of a pool, by IP family and whether they are used or free.",
			[]string{"pool", "family", "state"}, nil),
		waiting: desc("steelyard_pool_services_waiting", "Services without an address that could have one of this pool if one were free.",
			[]string{"pool"}, nil),
		conflicts: desc("steelyard_pool_conflicts", "Addresses of a pool that something else on the LAN answers for.", []string{"pool"}, nil),
		pending:   desc("steelyard_services_pending", "Services that do not have the addresses they ask for.", nil, nil),
		problems: desc("steelyard_services_with_problem", "Services that lack an address or hold one against a rule, by the reason in their condition.",
			[]string{"reason"}, nil),
	}
	for i, family := range []string{"", "ipv4_", "ipv6_"} {
		of := map[string]string{"": "Addresses", "ipv4_": "IPv4 addresses", "ipv6_": "IPv6 addresses"}[family]
		c.total[i] = desc("metallb_allocator_"+family+"addresses_total", of+" of a pool, used and free. MetalLB's name.", []string{"pool"}, nil)
		c.inUse[i] = desc("metallb_allocator_"+family+"addresses_in_use_total", of+" of a pool that Services hold. MetalLB's name.", []string{"pool"}, nil)
	}
	return c
}

// observe remembers what a plan says.
func (c *planCollector) observe(r allocate.Result) {
	pending, problems := 0, map[lb.Reason]int{}
	for _, a := range r.Services {
		if !a.Complete {
			pending++
		}
		if a.Problem != nil {
			problems[a.Problem.Reason]++
		}
	}
	out := []prometheus.Metric{gauge(c.pending, float64(pending))}
	for reason, n := range problems {
		out = append(out, gauge(c.problems, float64(n), string(reason)))
	}
	for _, u := range r.Pools {
		out = append(out, c.pool(u)...)
	}
	c.last.Store(&out)
}

func (c *planCollector) pool(u allocate.Usage) []prometheus.Metric {
	used4, used6, free4, free6 := float64(u.AssignedIPv4), float64(u.AssignedIPv6), float64(u.AvailableIPv4), float64(u.AvailableIPv6)
	return []prometheus.Metric{
		gauge(c.addresses, used4, u.Pool, "IPv4", "used"), gauge(c.addresses, free4, u.Pool, "IPv4", "free"),
		gauge(c.addresses, used6, u.Pool, "IPv6", "used"), gauge(c.addresses, free6, u.Pool, "IPv6", "free"),
		gauge(c.waiting, float64(u.Waiting), u.Pool), gauge(c.conflicts, float64(distinct(u.Conflicts)), u.Pool),
		gauge(c.total[0], used4+free4+used6+free6, u.Pool), gauge(c.inUse[0], used4+used6, u.Pool),
		gauge(c.total[1], used4+free4, u.Pool), gauge(c.inUse[1], used4, u.Pool),
		gauge(c.total[2], used6+free6, u.Pool), gauge(c.inUse[2], used6, u.Pool),
	}
}

// distinct is the number of addresses in conflicts, which are sorted by address.
func distinct(conflicts []lb.Conflict) int {
	n := 0
	for i, c := range conflicts {
		if i == 0 || conflicts[i-1].Address != c.Address {
			n++
		}
	}
	return n
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Describe implements prometheus.Collector.
func (c *planCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range append([]*prometheus.Desc{c.addresses, c.waiting, c.conflicts, c.pending, c.problems}, append(c.total[:], c.inUse[:]...)...) {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *planCollector) Collect(out chan<- prometheus.Metric) {
	last := c.last.Load()
	if last == nil || !c.shown.Load() {
		return
	}
	for _, m := range *last {
		out <- m
	}
}
