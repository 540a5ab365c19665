package live

import "net/netip"

// Host is what of a node's own network settings bears on the addresses. The speaker reads it when it is asked, in the network
// namespace of the node; what it cannot read is left out.
type Host struct {
	// ARPIgnore is the arp_ignore in force on each interface that the speaker uses: the greater of the interface's and that of "all"
	// (Documentation/networking/ip-sysctl.rst of Linux). Below 1 the kernel answers ARP there for addresses of any interface.
	ARPIgnore map[string]int `json:"arpIgnore,omitempty"`
	// IPVS are the Services' addresses that kube-proxy has put on the interface kube-ipvs0, sorted.
	IPVS []netip.Addr `json:"ipvs,omitempty"`
	// TCPLoose and TCPLiberal are nf_conntrack_tcp_loose and nf_conntrack_tcp_be_liberal.
	TCPLoose   *int `json:"conntrackTCPLoose,omitempty"`
	TCPLiberal *int `json:"conntrackTCPBeLiberal,omitempty"`
}
