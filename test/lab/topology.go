package lab

import (
	"fmt"
	"net"
	"net/netip"
)

// Addresses that are the same in every lab: labs do not see each other.
var (
	mgmtCP      = netip.MustParseAddr("198.18.0.1") // RFC 2544 range, as far from a real network as can be
	serviceAPI4 = netip.MustParseAddr("10.96.0.1")
	serviceAPI6 = netip.MustParseAddr("fd00:10:96::1")
)

const (
	apiURL       = "https://198.18.0.1:6443"
	apiPort      = 6443
	serviceCIDRs = "10.96.0.0/16,fd00:10:96::/112"
	podCIDRs     = "10.244.0.0/16,fd00:10:244::/48"
	gateway4     = "192.168.1.1"
	gateway6     = "fd00:1::1"
)

// nodeCount is the number of nodes: three is the smallest cluster in which a failover has a choice.
const nodeCount = 3

// Host is one network namespace of the lab. The zero Host is none.
type Host struct {
	// Name is what the lab calls it: node1, client, router, cp, lan.
	Name string
	// NS is the name of its network namespace, as `ip netns` knows it.
	NS string
	// IPv4, IPv6 and LinkLocal are its addresses on Interface; invalid where it has none.
	IPv4, IPv6, LinkLocal netip.Addr
	// MAC is the hardware address of Interface; nil where there is no LAN interface.
	MAC net.HardwareAddr
	// Interface is its interface on the LAN (eth0), the bridge of the LAN (br0) or the management bridge (mgmt).
	Interface string
}

// node is a Host that runs Kubernetes.
type node struct {
	Host
	index      int        // 1 …
	mgmt       netip.Addr // on mgmt0
	pod4, pod6 string     // pod ranges, CIDR
}

// topology is every host of one lab.
type topology struct {
	nodes                     []node
	client, router, cp, lanBr Host
}

// plan lays out a lab. A lab of tier APIOnly has nothing but the control plane.
func plan(name string, tier Tier) topology {
	t := topology{cp: Host{Name: "cp", NS: name + "-cp", IPv4: mgmtCP, Interface: "mgmt"}}
	if tier == APIOnly {
		return t
	}
	t.lanBr = Host{Name: "lan", NS: name + "-lan", Interface: "br0"}
	t.client = onLAN(name, "client", 100)
	t.router = onLAN(name, "router", 1)
	for i := 1; i <= nodeCount; i++ {
		t.nodes = append(t.nodes, node{
			Host:  onLAN(name, fmt.Sprintf("node%d", i), 10+i),
			index: i,
			mgmt:  netip.AddrFrom4([4]byte{198, 18, 0, byte(10 + i)}),
			pod4:  fmt.Sprintf("10.244.%d.0/24", i),
			pod6:  fmt.Sprintf("fd00:10:244:%d::/64", i),
		})
	}
	return t
}

// onLAN gives a host its addresses by one number: 11 is 192.168.1.11, fd00:1::11 (the same digits, not the same value), and
// a locally administered MAC with the IPv4 address in it, so that a capture can be read.
func onLAN(lab, name string, number int) Host {
	v4 := netip.AddrFrom4([4]byte{192, 168, 1, byte(number)})
	b := v4.As4()
	mac := net.HardwareAddr{0x02, 0x00, b[0], b[1], b[2], b[3]}
	return Host{
		Name: name, NS: lab + "-" + name, Interface: "eth0",
		IPv4: v4, IPv6: netip.MustParseAddr(fmt.Sprintf("fd00:1::%d", number)), LinkLocal: linkLocal(mac), MAC: mac,
	}
}

// linkLocal is the address that the kernel gives an interface from its MAC: modified EUI-64, RFC 4291 appendix A.
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0xfe, 0x80, 0, 0, 0, 0, 0, 0,
		mac[0] ^ 0x02, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5],
	})
}

// hosts are all of them, in the order in which they are made.
func (t topology) hosts() []Host {
	all := []Host{t.cp}
	if t.lanBr.NS == "" {
		return all
	}
	all = append(all, t.lanBr, t.client, t.router)
	for _, n := range t.nodes {
		all = append(all, n.Host)
	}
	return all
}

// node finds a node by name.
func (t topology) node(name string) (node, error) {
	for _, n := range t.nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return node{}, fmt.Errorf("the lab has no node %q", name)
}
