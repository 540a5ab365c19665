package ownership

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

var (
	vip    = netip.MustParseAddr("192.168.1.200")
	day    = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	onLAN  = netip.MustParsePrefix("192.168.1.0/24")
	onMgmt = netip.MustParsePrefix("10.0.0.0/24")
)

func up(name string, prefixes ...netip.Prefix) lb.Interface {
	return lb.Interface{Name: name, Up: true, Prefixes: prefixes}
}

func down(name string, prefixes ...netip.Prefix) lb.Interface {
	return lb.Interface{Name: name, Prefixes: prefixes}
}

func ranges(list ...string) (out []netipx.IPRange) {
	for _, r := range list {
		out = append(out, netipx.MustParseIPRange(r))
	}
	return out
}

func labelled(kv ...string) (sel lb.Selector) {
	for i := 0; i < len(kv); i += 2 {
		sel = append(sel, lb.Requirement{Key: kv[i], Op: lb.In, Values: []string{kv[i+1]}})
	}
	return sel
}

// simple is three nodes on one LAN, one pool, one advertisement of everything, and one Service with a pod on node2.
func simple() View {
	v := View{
		Self:           "node1",
		Pools:          []lb.Pool{{Name: "pool", Created: day, Ranges: ranges("192.168.1.200-192.168.1.210"), Labels: map[string]string{"tier": "gold"}}},
		Advertisements: []lb.Advertisement{{Name: "ad"}},
		Services:       []lb.Service{service("web", vip)},
	}
	for i := 1; i <= 3; i++ {
		name := fmt.Sprintf("node%d", i)
		v.Nodes = append(v.Nodes, lb.Node{Name: name, Labels: map[string]string{"name": name}})
		v.Speakers = append(v.Speakers, lb.Speaker{Node: name, Interfaces: []lb.Interface{up("eth0", onLAN), up("mgmt", onMgmt)}})
	}
	return v
}

func service(name string, held ...netip.Addr) lb.Service {
	return lb.Service{Name: lb.Name{Namespace: "default", Name: name}, UID: name, Created: day, Managed: true, Held: held,
		Ports: []lb.Port{{Protocol: "TCP", Number: 80}}, Endpoints: map[string]lb.Endpoints{"node2": {Ready: 1, Serving: 1}}}
}

// reasons is the outcome for one address in a form that reads in a table: node → "ok" or the reason of its rejection.
func reasons(a Address) map[string]string {
	out := map[string]string{}
	for _, c := range a.Ranked() {
		out[c.Node] = "ok"
	}
	for _, r := range a.Rejected {
		out[r.Node] = string(r.Reason)
	}
	return out
}

