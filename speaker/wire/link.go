package wire

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/go-logr/logr"
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

// kernel is the Host that is this machine, in the network namespace of the calling thread.
type kernel struct {
	log     logr.Logger
	exclude []*regexp.Regexp
}

// Links implements Host.
func (k kernel) Links() ([]Link, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	messages, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
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
	all := make([]netlink.Link, len(messages))
	for i, message := range messages {
		if all[i], err = netlink.LinkDeserialize(nil, message); err != nil {
			return nil, fmt.Errorf("decoding an interface: %w", err)
		}
	}
	var usable []Link
	for i, l := range all {
		a := l.Attrs()
		if unusable(a, k.exclude) {
			continue
		}
		usable = append(usable, Link{
			Index: a.Index, Name: a.Name, MAC: neighbor.MAC(a.HardwareAddr), Members: members(a, all), Up: hasCarrier(a.RawFlags),
			Addrs: own(byIndex[a.Index]), Prefixes: onLink(byIndex[a.Index]), CarrierChanges: carrierChanges(messages[i]),
		})
	}
	return usable, nil
}

// members returns the hardware addresses of the members of a bond: a, or the parent of a VLAN interface a. Those of its members
// differ from its own in some modes, and may stand in frames that it sends.
func members(a *netlink.LinkAttrs, all []netlink.Link) []neighbor.MAC {
	bond := func(l netlink.Link) bool {
		return (l.Attrs().Index == a.Index || a.ParentIndex != 0 && l.Attrs().Index == a.ParentIndex) && (l.Type() == "bond" || l.Type() == "team")
	}
	i := slices.IndexFunc(all, bond)
	if i < 0 {
		return nil
	}
	var macs []neighbor.MAC
	for _, l := range all {
		if l.Attrs().MasterIndex != all[i].Attrs().Index {
			continue
		}
		for _, hardware := range []net.HardwareAddr{l.Attrs().HardwareAddr, l.Attrs().PermHWAddr} {
			if len(hardware) != len(neighbor.MAC{}) || slices.Equal(hardware, a.HardwareAddr) {
				continue
			}
			if mac := neighbor.MAC(hardware); mac.IsUnicast() {
				macs = append(macs, mac)
			}
		}
	}
	slices.SortFunc(macs, func(a, b neighbor.MAC) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(macs)
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

// own returns the addresses that the kernel answers for and that stay, with the lengths of their prefixes, in its order. Left out are
//
//	tentative or duplicate    the kernel does not answer for it (RFC 4862 §5.4)
//	secondary, or temporary   it may move to another host with some daemon, or expires (RFC 8981); the first of its subnet stays
//	a single address          as a daemon adds that moves addresses; nobody is its neighbour
//	loopback, multicast       of no station
func own(addrs []netlink.Addr) []netip.Prefix {
	var all []netip.Prefix
	for _, a := range addrs {
		p, ok := prefix(a.IPNet)
		if !ok || p.IsSingleIP() || a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED|unix.IFA_F_SECONDARY) != 0 {
			continue
		}
		if p.Addr().IsLoopback() || p.Addr().IsMulticast() || slices.Contains(all, p) {
			continue
		}
		all = append(all, p)
	}
	return all
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
