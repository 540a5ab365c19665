package doctor

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
)

func (f Facts) edit(pool string) string {
	return fmt.Sprintf("kubectl -n %s edit ipaddresspool %s", f.System, pool)
}

// holds says whether an address is in the pool and can be given out without being asked for by number.
func holds(p *lb.Pool, a netip.Addr) bool {
	in := func(r netipx.IPRange) bool { return r.Contains(a) }
	return slices.ContainsFunc(p.Ranges, in) && !slices.ContainsFunc(p.Reserved, in)
}

// nodeAddresses finds pools that could give the address of a node to a Service.
func nodeAddresses(f Facts) []Finding {
	var out []Finding
	for i := range f.Pools {
		p := &f.Pools[i]
		var taken []netip.Addr
		var nodes []string
		for _, n := range f.Nodes {
			for _, a := range n.Addrs {
				if holds(p, a) {
					taken, nodes = append(taken, a), append(nodes, fmt.Sprintf("%v of %s", a, n.Name))
				}
			}
		}
		if len(taken) > 0 {
			out = append(out, Finding{Severity: Error, Where: "IPAddressPool " + p.Name, Fix: f.reserve(p, taken),
				What: fmt.Sprintf("it has addresses of nodes: %s; a Service that gets one takes it from the node", strings.Join(nodes, ", "))})
		}
	}
	return out
}

// reserve is the command that adds addresses to spec.reserved of a pool.
func (f Facts) reserve(p *lb.Pool, addrs []netip.Addr) string {
	type op struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	var ops []op
	if len(p.Reserved) == 0 {
		ops = append(ops, op{"add", "/spec/reserved", []string{}})
	}
	for _, a := range addrs {
		ops = append(ops, op{"add", "/spec/reserved/-", netip.PrefixFrom(a, a.BitLen()).String()})
	}
	raw, err := json.Marshal(ops)
	if err != nil { // strings are never refused
		return f.edit(p.Name)
	}
	return fmt.Sprintf("kubectl -n %s patch ipaddresspool %s --type=json -p '%s'", f.System, p.Name, raw)
}

// podRanges finds pools with addresses of Pods.
func podRanges(f Facts) []Finding {
	var out []Finding
	for i := range f.Pools {
		p := &f.Pools[i]
		for _, n := range f.Nodes {
			if at := slices.IndexFunc(n.PodCIDRs, func(c netip.Prefix) bool { return overlaps(p, c) }); at >= 0 {
				out = append(out, Finding{Severity: Error, Where: "IPAddressPool " + p.Name, Fix: f.edit(p.Name),
					What: fmt.Sprintf("it overlaps %v, the range of Pods of node %s: a Service could get the address of a Pod", n.PodCIDRs[at], n.Name)})
				break // one node says enough
			}
		}
	}
	return out
}

// serviceRanges finds pools with cluster IPs.
func serviceRanges(f Facts) []Finding {
	var out []Finding
	for i := range f.Pools {
		p := &f.Pools[i]
		for _, c := range f.ServiceCIDRs {
			if overlaps(p, c) {
				out = append(out, Finding{Severity: Error, Where: "IPAddressPool " + p.Name, Fix: f.edit(p.Name),
					What: fmt.Sprintf("it overlaps %v, the range of cluster IPs: kube-proxy would send its traffic to another Service", c)})
			}
		}
	}
	return out
}

func overlaps(p *lb.Pool, c netip.Prefix) bool {
	other := netipx.RangeOfPrefix(c)
	return slices.ContainsFunc(p.Ranges, func(r netipx.IPRange) bool { return r.Overlaps(other) })
}

// notAdvertised finds pools whose addresses nobody will answer for.
func notAdvertised(f Facts) []Finding {
	var out []Finding
	for i := range f.Pools {
		if len(f.matching(&f.Pools[i])) > 0 {
			continue
		}
		name := f.Pools[i].Name
		out = append(out, Finding{Severity: Error, Where: "IPAddressPool " + name, What: "no L2Advertisement names or selects it: its addresses are given out, and nobody answers for them",
			Fix: fmt.Sprintf(`printf 'apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: %s, namespace: %s}\nspec: {ipAddressPools: [%s]}\n' | kubectl apply -f -`, name, f.System, name)})
	}
	return out
}

// pending tells of Services that wait.
func pending(f Facts) []Finding {
	var out []Finding
	for _, w := range f.Waiting {
		out = append(out, Finding{Severity: Warning, Where: "Service " + w.Service.String(),
			What: fmt.Sprintf("waits for an address: %s: %s", w.Problem.Reason, w.Problem.Message),
			Fix:  fmt.Sprintf("kubectl steelyard explain svc/%s -n %s", w.Service.Name, w.Service.Namespace)})
	}
	return out
}