func TestEligibility(t *testing.T) {
	type outcome = map[string]string
	all := outcome{"node1": "ok", "node2": "ok", "node3": "ok"}
	for _, c := range []struct {
		name   string
		change func(*View)
		want   outcome
	}{
		{"every node on the LAN may answer", func(*View) {}, all},
		{"a node without a speaker", func(v *View) { v.Speakers = v.Speakers[1:] },
			outcome{"node1": "NoSpeaker", "node2": "ok", "node3": "ok"}},
		{"a speaker without a Node", func(v *View) { v.Nodes = v.Nodes[1:] },
			outcome{"node1": "NoNode", "node2": "ok", "node3": "ok"}},
		{"a node that carries the exclude label", func(v *View) { v.Nodes[1].Excluded = true },
			outcome{"node1": "ok", "node2": "Excluded", "node3": "ok"}},
		{"the node's own reason comes before what advertisements say of it", func(v *View) {
			v.Nodes[1].Excluded = true
			v.Advertisements[0].NodeSelectors = []lb.Selector{labelled("name", "node1"), labelled("name", "node3")}
		}, outcome{"node1": "ok", "node2": "Excluded", "node3": "ok"}},
		{"a drained node, whatever we are told of the exclude label", func(v *View) { v.Nodes[1].Drained = true; v.IgnoreExcludeLB = true },
			outcome{"node1": "ok", "node2": "Drained", "node3": "ok"}},
		{"the exclude label when we are told to ignore it", func(v *View) { v.Nodes[1].Excluded = true; v.IgnoreExcludeLB = true }, all},
		{"a node without a network", func(v *View) { v.Nodes[2].NetworkUnavailable = true },
			outcome{"node1": "ok", "node2": "ok", "node3": "NetworkUnavailable"}},
		{"nodeSelectors: one that matches is enough", func(v *View) {
			v.Advertisements[0].NodeSelectors = []lb.Selector{labelled("name", "node1"), labelled("name", "node3")}
		}, outcome{"node1": "ok", "node2": "NotSelected", "node3": "ok"}},
		{"two advertisements select more than one does", func(v *View) {
			v.Advertisements = []lb.Advertisement{
				{Name: "a", NodeSelectors: []lb.Selector{labelled("name", "node1")}},
				{Name: "b", NodeSelectors: []lb.Selector{labelled("name", "node2")}}}
		}, outcome{"node1": "ok", "node2": "ok", "node3": "NotSelected"}},
		{"an interface that only one node has", func(v *View) {
			v.Advertisements[0].Interfaces = []string{"lan0"}
			v.Speakers[2].Interfaces = append(v.Speakers[2].Interfaces, up("lan0", onLAN))
		}, outcome{"node1": "InterfaceMissing", "node2": "InterfaceMissing", "node3": "ok"}},
		{"a node in another subnet", func(v *View) { v.Speakers[0].Interfaces = []lb.Interface{up("eth0", onMgmt)} },
			outcome{"node1": "NotOnSegment", "node2": "ok", "node3": "ok"}},
		{"a node with its LAN cable unplugged does not answer on the other network", func(v *View) {
			v.Speakers[0].Interfaces = []lb.Interface{down("eth0", onLAN), up("mgmt", onMgmt)}
		}, outcome{"node1": "InterfaceDown", "node2": "ok", "node3": "ok"}},
		{"nobody has the subnet: every interface that is up will do", func(v *View) {
			for i := range v.Speakers {
				v.Speakers[i].Interfaces = []lb.Interface{up("mgmt", onMgmt)}
			}
			v.Speakers[1].Interfaces = []lb.Interface{down("mgmt", onMgmt)}
		}, outcome{"node1": "ok", "node2": "InterfaceDown", "node3": "ok"}},
		{"a subnet on an interface that is not allowed does not count", func(v *View) {
			v.Advertisements[0].Interfaces = []string{"mgmt"}
		}, all},
		{"a speaker that has told of no interface", func(v *View) { v.Speakers[0].Interfaces = nil },
			outcome{"node1": "NoInterfaces", "node2": "ok", "node3": "ok"}},
		{"Local: only where an endpoint is ready", func(v *View) { v.Services[0].Local = true },
			outcome{"node1": "NoLocalEndpoint", "node2": "ok", "node3": "NoLocalEndpoint"}},
		{"Local: terminating endpoints do not count while another node has ready ones", func(v *View) {
			v.Services[0].Local = true
			v.Services[0].Endpoints = map[string]lb.Endpoints{"node1": {Serving: 1}, "node2": {Ready: 1, Serving: 1}}
		}, outcome{"node1": "NoLocalEndpoint", "node2": "ok", "node3": "NoLocalEndpoint"}},
		{"Local: terminating endpoints that serve are better than nobody", func(v *View) {
			v.Services[0].Local = true
			v.Services[0].Endpoints = map[string]lb.Endpoints{"node1": {Serving: 1}}
		}, outcome{"node1": "ok", "node2": "NoLocalEndpoint", "node3": "NoLocalEndpoint"}},
		{"Local: ready endpoints on a node that may not announce hold nobody back", func(v *View) {
			v.Services[0].Local = true
			v.Nodes[1].Excluded = true
			v.Services[0].Endpoints = map[string]lb.Endpoints{"node1": {Serving: 1}, "node2": {Ready: 1}}
		}, outcome{"node1": "ok", "node2": "Excluded", "node3": "NoLocalEndpoint"}},
		{"Local, shared: the endpoints of every Service must be there", func(v *View) {
			a, b := service("a", vip), service("b", vip)
			a.SharingKey, b.SharingKey, a.Local, b.Local = "k", "k", true, true
			b.Ports = []lb.Port{{Protocol: "UDP", Number: 80}}
			a.Endpoints = map[string]lb.Endpoints{"node1": {Ready: 1}, "node2": {Ready: 1}}
			b.Endpoints = map[string]lb.Endpoints{"node2": {Ready: 1}, "node3": {Ready: 1}}
			v.Services = []lb.Service{a, b}
		}, outcome{"node1": "NoLocalEndpoint", "node2": "ok", "node3": "NoLocalEndpoint"}},
		{"kube-proxy dead on one node", func(v *View) { proxies(v, lb.Alive, lb.Dead, lb.Alive) },
			outcome{"node1": "ok", "node2": "KubeProxyUnhealthy", "node3": "ok"}},
		{"kube-proxy dead on all", func(v *View) { proxies(v, lb.Dead, lb.Dead, lb.Dead) }, all},
		{"kube-proxy dead on all that ask: who does not ask proves nothing", func(v *View) { proxies(v, lb.Dead, lb.Unknown, lb.Dead) }, all},
		{"who does not ask its kube-proxy counts as well", func(v *View) { proxies(v, lb.Dead, lb.Unknown, lb.Alive) },
			outcome{"node1": "KubeProxyUnhealthy", "node2": "ok", "node3": "ok"}},
		{"kube-proxy dead on all candidates, well on a node that is none", func(v *View) {
			proxies(v, lb.Dead, lb.Dead, lb.Alive)
			v.Nodes[2].Excluded = true
		}, outcome{"node1": "ok", "node2": "ok", "node3": "Excluded"}},
		{"kube-proxy well only on a node whose speaker gossip does not hear", func(v *View) {
			proxies(v, lb.Dead, lb.Dead, lb.Alive)
			v.Peers = []lb.Peer{{Node: "node2", Gossip: lb.Alive}, {Node: "node3", Gossip: lb.Unknown}}
		}, all},
		{"Local: kube-proxy dead where the only endpoint is", func(v *View) {
			v.Services[0].Local = true
			proxies(v, lb.Alive, lb.Dead, lb.Alive)
		}, outcome{"node1": "NoLocalEndpoint", "node2": "ok", "node3": "NoLocalEndpoint"}},
		{"Local: kube-proxy dead where one of two endpoints is", func(v *View) {
			v.Services[0].Local = true
			v.Services[0].Endpoints["node3"] = lb.Endpoints{Ready: 1}
			proxies(v, lb.Alive, lb.Dead, lb.Alive)
		}, outcome{"node1": "NoLocalEndpoint", "node2": "KubeProxyUnhealthy", "node3": "ok"}},
		{"shared: a node must be selected for every Service", func(v *View) {
			a, b := sharing()
			v.Services = []lb.Service{a, b}
			v.Advertisements = []lb.Advertisement{
				{Name: "a", ServiceSelectors: []lb.Selector{labelled("app", "a")}, NodeSelectors: []lb.Selector{labelled("name", "node1"), {}}},
				{Name: "b", ServiceSelectors: []lb.Selector{labelled("app", "b")}, NodeSelectors: []lb.Selector{labelled("name", "node3")}}}
		}, outcome{"node1": "NotSelected", "node2": "NotSelected", "node3": "ok"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := simple()
			c.change(&v)
			got := decide(v)
			if len(got.Addresses) != 1 {
				t.Fatalf("decided %d addresses, want 1", len(got.Addresses))
			}
			if diff := cmp.Diff(c.want, reasons(got.Addresses[0])); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
		})
	}
}

