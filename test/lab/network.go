package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// makeNetwork makes every namespace, both bridges, the cables between them, addresses and routes.
func (l *Lab) makeNetwork(ctx context.Context) error {
	for _, h := range l.hosts() {
		if _, err := os.Stat(netnsPath(h.NS)); err == nil {
			return fmt.Errorf("namespace %s exists, and no lab has written down that it made it: remove it with `ip netns delete %s`, or give the lab another name", h.NS, h.NS)
		}
		if err := addLine(l.path("namespaces"), h.NS); err != nil {
			return err
		}
		if err := ipCommand(ctx, "", "netns", "add", h.NS); err != nil {
			return err
		}
		if err := h.Do(func() error { return writeSysctls(l.sysctls(h)) }); err != nil {
			return fmt.Errorf("preparing namespace %s: %w", h.NS, err)
		}
	}
	for _, step := range l.cables() {
		if err := ipCommand(ctx, strings.Join(step.lines, "\n"), "-n", step.ns, "-batch", "-"); err != nil {
			return err
		}
	}
	return nil
}

// sysctl is a path below /proc/sys/net, and a value.
type sysctl struct{ path, value string }

// sysctls of a new namespace. Duplicate address detection off makes IPv6 addresses usable at once; router advertisements and
// a reverse path filter that the machine may have set must not play a part.
func (l *Lab) sysctls(h Host) []sysctl {
	var all []sysctl
	for _, scope := range []string{"all", "default"} {
		all = append(all,
			sysctl{"ipv6/conf/" + scope + "/accept_dad", "0"}, sysctl{"ipv6/conf/" + scope + "/accept_ra", "0"},
			sysctl{"ipv4/conf/" + scope + "/rp_filter", "0"},
		)
	}
	if h.Name == l.lanBr.Name {
		// The segment is a switch: it says nothing itself.
		all = append(all, sysctl{"ipv6/conf/all/disable_ipv6", "1"}, sysctl{"ipv6/conf/default/disable_ipv6", "1"})
	}
	if _, err := l.node(h.Name); err == nil {
		all = append(all, sysctl{"ipv4/ip_forward", "1"}, sysctl{"ipv6/conf/all/forwarding", "1"}, sysctl{"ipv6/conf/default/forwarding", "1"})
	}
	return all
}

// writeSysctls writes into the namespace of the calling thread: /proc/sys/net shows that one.
func writeSysctls(all []sysctl) error {
	for _, s := range all {
		if err := os.WriteFile("/proc/sys/net/"+s.path, []byte(s.value), 0); err != nil {
			return fmt.Errorf("setting %s: %w", s.path, err)
		}
	}
	// Where br_netfilter is loaded, the machine's firewall would see what crosses the bridge.
	for _, name := range []string{"iptables", "ip6tables", "arptables"} {
		path := "/proc/sys/net/bridge/bridge-nf-call-" + name
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := os.WriteFile(path, []byte("0"), 0); err != nil {
			return fmt.Errorf("setting bridge-nf-call-%s: %w", name, err)
		}
	}
	return nil
}

// batch is a list of ip(8) commands for one namespace.
type batch struct {
	ns    string
	lines []string
}

// cables returns what `ip -batch` has to do, in order.
func (l *Lab) cables() []batch {
	all := []batch{{l.cp.NS, []string{
		"link set lo up", "link add mgmt type bridge forward_delay 0 mcast_snooping 0", "link set mgmt up",
		"address add " + mgmtCP.String() + "/24 dev mgmt",
	}}}
	if l.Tier == APIOnly {
		return all
	}
	all = append(all, batch{l.lanBr.NS, []string{"link set lo up", "link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set br0 up"}})
	for _, h := range []Host{l.client, l.router} {
		all = append(all, batch{h.NS, l.lanCable(h)})
	}
	for _, n := range l.nodes {
		all = append(all, batch{n.NS, l.nodeCables(n)})
	}
	// The other ends of the cables go into the bridges, and the control plane finds nodes and pods by the management
	// network: logs, exec and webhooks work though the nodes' addresses are those of the LAN.
	ports := batch{ns: l.lanBr.NS}
	mgmt := batch{ns: l.cp.NS}
	for _, h := range l.hosts()[2:] {
		ports.lines = append(ports.lines, "link set "+h.Name+" master br0 up")
	}
	for _, n := range l.nodes {
		via := " via " + n.mgmt.String()
		mgmt.lines = append(mgmt.lines, "link set "+n.Name+" master mgmt up", "route add "+n.IPv4.String()+via, "route add "+n.pod4+via)
	}
	all = append(all, ports, mgmt)
	for _, n := range l.nodes {
		all = append(all, batch{n.NS, l.nodeRoutes(n)})
	}
	return all
}

// lanCable makes eth0 of a host, and its other end, which carries the host's name, in the namespace of the bridge.
func (l *Lab) lanCable(h Host) []string {
	return []string{
		"link set lo up",
		fmt.Sprintf("link add eth0 address %s type veth peer name %s netns %s", h.MAC, h.Name, l.lanBr.NS),
		"address add " + h.IPv4.String() + "/24 dev eth0",
		"address add " + h.IPv6.String() + "/64 dev eth0 nodad",
		"link set eth0 up",
	}
}

// nodeCables adds mgmt0, the way to the API server.
func (l *Lab) nodeCables(n node) []string {
	return append(l.lanCable(n.Host),
		fmt.Sprintf("link add mgmt0 type veth peer name %s netns %s", n.Name, l.cp.NS),
		"address add "+n.mgmt.String()+"/24 dev mgmt0",
		"link set mgmt0 up",
	)
}

// nodeRoutes are the default gateway and the ways to the other nodes' pods. They come last: a route needs a carrier.
func (l *Lab) nodeRoutes(n node) []string {
	lines := []string{"route add default via " + gateway4, "route add ::/0 via " + gateway6}
	for _, m := range l.nodes {
		if m.index != n.index {
			lines = append(lines, "route add "+m.pod4+" via "+m.IPv4.String(), "route add "+m.pod6+" via "+m.IPv6.String())
		}
	}
	return lines
}

// ipCommand runs ip(8); input is what -batch reads.
func ipCommand(ctx context.Context, input string, args ...string) error {
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
