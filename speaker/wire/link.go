package wire

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// DefaultExcludeInterfaces are patterns of interfaces that container networks make: nobody outside this host is behind them.
// It is the default of --exclude-interfaces, in the form that ParseExclude reads, and the list of interfaces that MetalLB
// leaves alone.
const DefaultExcludeInterfaces = "^docker.*,^cbr.*,^dummy.*,^virbr.*,^lxcbr.*,^veth.*,^lo$,^cali.*,^tunl.*,^flannel.*," +
	"^kube-ipvs.*,^cni.*,^nodelocaldns.*,^lxc.*"

// ParseExclude reads regular expressions (RE2) separated by commas; a name that one of them matches anywhere is excluded.
// Empty parts are skipped, so the empty list excludes nothing. The error names the part that is wrong.
func ParseExclude(list string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		re, err := regexp.Compile(part)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", part, err)
		}
		all = append(all, re)
	}
	return all, nil
}

// link is what the kernel says of a usable interface.
type link struct {
	Index    int
	Name     string
	MAC      neighbor.MAC
	Up       bool // administratively up, and with carrier
	Prefixes []netip.Prefix
	// CarrierChanges counts how often the carrier came or went. When it goes and comes back at once, the kernel sends
	// one message that shows no difference but this.
	CarrierChanges uint32
}

// listLinks asks the kernel for all interfaces and returns the usable ones by name.
func listLinks(exclude []*regexp.Regexp) (map[string]link, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	all, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing the addresses of interfaces: %w", err)
	}
	byIndex := map[int][]netlink.Addr{}
	for _, a := range addrs {
		byIndex[a.LinkIndex] = append(byIndex[a.LinkIndex], a)
	}
	usable := map[string]link{}
	for _, message := range all {
		l, err := netlink.LinkDeserialize(nil, message)
		if err != nil {
			return nil, fmt.Errorf("decoding an interface: %w", err)
		}
		a := l.Attrs()
		if unusable(a, exclude) {
			continue
		}
		usable[a.Name] = link{
			Index: a.Index, Name: a.Name, MAC: neighbor.MAC(a.HardwareAddr), Up: hasCarrier(a.RawFlags),
			Prefixes: onLink(byIndex[a.Index]), CarrierChanges: carrierChanges(message),
		}
	}
	return usable, nil
}

// carrierChanges finds IFLA_CARRIER_CHANGES in a message, which the library does not decode; 0 when it is not there.
func carrierChanges(message []byte) uint32 {
	attrs, err := nl.ParseRouteAttr(message[unix.SizeofIfInfomsg:])
	if err != nil {
		return 0
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.IFLA_CARRIER_CHANGES && len(a.Value) == 4 {
			return binary.NativeEndian.Uint32(a.Value)
		}
	}
	return 0
}

// unusable says whether nobody can be asked or answered on an interface:
//
//	excluded by name     what the user said
//	loopback             only this host is behind it
//	NOARP                a tunnel, a dummy, a VRF master: no neighbours
//	not broadcast        a point-to-point link
//	enslaved             its bond, bridge or VRF speaks for it; a VLAN interface has a parent and no master, and is usable
//	not Ethernet         other hardware has other addresses than ours are written for
func unusable(a *netlink.LinkAttrs, exclude []*regexp.Regexp) bool {
	return slices.ContainsFunc(exclude, func(re *regexp.Regexp) bool { return re.MatchString(a.Name) }) ||
		a.RawFlags&(unix.IFF_LOOPBACK|unix.IFF_NOARP) != 0 ||
		a.RawFlags&unix.IFF_BROADCAST == 0 ||
		a.MasterIndex != 0 ||
		a.EncapType != "ether" || len(a.HardwareAddr) != len(neighbor.MAC{})
}

// hasCarrier says whether frames can pass: administratively up, the lower layer too, and not dormant.
func hasCarrier(flags uint32) bool {
	const all = unix.IFF_UP | unix.IFF_LOWER_UP | unix.IFF_RUNNING
	return flags&all == all
}

// onLink returns the prefixes whose addresses are neighbours on the interface, masked, sorted, each once. Link-local IPv6 is
// the same everywhere and says nothing; a prefix of one address holds no neighbour.
func onLink(addrs []netlink.Addr) []netip.Prefix {
	var all []netip.Prefix
	for _, a := range addrs {
		n := a.IPNet
		if a.Peer != nil { // a point-to-point address: the prefix is the peer's
			n = a.Peer
		}
		p, ok := prefix(n)
		if !ok || p.IsSingleIP() || p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
			continue
		}
		all = append(all, p.Masked())
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return slices.Compact(all)
}

func prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, bits := n.Mask.Size()
	if addr = addr.Unmap(); addr.BitLen() != bits {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, ones), true
}
