package ownership

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestInterfacesThatAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*View)
		want   []string
	}{
		{"the one in the subnet of the address", func(*View) {}, []string{"eth0"}},
		{"all in the subnet of the address", func(v *View) {
			for i := range v.Speakers {
				v.Speakers[i].Interfaces = append(v.Speakers[i].Interfaces, up("bond0", onLAN))
			}
		}, []string{"bond0", "eth0"}},
		{"named, though the subnet is elsewhere", func(v *View) { v.Advertisements[0].Interfaces = []string{"mgmt"} }, []string{"mgmt"}},
		{"nobody has the subnet: all that are up", func(v *View) {
			for i := range v.Speakers {
				v.Speakers[i].Interfaces = []lb.Interface{up("b", onMgmt), up("a", onMgmt), down("c")}
			}
		}, []string{"a", "b"}},
		{"the union of the advertisements that match", func(v *View) {
			v.Advertisements = []lb.Advertisement{{Name: "a", Interfaces: []string{"mgmt"}}, {Name: "b", Interfaces: []string{"eth0"}}}
			for i := range v.Speakers {
				v.Speakers[i].Interfaces = []lb.Interface{up("eth0"), up("mgmt"), up("other")}
			}
		}, []string{"eth0", "mgmt"}},
		{"an advertisement without interfaces allows all", func(v *View) {
			v.Advertisements = append(v.Advertisements, lb.Advertisement{Name: "b", Interfaces: []string{"mgmt"}})
		}, []string{"eth0"}},
		{"shared: only those allowed for every Service", func(v *View) {
			a, b := sharing()
			v.Services = []lb.Service{a, b}
			v.Advertisements = []lb.Advertisement{
				{Name: "a", ServiceSelectors: []lb.Selector{labelled("app", "a")}, Interfaces: []string{"x", "y"}},
				{Name: "b", ServiceSelectors: []lb.Selector{labelled("app", "b")}, Interfaces: []string{"y", "z"}}}
			for i := range v.Speakers {
				v.Speakers[i].Interfaces = []lb.Interface{up("x", onLAN), up("y", onLAN), up("z", onLAN)}
			}
		}, []string{"y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := simple()
			c.change(&v)
			d := decide(v)
			got := map[netip.Addr][]string{d.Addresses[0].Addr: d.Addresses[0].Ranked()[0].Interfaces}
			if diff := cmp.Diff(map[netip.Addr][]string{vip: c.want}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddressWithoutOwner(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*View)
		reason lb.Reason
		says   string
	}{
		{"in no pool", func(v *View) { v.Pools = nil }, NoPool, "no IPAddressPool contains the address"},
		{"no advertisement at all", func(v *View) { v.Advertisements = nil }, NotAdvertised,
			"no L2Advertisement matches the pool pool and the Service default/web"},
		{"advertisements of other pools only", func(v *View) {
			v.Advertisements = []lb.Advertisement{{Name: "a", Pools: []string{"other"}}, {Name: "b", PoolSelectors: []lb.Selector{labelled("tier", "lead")}}}
		}, NotAdvertised, "no L2Advertisement matches the pool pool and the Service default/web"},
		{"an advertisement that leaves one of two sharing Services out", func(v *View) {
			a, b := sharing()
			v.Services = []lb.Service{a, b}
			v.Advertisements[0].ServiceSelectors = []lb.Selector{labelled("app", "a")}
		}, NotAdvertised, "no L2Advertisement matches the pool pool and the Service default/b"},
		{"no endpoint that serves", func(v *View) { v.Services[0].Endpoints = map[string]lb.Endpoints{"node1": {}} }, NoEndpoint,
			"no endpoint of default/web is ready or serving"},
		{"an interface that no node has", func(v *View) { v.Advertisements[0].Interfaces = []string{"eth9"} }, InterfaceMissing,
			"no node may answer for the address; node1, node2, node3: it has no interface eth9, which L2Advertisement ad wants"},
		{"the furthest node gives the reason", func(v *View) {
			v.Speakers = v.Speakers[:2]
			v.Nodes[0].Excluded = true
			v.Speakers[1].Interfaces = []lb.Interface{down("eth0", onLAN)}
		}, InterfaceDown, "no node may answer for the address; node2: down or without carrier there: eth0; " +
			"node1: the Node is labelled node.kubernetes.io/exclude-from-external-load-balancers; node3: no living speaker is known there"},
		{"neither nodes nor speakers", func(v *View) { v.Nodes, v.Speakers = nil, nil }, NoSpeaker, "there is no node and no speaker"},
		{"more nodes than a message should name", func(v *View) {
			v.Speakers = nil
			v.Nodes = append(v.Nodes, lb.Node{Name: "node4"}, lb.Node{Name: "node5"})
		}, NoSpeaker, "no node may answer for the address; node1, node2, node3 and 2 more: no living speaker is known there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := simple()
			c.change(&v)
			a := decide(v).Addresses[0]
			if first(a) != "" || len(a.Candidates) != 0 {
				t.Errorf("owner %q, candidates %v, want nobody", first(a), a.Candidates)
			}
			if diff := cmp.Diff(&lb.Problem{Reason: c.reason, Message: c.says}, a.Problem); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}