// proxies says how kube-proxy is on node1, node2 and so on.
func proxies(v *View, lives ...lb.Life) {
	for i, l := range lives {
		v.Speakers[i].KubeProxy = l
	}
}

// sharing returns two Services that may share the address.
func sharing() (a, b lb.Service) {
	a, b = service("a", vip), service("b", vip)
	a.SharingKey, b.SharingKey = "k", "k"
	a.Labels, b.Labels = map[string]string{"app": "a"}, map[string]string{"app": "b"}
	b.Ports = []lb.Port{{Protocol: "UDP", Number: 53}}
	return a, b
}

func TestRankIsWeightThenHash(t *testing.T) {
	v := simple()
	v.Services = []lb.Service{service("web", vip, netip.MustParseAddr("192.168.1.201"), netip.MustParseAddr("192.168.1.202"))}
	for _, a := range decide(v).Addresses {
		// The order that a MetalLB cluster has, worked out the slow way: whoever migrates keeps the owners.
		want := []string{"node1", "node2", "node3"}
		hash := func(n string) string { s := sha256.Sum256([]byte(n + "#" + a.Addr.String())); return string(s[:]) }
		slices.SortFunc(want, func(x, y string) int { return cmpString(hash(x), hash(y)) })
		var got []string
		for _, c := range a.Ranked() {
			got = append(got, c.Node)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", a.Addr, diff)
		}
		if first(a) != want[0] {
			t.Errorf("%s: owner %s, want the first candidate %s", a.Addr, first(a), want[0])
		}
	}

	last := decide(v).Addresses[0].Ranked()[2].Node
	v.Advertisements = []lb.Advertisement{
		{Name: "a", Preferred: []lb.Preference{{Weight: 30, Nodes: labelled("name", last)}, {Weight: 30, Nodes: nil}}},
		{Name: "b", Preferred: []lb.Preference{{Weight: 5, Nodes: labelled("name", last)}}},
		{Name: "other", Pools: []string{"elsewhere"}, Preferred: []lb.Preference{{Weight: 100, Nodes: labelled("name", "node1")}}}}
	a := decide(v).Addresses[0]
	if first(a) != last {
		t.Errorf("owner %s, want the preferred %s", first(a), last)
	}
	if got := []int{a.Ranked()[0].Weight, a.Ranked()[1].Weight, a.Ranked()[2].Weight}; !slices.Equal(got, []int{65, 30, 30}) {
		t.Errorf("weights %v, want the sums of what matches: [65 30 30]", got)
	}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestOlderServiceKeepsAnAddressThatMayNotBeShared(t *testing.T) {
	young, old, third := service("young", vip), service("old", vip), service("third", vip)
	young.Created = day.Add(time.Hour)
	third.Created, third.SharingKey = day.Add(2*time.Hour), "k"
	old.SharingKey = "k"
	third.Ports = []lb.Port{{Protocol: "UDP", Number: 80}}
	v := simple()
	v.Services = []lb.Service{young, third, old}
	a := decide(v).Addresses[0]
	want := Address{Services: []lb.Name{old.Name, third.Name}, Refused: []lb.Name{young.Name}}
	if diff := cmp.Diff(want, a, cmpopts.IgnoreFields(Address{}, "Addr", "Pool", "Owner", "Candidates", "Rejected", "Problem")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnmanagedServicesAndOverlappingPools(t *testing.T) {
	v := simple()
	v.Services[0].Managed = false
	if got := decide(v).Addresses; len(got) != 0 {
		t.Errorf("an unmanaged Service is announced: %+v", got)
	}
	v = simple()
	v.Pools = append(v.Pools, lb.Pool{Name: "a-younger", Created: day.Add(time.Hour), Ranges: ranges("192.168.1.0-192.168.1.255")})
	if got := decide(v).Addresses[0].Pool; got != "pool" {
		t.Errorf("the address belongs to %q, want the older pool", got)
	}
}
