package lab

import (
	"fmt"
	"net"
	"strings"
	"syscall"
)

// The faults. They act where a switch, a firewall or an administrator would, and none of them is known to what is tested.

// Pulled is a cable of a node that is out, as SetLink does it.
func (l *Lab) Pulled(nodeName, cable string) (Fault, error) {
	n, err := l.node(nodeName)
	if err != nil {
		return Fault{}, fmt.Errorf("pulling a cable: %w", err)
	}
	ns, ok := map[string]string{"lan": l.lanBr.NS, "mgmt": l.cp.NS}[cable]
	if !ok {
		return Fault{}, fmt.Errorf("pulling a cable of %s: %q is neither lan nor mgmt", nodeName, cable)
	}
	return Fault{Do: []Step{ipStep(ns, "link set "+n.Name+" down")}, Mend: []Step{ipStep(ns, "link set "+n.Name+" up")}}, nil
}

// Stopped is a process of the lab that got SIGSTOP: it lives and does nothing.
func Stopped(process string) Fault {
	return Fault{Do: []Step{{Process: process, Signal: syscall.SIGSTOP}}, Mend: []Step{{Process: process, Signal: syscall.SIGCONT}}}
}

// All is several faults at once, mended in the reverse order.
func All(faults ...Fault) Fault {
	var all Fault
	for _, f := range faults {
		all.Do = append(all.Do, f.Do...)
		all.Mend = append(append([]Step{}, f.Mend...), all.Mend...)
	}
	return all
}

// PortDropped is a firewall of a host that drops a TCP and UDP port, in both directions.
func PortDropped(h Host, port uint16) Fault {
	drop := fmt.Sprintf("meta l4proto { tcp, udp } th dport %d drop", port)
	return nftFault(h.NS, "inet lab_port", fmt.Sprintf(`table inet lab_port {
	chain in { type filter hook input priority -300; %s; }
	chain out { type filter hook output priority -300; %s; }
}
`, drop, drop))
}

// Direction of a loss on a cable, seen from the host at its end.
type Direction string

const (
	// FromHost loses what the host sends.
	FromHost Direction = "iifname"
	// ToHost loses what it would receive.
	ToHost Direction = "oifname"
)

// OneWay is a cable of the LAN that carries frames in one direction only, with carrier at both ends. The switch drops the
// frames, so that those who listen on the host hear nothing of them either.
func (l *Lab) OneWay(h Host, lost Direction) Fault {
	return nftFault(l.lanBr.NS, "bridge lab_oneway", fmt.Sprintf(`table bridge lab_oneway {
	chain forward { type filter hook forward priority 0; %s %q drop; }
}
`, lost, h.Name))
}

// nftFault adds a table and deletes it. Adding it again before it is deleted makes deleting right when it is not there.
func nftFault(ns, table, rules string) Fault {
	nft := func(input string) []Step { return []Step{{NS: ns, Command: []string{"nft", "-f", "-"}, Input: input}} }
	return Fault{Do: nft(rules), Mend: nft("add table " + table + "\ndelete table " + table + "\n")}
}

// Isolated are ports of the LAN that do not reach each other, only the ports that are not isolated: a private VLAN.
func (l *Lab) Isolated(hosts ...Host) Fault {
	var f Fault
	for _, h := range hosts {
		line := "link set dev " + h.Name + " type bridge_slave isolated "
		f.Do = append(f.Do, ipStep(l.lanBr.NS, line+"on"))
		f.Mend = append(f.Mend, ipStep(l.lanBr.NS, line+"off"))
	}
	return f
}

// Snooping is a switch that forwards multicast only to who has joined the group, and asks who has (MLD and IGMP). The bridge
// needs a link-local address to ask from.
func (l *Lab) Snooping() Fault {
	set := func(snoop, querier, ipv6Off int) []Step {
		return []Step{
			sysctlStep(l.lanBr.NS, fmt.Sprintf("ipv6/conf/br0/disable_ipv6=%d", ipv6Off)),
			// Short intervals, in hundredths of a second: membership is asked for and forgotten within the test.
			ipStep(l.lanBr.NS, fmt.Sprintf("link set dev br0 type bridge mcast_startup_query_interval 100 mcast_query_interval 500 mcast_query_response_interval 100"+
				" mcast_membership_interval 1200 mcast_querier_interval 1200 mcast_mld_version 2 mcast_hash_max 16384 mcast_snooping %d mcast_querier %d", snoop, querier)),
		}
	}
	return Fault{Do: set(1, 1, 0), Mend: set(0, 0, 1)}
}

