package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func ranges(texts ...string) []netipx.IPRange {
	var out []netipx.IPRange
	for _, t := range texts {
		if !strings.Contains(t, "-") {
			out = append(out, netipx.RangeOfPrefix(netip.MustParsePrefix(t)))
			continue
		}
		out = append(out, netipx.MustParseIPRange(t))
	}
	return out
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// well is a cluster of two nodes in which nothing is wrong.
func well() Facts {
	f := Facts{System: "metallb-system", Now: noon(), Asked: noon(), Answered: noon().Add(time.Second), GossipPort: 4711,
		ServiceCIDRs:   []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")},
		Pools:          []lb.Pool{{Name: "lan", Ranges: ranges("192.0.2.32-192.0.2.63")}},
		Advertisements: []lb.Advertisement{{Name: "lan"}},
		Services:       []Service{{Name: lb.Name{Namespace: "default", Name: "web"}, Writers: []Writer{{controller, noon().Add(-time.Hour)}, {"controller", noon().Add(-2 * time.Hour)}}}},
		Workloads: []Workload{{Kind: "DaemonSet", Namespace: "metallb-system", Name: "steelyard-speaker", Images: []string{"steelyard-lb/steelyard-speaker:v1"},
			Labels: map[string]string{"app.kubernetes.io/name": "steelyard"}}}}
	for i, name := range []string{"a", "b"} {
		own := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		f.Nodes = append(f.Nodes, Node{Name: name, Runs: true, Labels: map[string]string{"name": name}, Addrs: []netip.Addr{own},
			PodCIDRs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(i), 0}), 24)}})
		f.Speakers = append(f.Speakers, Speaker{Node: name, View: live.View{Node: name, Time: noon(), Peers: []live.Peer{{Node: string("ba"[i]), Gossip: live.Alive}},
			Speakers: []live.Speaker{{Node: name, Interfaces: []live.Interface{{Name: "eth0", Up: true, Prefixes: []netip.Prefix{netip.PrefixFrom(own, 24)}}}}},
			Host:     &live.Host{ARPIgnore: map[string]int{"eth0": 0}}}})
	}
	return f
}

func number(n int) *int { return &n }

// own gives node a the interface eth0 with so many addresses to answer for.
func own(f *Facts, n int) {
	for i := range n {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(32 + i)})
		f.Speakers[0].View.Addresses = append(f.Speakers[0].View.Addresses, live.Address{Address: a, Owner: "a"})
	}
}

// row changes a cluster in which nothing is wrong. want is "" or "rule severity where", says a part of What, and fix one of Fix.
type row struct {
	name            string
	change          func(*Facts)
	want, says, fix string
}