// unknownInterfaces finds advertisements that name interfaces which the nodes that they select do not have.
func unknownInterfaces(f Facts) []Finding {
	var out []Finding
	for _, ad := range f.Advertisements {
		n := f.named(ad)
		found := Finding{Severity: Warning, Where: "L2Advertisement " + ad.Name, Fix: fmt.Sprintf("kubectl -n %s edit l2advertisement %s", f.System, ad.Name)}
		switch {
		case n.asked == 0:
			continue
		case len(n.unknown) == len(ad.Interfaces):
			found.Severity, found.What = Error, "no node has an interface that it names, so nobody answers by it: "+strings.Join(n.unknown, ", ")
		case len(n.lacking) > 0:
			found.What = "it names no interface of these nodes, so they never answer by it: " + strings.Join(n.lacking, ", ")
		case len(n.unknown) > 0:
			found.What = "no node has these interfaces that it names: " + strings.Join(n.unknown, ", ")
		default:
			continue
		}
		out = append(out, found)
	}
	return out
}

// naming is what became of the interfaces that an advertisement names.
type naming struct {
	asked   int      // nodes that it selects and whose speaker told; 0 when it names no interface
	lacking []string // those of them that have none of the interfaces
	unknown []string // interfaces that none of them has
}

// named looks for the interfaces that the advertisement names on the nodes that it selects.
func (f Facts) named(ad lb.Advertisement) naming {
	n := naming{unknown: slices.Clone(ad.Interfaces)}
	if len(ad.Interfaces) == 0 {
		return n
	}
	for _, v := range f.told() {
		if !f.selects(ad, v.Node) {
			continue
		}
		n.asked++
		has := func(name string) bool {
			return slices.ContainsFunc(interfaces(v), func(i live.Interface) bool { return i.Name == name })
		}
		if !slices.ContainsFunc(ad.Interfaces, has) {
			n.lacking = append(n.lacking, v.Node)
		}
		n.unknown = slices.DeleteFunc(n.unknown, has)
	}
	return n
}

// selects says whether the advertisement lets the node answer.
func (f Facts) selects(ad lb.Advertisement, node string) bool {
	at := slices.IndexFunc(f.Nodes, func(n Node) bool { return n.Name == node })
	return at >= 0 && (len(ad.NodeSelectors) == 0 || lb.AnyMatches(ad.NodeSelectors, f.Nodes[at].Labels))
}

// allows says whether an advertisement of the pool lets the node use the interface.
func (f Facts) allows(ads []lb.Advertisement, node, itf string) bool {
	return slices.ContainsFunc(ads, func(ad lb.Advertisement) bool {
		return f.selects(ad, node) && (len(ad.Interfaces) == 0 || slices.Contains(ad.Interfaces, itf))
	})
}

// reach returns the interfaces with a prefix that overlaps a range of the pool and its family, as "node/interface".
func (f Facts) reach(r netipx.IPRange, use func(node, itf string) bool) []string {
	var out []string
	for _, v := range f.told() {
		for _, i := range interfaces(v) {
			on := slices.ContainsFunc(i.Prefixes, func(c netip.Prefix) bool { return r.Overlaps(netipx.RangeOfPrefix(c.Masked())) })
			if on && use(v.Node, i.Name) {
				out = append(out, v.Node+"/"+i.Name)
			}
		}
	}
	return out
}

// offSegment finds ranges on whose network no interface is that may answer: then all allowed interfaces do (ADR 3), which is right
// only where a router sends the range there.
func offSegment(f Facts) []Finding {
	if len(f.told()) == 0 {
		return nil
	}
	var out []Finding
	for i := range f.Pools {
		p := &f.Pools[i]
		ads := f.matching(p)
		if len(ads) == 0 {
			continue
		}
		for _, r := range p.Ranges {
			if len(f.reach(r, func(node, itf string) bool { return f.allows(ads, node, itf) })) > 0 {
				continue
			}
			out = append(out, Finding{Severity: Warning, Where: "IPAddressPool " + p.Name, Fix: fmt.Sprintf("kubectl -n %s edit l2advertisement %s", f.System, ads[0].Name),
				What: fmt.Sprintf("no node has an interface on the network of %v that an advertisement allows: clients reach it only if a router sends it to the nodes' segment", r)})
		}
	}
	return out
}

// unusedInterfaces finds interfaces on the network of a pool that no advertisement lets answer.
func unusedInterfaces(f Facts) []Finding {
	var out []Finding
	for i := range f.Pools {
		p := &f.Pools[i]
		ads := f.matching(p)
		var barred []string
		for _, r := range p.Ranges {
			barred = append(barred, f.reach(r, func(node, itf string) bool { return !f.allows(ads, node, itf) })...)
		}
		slices.Sort(barred)
		if barred = slices.Compact(barred); len(barred) > 0 && len(ads) > 0 {
			out = append(out, Finding{Severity: Note, Where: "IPAddressPool " + p.Name, Fix: fmt.Sprintf("kubectl -n %s get l2advertisements", f.System),
				What: "these interfaces are on its network, and no L2Advertisement lets them answer: " + strings.Join(barred, ", ")})
		}
	}
	return out
}