// InterfaceDown is a node's interface on the LAN that an administrator took down: it loses its routes and IPv6 addresses, and
// gets them back.
func (l *Lab) InterfaceDown(nodeName string) (Fault, error) {
	n, err := l.node(nodeName)
	if err != nil {
		return Fault{}, fmt.Errorf("taking an interface down: %w", err)
	}
	up := []string{"link set eth0 up", "address replace " + n.IPv6.String() + "/64 dev eth0 nodad"}
	for _, line := range l.nodeRoutes(n) {
		up = append(up, strings.Replace(line, "route add", "route replace", 1))
	}
	return Fault{Do: []Step{ipStep(n.NS, "link set eth0 down")}, Mend: []Step{ipStep(n.NS, up...)}}, nil
}

// Renamed is a host's interface on the LAN under another name, given while it is up.
func Renamed(h Host, to string) Fault {
	back := fmt.Sprintf("! ip link show dev %s >/dev/null 2>&1 || ip link set dev %s name %s", to, to, h.Interface)
	return Fault{
		Do:   []Step{ipStep(h.NS, "link set dev "+h.Interface+" name "+to)},
		Mend: []Step{{NS: h.NS, Command: []string{"sh", "-c", back}}},
	}
}

// OtherMAC is a host's interface on the LAN with another hardware address. The kernel keeps the link-local address.
func OtherMAC(h Host, mac net.HardwareAddr) Fault {
	set := func(m net.HardwareAddr) []Step {
		return []Step{ipStep(h.NS, "link set dev "+h.Interface+" address "+m.String())}
	}
	return Fault{Do: set(mac), Mend: set(h.MAC)}
}

// SecondInterface is a further interface of a host on the LAN's switch, eth1, with addresses such as 192.168.2.11/24.
func (l *Lab) SecondInterface(h Host, addresses ...string) Fault {
	lines := []string{
		fmt.Sprintf("link add eth1 type veth peer name %s-b netns %s", h.Name, l.lanBr.NS),
		"link set eth1 up",
	}
	for _, a := range addresses {
		line := "address add " + a + " dev eth1"
		if strings.Contains(a, ":") {
			line += " nodad"
		}
		lines = append(lines, line)
	}
	gone := "! ip link show dev eth1 >/dev/null 2>&1 || ip link delete dev eth1"
	return Fault{
		Do:   []Step{ipStep(h.NS, lines...), ipStep(l.lanBr.NS, "link set "+h.Name+"-b master br0 up")},
		Mend: []Step{{NS: h.NS, Command: []string{"sh", "-c", gone}}},
	}
}

// StrictConntrack is a host whose kernel does not pick up TCP connections in the middle, which a planned move without a lost
// connection needs (nf_conntrack_tcp_loose=0; tcp_be_liberal=1 so that what it does know is never called invalid).
func StrictConntrack(h Host) Fault {
	set := func(loose, liberal int) []Step {
		return []Step{sysctlStep(h.NS, fmt.Sprintf("netfilter/nf_conntrack_tcp_loose=%d", loose), fmt.Sprintf("netfilter/nf_conntrack_tcp_be_liberal=%d", liberal))}
	}
	return Fault{Do: set(0, 1), Mend: set(1, 0)}
}

func ipStep(ns string, lines ...string) Step {
	return Step{NS: ns, Command: []string{"ip", "-batch", "-"}, Input: strings.Join(lines, "\n") + "\n"}
}

// sysctlStep writes values below /proc/sys/net of a namespace, "path=value" each.
func sysctlStep(ns string, settings ...string) Step {
	var script strings.Builder
	for _, s := range settings {
		path, value, _ := strings.Cut(s, "=")
		fmt.Fprintf(&script, "echo %s > /proc/sys/net/%s || exit 1\n", value, path)
	}
	return Step{NS: ns, Command: []string{"sh", "-c", script.String()}}
}