func rivalRows() []row {
	metallb := func(args ...string) func(*Facts) {
		return func(f *Facts) {
			f.Workloads = append(f.Workloads, Workload{Kind: "Deployment", Namespace: "metallb-system", Name: "controller", Images: []string{"quay.io/metallb/controller:v0.16.1"}, Args: args})
		}
	}
	runs := func(w Workload) func(*Facts) { return func(f *Facts) { f.Workloads = append(f.Workloads, w) } }
	wrote := func(w ...Writer) func(*Facts) { return func(f *Facts) { f.Services[0].Writers = w } }
	return []row{
		{"MetalLB runs too", metallb("--port=9120"), "rival-controller error Deployment metallb-system/controller", "MetalLB serves Services of no loadBalancerClass too", "scale deployment controller --replicas=0"},
		{"MetalLB serves another class", metallb("--lb-class=metallb"), "", "", ""},
		{"MetalLB and we serve one class", func(f *Facts) { metallb("--lb-class=x")(f); f.Class = "x" }, "rival-controller error Deployment metallb-system/controller", "loadBalancerClass x", ""},
		{"we serve a class, MetalLB none", func(f *Facts) { metallb()(f); f.Class = "x" }, "", "", ""},
		{"MetalLB's speakers, from a mirror", runs(Workload{Kind: "DaemonSet", Namespace: "m", Name: "speaker", Images: []string{"mirror/speaker"}, Labels: map[string]string{"app": "metallb"}}),
			"rival-controller error DaemonSet m/speaker", "", "patch daemonset speaker"},
		{"k3s has its own", runs(Workload{Kind: "DaemonSet", Namespace: "kube-system", Name: "svclb-web", Labels: map[string]string{"svccontroller.k3s.cattle.io/svcname": "web"}}),
			"rival-controller error DaemonSet kube-system/svclb-web", "ServiceLB", "servicelb"},
		{"kube-vip serves Services", runs(Workload{Kind: "Pod", Name: "kube-vip", Images: []string{"ghcr.io/kube-vip/kube-vip:v1"}, Env: []string{"svc_enable=true"}}), "rival-controller error Pod /kube-vip", "", "manifests"},
		{"kube-vip serves the API server only", runs(Workload{Kind: "Pod", Name: "kube-vip", Images: []string{"ghcr.io/kube-vip/kube-vip:v1"}, Env: []string{"cp_enable=true"}}), "", "", ""},
		{"PureLB", runs(Workload{Kind: "Deployment", Name: "allocator", Images: []string{"r/purelb/allocator"}}), "rival-controller error Deployment /allocator", "PureLB", ""},
		{"OpenELB", runs(Workload{Kind: "Deployment", Name: "m", Images: []string{"r/openelb-controller"}}), "rival-controller error Deployment /m", "OpenELB", ""},
		{"a cloud's controller", runs(Workload{Kind: "DaemonSet", Name: "openstack-cloud-controller-manager"}), "rival-controller warning DaemonSet /openstack-cloud-controller-manager", "", "service-lb-controller"},
		{"a cloud's controller that leaves Services alone", runs(Workload{Kind: "DaemonSet", Name: "x-cloud-controller-manager", Args: []string{"--controllers=*,-service-lb-controller"}}), "", "", ""},
		{"somebody wrote the status a minute ago", wrote(Writer{"cilium-operator", noon().Add(-time.Minute)}), "foreign-status error Service default/web", "cilium-operator wrote status.loadBalancer 1m0s ago", "get service web"},
		{"both write by turns", wrote(Writer{controller, noon().Add(-time.Second)}, Writer{"other", noon().Add(-2 * time.Second)}), "foreign-status error Service default/web", "by turns", ""},
		{"a predecessor wrote it long ago", wrote(Writer{"controller", noon().Add(-time.Hour)}), "", "", ""},
	}
}

func speakerRows() []row {
	return []row{
		{"something could not be read", func(f *Facts) { f.Unread = []Unread{{"ServiceCIDRs", "forbidden"}} }, "unread warning ServiceCIDRs", "forbidden", "can-i"},
		{"a node without a speaker", func(f *Facts) { f.Speakers = f.Speakers[:1]; f.Speakers[0].View.Peers = nil }, "speaker-missing warning node b", "", "describe daemonset"},
		{"a node that shall have none", func(f *Facts) { f.Nodes = append(f.Nodes, Node{Name: "windows"}) }, "", "", ""},
		{"no speaker at all", func(f *Facts) { f.Speakers = nil }, "speaker-missing error namespace metallb-system", "", ""},
		{"no speaker can be asked", func(f *Facts) { f.Speakers, f.Unasked = nil, "pods is forbidden" }, "speaker-silent warning all speakers", "pods is forbidden", "pods/portforward"},
		{"no node at all", func(f *Facts) { f.Speakers, f.Nodes = nil, nil }, "", "", ""},
		{"a speaker that does not answer", func(f *Facts) { f.Speakers[1] = Speaker{Node: "b", Silent: "no answer within 5s"} }, "speaker-silent warning node b", "no answer within 5s", "spec.nodeName=b"},
		{"one does not hear the other", func(f *Facts) { f.Speakers[0].View.Peers[0].Gossip = live.Dead }, "gossip-cut error nodes a and b", "a does not hear b: a firewall drops TCP or UDP port 4711", "dport 4711"},
		{"neither knows the other", func(f *Facts) { f.Speakers[0].View.Peers, f.Speakers[1].View.Peers, f.GossipPort = nil, nil, 0 }, "gossip-cut error nodes a and b", "a does not hear b and b does not hear a", "dport PORT"},
		{"a clock that is slow", func(f *Facts) { f.Speakers[0].View.Time = noon().Add(-3 * time.Second) }, "clock warning node a", "-3 s", "chronyc"},
		{"a clock that is fast", func(f *Facts) { f.Speakers[0].View.Time = noon().Add(11 * time.Second) }, "clock warning node a", "+10 s", ""},
		{"an answer that was late", func(f *Facts) {
			f.Speakers[0].View.Time, f.Answered = noon().Add(5*time.Second), noon().Add(5*time.Second)
		}, "", "", ""},
		{"all are off alike", func(f *Facts) {
			f.Speakers[0].View.Time, f.Speakers[1].View.Time = noon().Add(time.Hour), noon().Add(time.Hour)
		}, "clock warning this machine", "", ""},
	}
}

