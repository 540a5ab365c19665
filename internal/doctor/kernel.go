package doctor

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/liveness"
)

// fixStrictARP lets kube-proxy set arp_ignore and arp_announce wherever it runs in IPVS mode.
const fixStrictARP = "kubectl -n kube-system get configmap kube-proxy -o yaml | sed 's/strictARP: false/strictARP: true/' | kubectl apply -f - && kubectl -n kube-system rollout restart daemonset kube-proxy"

// kernelAnswers finds nodes whose kernel answers ARP for Services' addresses by itself, because kube-proxy put them on an interface:
// then every node answers for every address. IPv6 is not concerned: a kernel answers NDP for the addresses of one interface there only.
func kernelAnswers(f Facts) []Finding {
	var out []Finding
	for _, v := range f.told() {
		if v.Host == nil || !slices.ContainsFunc(v.Host.IPVS, netip.Addr.Is4) {
			continue
		}
		var open []string
		for _, name := range slices.Sorted(maps.Keys(v.Host.ARPIgnore)) {
			if v.Host.ARPIgnore[name] < 1 {
				open = append(open, name)
			}
		}
		if len(open) > 0 {
			out = append(out, Finding{Severity: Error, Where: "node " + v.Node, Fix: fixStrictARP,
				What: fmt.Sprintf("kube-ipvs0 holds Services' addresses and arp_ignore is 0 on %s: the kernel answers ARP for all of them, whoever owns them", strings.Join(open, ", "))})
		}
	}
	return out
}

// strictARP finds the same by the configuration of kube-proxy, before there is an address.
func strictARP(f Facts) []Finding {
	if !f.Proxy.Found || f.Proxy.Mode != "ipvs" || f.Proxy.StrictARP {
		return nil
	}
	return []Finding{{Severity: Error, Where: "ConfigMap kube-system/kube-proxy", Fix: fixStrictARP,
		What: "kube-proxy is in IPVS mode without strictARP: it puts all addresses of Services on every node, and every kernel answers ARP for them"}}
}

// tcpLoose tells what nf_conntrack_tcp_loose means for moves.
func tcpLoose(f Facts) []Finding {
	nodes := map[int][]string{}
	for _, v := range f.told() {
		if v.Host != nil && v.Host.TCPLoose != nil {
			nodes[*v.Host.TCPLoose] = append(nodes[*v.Host.TCPLoose], v.Node)
		}
	}
	set := func(n int) string {
		return fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_tcp_loose=%d   # on every node, and in /etc/sysctl.d", n)
	}
	switch {
	case len(nodes) > 1:
		return []Finding{{Severity: Warning, Where: "all nodes", Fix: set(0),
			What: fmt.Sprintf("nf_conntrack_tcp_loose is 0 on %s and not on the others: what becomes of open connections depends on where an address moves", strings.Join(nodes[0], ", "))}}
	case len(nodes[0]) > 0:
		return []Finding{{Severity: Note, Where: "all nodes", Fix: set(1),
			What: "nf_conntrack_tcp_loose is 0: open connections outlive a planned move; after an unplanned one they hang instead of being reset"}}
	case len(nodes) > 0:
		return []Finding{{Severity: Note, Where: "all nodes", Fix: set(0),
			What: "nf_conntrack_tcp_loose is 1: a planned move may reset open connections, which 0 prevents; with 0 they hang instead of being reset after an unplanned move"}}
	}
	return nil
}

// The rest of what docs/failover.md, "What it costs on the wire", says beside liveness.BudgetPerSecond: packets a second of an interface after
// a start, and the frames within the second after a takeover that announce one address, two at once and two after 0.1 s.
const (
	afterStart     = 10
	announceFrames = 4
	// inspected is the rate at which switches with dynamic ARP inspection often shut a port, packets a second; burstNodes is the
	// size of a cluster in which the questions of one suspicion can pass it.
	inspected  = 15
	burstNodes = 12
)

// arpRate finds whether a switch that limits ARP could shut the port of a node.
func arpRate(f Facts) []Finding {
	told := f.told()
	most, where := 0, ""
	for _, v := range told {
		own := 0
		for _, a := range v.Addresses {
			if a.Owner == v.Node && a.Address.Is4() {
				own++
			}
		}
		if own > most {
			most, where = own, v.Node
		}
	}
	burst := most * announceFrames
	steady := liveness.BudgetPerSecond(len(told)).Total()
	if len(told) < burstNodes && burst+steady <= inspected {
		return nil
	}
	what := fmt.Sprintf("an interface sends %d ARP packets a second, questions and answers (%d after a start)", steady, afterStart)
	if most > 0 {
		what += fmt.Sprintf(", and %s would send %d within a second to announce its %d addresses", where, burst, most)
	}
	return []Finding{{Severity: Note, Where: "switch ports of nodes",
		What: fmt.Sprintf("%s; dynamic ARP inspection often shuts a port at %d", what, inspected),
		Fix:  fmt.Sprintf("ip arp inspection limit rate %d   # on the ports of nodes, if the switch inspects ARP (Cisco IOS syntax)", max(burst+afterStart, 100))}}
}
