package speaker

import (
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/live"
)

// ipvsLink is the interface on which kube-proxy in IPVS mode puts every address of a Service.
const ipvsLink = "kube-ipvs0"

// hostOf tells how the node is set up for what the View is about. sysctls is /proc/sys/net, ipvs are the addresses of ipvsLink.
func hostOf(v live.View, sysctls fs.FS, ipvs []netip.Addr) *live.Host {
	h := live.Host{TCPLoose: number(sysctls, "netfilter/nf_conntrack_tcp_loose"), TCPLiberal: number(sysctls, "netfilter/nf_conntrack_tcp_be_liberal")}
	for _, s := range v.Speakers {
		if s.Node == v.Node {
			h.ARPIgnore = arpIgnore(sysctls, s.Interfaces)
		}
	}
	on := map[netip.Addr]bool{}
	for _, a := range ipvs {
		on[a] = true
	}
	for _, a := range v.Addresses { // sorted
		if on[a.Address] {
			h.IPVS = append(h.IPVS, a.Address)
		}
	}
	return &h
}

// arpIgnore returns what is in force on each interface that can be read.
func arpIgnore(sysctls fs.FS, interfaces []live.Interface) map[string]int {
	out := map[string]int{}
	all := number(sysctls, "ipv4/conf/all/arp_ignore")
	for _, i := range interfaces {
		if own := number(sysctls, "ipv4/conf/"+i.Name+"/arp_ignore"); own != nil && all != nil {
			out[i.Name] = max(*own, *all)
		}
	}
	return out
}

// number reads a sysctl; nil when it cannot be read, as when its kernel module is not loaded.
func number(sysctls fs.FS, path string) *int {
	raw, err := fs.ReadFile(sysctls, path)
	if err != nil {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil
	}
	return &n
}

// ipvsAddrs returns the addresses of ipvsLink; none where kube-proxy is in another mode.
func ipvsAddrs() []netip.Addr {
	link, err := net.InterfaceByName(ipvsLink)
	if err != nil {
		return nil
	}
	addrs, err := link.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}