func kernelRows() []row {
	ipvs := func(ignore int, addrs ...netip.Addr) func(*Facts) {
		return func(f *Facts) {
			f.Speakers[0].View.Host = &live.Host{ARPIgnore: map[string]int{"eth0": ignore, "eth1": 1}, IPVS: addrs}
		}
	}
	loose := func(a, b int) func(*Facts) {
		return func(f *Facts) {
			f.Speakers[0].View.Host.TCPLoose, f.Speakers[1].View.Host.TCPLoose = number(a), number(b)
		}
	}
	return []row{
		{"the kernel answers ARP itself", ipvs(0, addr("192.0.2.32")), "kernel-answers error node a", "arp_ignore is 0 on eth0:", "strictARP: true"},
		{"arp_ignore keeps it from it", ipvs(1, addr("192.0.2.32")), "", "", ""},
		{"NDP is another matter", ipvs(0, addr("2001:db8::1")), "", "", ""},
		{"a speaker that does not tell of its host", func(f *Facts) { f.Speakers[0].View.Host = nil }, "", "", ""},
		{"IPVS mode without strictARP", func(f *Facts) { f.Proxy = Proxy{Found: true, Mode: "ipvs"} }, "strict-arp error ConfigMap kube-system/kube-proxy", "", "strictARP: true"},
		{"IPVS mode with strictARP", func(f *Facts) { f.Proxy = Proxy{Found: true, Mode: "ipvs", StrictARP: true} }, "", "", ""},
		{"another mode", func(f *Facts) { f.Proxy = Proxy{Found: true, Mode: "nftables"} }, "", "", ""},
		{"tcp_loose is 1 everywhere", loose(1, 1), "tcp-loose note all nodes", "may reset open connections", "tcp_loose=0"},
		{"tcp_loose is 0 everywhere", loose(0, 0), "tcp-loose note all nodes", "hang instead of being reset", "tcp_loose=1"},
		{"tcp_loose differs", loose(1, 0), "tcp-loose warning all nodes", "is 0 on b and not on the others", ""},
		{"few addresses", func(f *Facts) { own(f, 2) }, "", "", ""},
		{"a node that would announce many addresses at once", func(f *Facts) { own(f, 3) }, "arp-rate note switch ports of nodes", "6 ARP packets a second, questions and answers (10 after a start), and a would send 12 within a second to announce its 3 addresses", "limit rate 100"},
		{"a Service that waits", func(f *Facts) {
			f.Waiting = []Waiting{{lb.Name{Namespace: "shop", Name: "till"}, lb.Problem{Reason: "Exhausted", Message: "lan is full"}}}
		}, "service-pending warning Service shop/till", "Exhausted: lan is full", "explain svc/till -n shop"},
	}
}

func poolRows() []row {
	set := func(texts ...string) func(*Facts) { return func(f *Facts) { f.Pools[0].Ranges = ranges(texts...) } }
	onlyA := []lb.Selector{{{Key: "name", Op: lb.In, Values: []string{"a"}}}}
	return []row{
		{"a pool with a node's address", set("192.0.2.0/26"), "pool-takes-node-address error IPAddressPool lan", "192.0.2.1 of a, 192.0.2.2 of b",
			`-p '[{"op":"add","path":"/spec/reserved","value":[]},{"op":"add","path":"/spec/reserved/-","value":"192.0.2.1/32"},`},
		{"a node's address that is reserved", func(f *Facts) { set("192.0.2.0/26")(f); f.Pools[0].Reserved = ranges("192.0.2.0/28") }, "", "", ""},
		{"some are reserved", func(f *Facts) { set("192.0.2.0/26")(f); f.Pools[0].Reserved = ranges("192.0.2.1/32") }, "pool-takes-node-address error IPAddressPool lan", "192.0.2.2 of b",
			`-p '[{"op":"add","path":"/spec/reserved/-","value":"192.0.2.2/32"}]'`},
		{"a pool with addresses of Pods", set("192.0.2.32/27", "10.244.1.200-10.244.1.210"), "pool-overlaps-pods error IPAddressPool lan", "10.244.1.0/24, the range of Pods of node b", "edit ipaddresspool lan"},
		{"a pool with cluster IPs", set("192.0.2.32/27", "10.100.0.0/24"), "pool-overlaps-services error IPAddressPool lan", "10.96.0.0/12", ""},
		{"a pool that no advertisement is about", func(f *Facts) { f.Advertisements[0].Pools = []string{"other"} }, "pool-not-advertised error IPAddressPool lan", "nobody answers", "ipAddressPools: [lan]"},
		{"an interface that no node has", func(f *Facts) { f.Advertisements[0].Interfaces = []string{"eth9"} }, "interface-unknown error L2Advertisement lan", "eth9", "edit l2advertisement lan"},
		{"an interface that one node lacks", func(f *Facts) {
			f.Advertisements[0].Interfaces = []string{"eth0"}
			f.Speakers[1].View.Speakers[0].Interfaces[0].Name = "ens1"
		}, "interface-unknown warning L2Advertisement lan", "never answer by it: b", ""},
		{"an interface that the nodes have and one that they do not", func(f *Facts) { f.Advertisements[0].Interfaces = []string{"eth0", "eth9"} }, "interface-unknown warning L2Advertisement lan", "that it names: eth9", ""},
		{"an interface that the selected nodes have", func(f *Facts) {
			f.Advertisements[0].Interfaces, f.Advertisements[0].NodeSelectors = []string{"eth0"}, onlyA
			f.Speakers[1].View.Speakers[0].Interfaces = nil
		}, "", "", ""},
		{"a range on no node's network", set("192.0.2.32/27", "198.51.100.0/24"), "pool-off-segment warning IPAddressPool lan", "198.51.100.0-198.51.100.255", ""},
		{"an interface that could answer and may not", func(f *Facts) { f.Advertisements[0].NodeSelectors = onlyA }, "interface-unused note IPAddressPool lan", "b/eth0", ""},
	}
}

func TestEachRule(t *testing.T) {
	fired := map[string]bool{}
	for _, r := range slices.Concat(rivalRows(), speakerRows(), kernelRows(), poolRows()) {
		t.Run(r.name, func(t *testing.T) {
			f := well()
			r.change(&f)
			got := Examine(f)
			if len(got) == 0 && r.want == "" {
				return
			}
			at := slices.IndexFunc(got, func(g Finding) bool { return g.Rule+" "+string(g.Severity)+" "+g.Where == r.want })
			if at < 0 {
				t.Fatalf("found %+v, want %q", got, r.want)
			}
			if g := got[at]; !strings.Contains(g.What, r.says) || !strings.Contains(g.Fix, r.fix) || g.Fix == "" {
				t.Errorf("found %+v, want it to say %q and to offer %q", g, r.says, r.fix)
			}
			fired[got[at].Rule] = true
			for _, g := range got {
				if g.Rule != got[at].Rule && !consequence(got[at].Rule, g.Rule) {
					t.Errorf("found %+v too", g)
				}
			}
		})
	}
	for _, r := range rules() {
		if !fired[r.name] {
			t.Errorf("no row makes the rule %s find anything", r.name)
		}
	}
}

// consequence says that what the first rule finds brings a finding of the second with it.
func consequence(cause, effect string) bool {
	return effect == "pool-off-segment" && (strings.HasPrefix(cause, "pool-") || cause == "interface-unknown") || effect == "interface-unused" && cause == "interface-unknown"
}

func TestNothingIsFoundWhereNothingIsWrong(t *testing.T) {
	if got := Examine(well()); len(got) > 0 {
		t.Errorf("found %+v", got)
	}
	if got := Examine(Facts{}); len(got) > 0 {
		t.Errorf("found %+v in an empty cluster", got)
	}
}

func TestTheWorstComesFirst(t *testing.T) {
	f := well()
	own(&f, 9)
	f.Unread = []Unread{{"Nodes", "forbidden"}}
	f.Advertisements = nil
	var got []string
	for _, g := range Examine(f) {
		got = append(got, string(g.Severity))
	}
	if want := "error warning note"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}
