package neighbor

import (
	"net/netip"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// ProbeKind is what a probe wants to know.
type ProbeKind uint8

// The kinds. None of them can put anything into a neighbour cache that is not true: the sender protocol address is the
// asker's own or 0.0.0.0, never a service address.
const (
	// HostProbe asks a peer's kernel for the peer's own address, by unicast.
	HostProbe ProbeKind = iota
	// AnswerProbe asks a peer's speaker for a service address, by unicast.
	AnswerProbe
	// FirstProbe asks everybody for a service address that nobody should have: an ARP probe (RFC 5227 §2.1.1), or a
	// solicitation to the solicited-node group.
	FirstProbe

	probeKinds // their number
)

// String returns the metric label.
func (k ProbeKind) String() string {
	switch k {
	case HostProbe:
		return "host_probe"
	case AnswerProbe:
		return "answer_probe"
	}
	return "first_probe"
}

// ProbeKinds returns all of them, for a counter each.
func ProbeKinds() []ProbeKind {
	all := make([]ProbeKind, probeKinds)
	for i := range all {
		all[i] = ProbeKind(i)
	}
	return all
}

// Probe is one question of ours to the LAN.
type Probe struct {
	Kind      ProbeKind
	Interface string     // ours, on which it is sent
	To        MAC        // whom to ask; not used by FirstProbe
	Target    netip.Addr // the address that is asked for
	Node      string     // the peer that is asked, for the asker to know; not used by FirstProbe, and never sent
}

// Source returns the address from which a probe for target is sent by an interface with these own addresses, given with their
// prefixes in the kernel's order. Zero says that there is none that serves: an answer would not come back to us.
//
//	IPv4   the first in whose subnet the target is, or else the first
//	IPv6   a link-local one, or else the first in whose subnet the target is, or else the first
func Source(own []netip.Prefix, target netip.Addr) netip.Addr {
	var first, sameSubnet netip.Addr
	for _, p := range own {
		switch addr := p.Addr(); {
		case addr.BitLen() != target.BitLen() || !usable(addr):
			continue
		case addr.Is6() && addr.IsLinkLocalUnicast():
			return addr
		case !sameSubnet.IsValid() && p.Contains(target):
			sameSubnet = addr
		case !first.IsValid():
			first = addr
		}
	}
	if sameSubnet.IsValid() {
		return sameSubnet
	}
	return first
}

// Ask returns the frame of a probe that is sent from source on link; nil when such a frame cannot be: the target is no address of
// one station, or there is nobody to ask, or no source of the same family to ask from.
//
//	             to                            from       sender or source address
//	HostProbe    To                            our MAC    source
//	AnswerProbe  To                            our MAC    source
//	FirstProbe   all, or the solicited-node    our MAC    0.0.0.0 (RFC 5227 §2.1.1); source, or :: where there is none,
//	             group                                    which makes it a duplicate address detection
//
// A solicitation from :: for a peer's own address would make the peer give that address up while it is tentative, so the first
// two have none.
func Ask(link Link, p Probe, source netip.Addr) []byte {
	first := p.Kind == FirstProbe
	sourced := usable(source) && source.BitLen() == p.Target.BitLen()
	switch {
	case !usable(p.Target), !first && !(sourced && p.To.IsUnicast()):
		return nil
	case first && p.Target.Is4():
		return sealARP(link, broadcastMAC(), arp.OperationRequest, link.MAC, netip.IPv4Unspecified(), MAC{}, p.Target)
	case p.Target.Is4():
		return sealARP(link, p.To, arp.OperationRequest, link.MAC, source, MAC{}, p.Target)
	}
	to, dst := p.To, p.Target
	if first {
		dst = SolicitedNode(p.Target)
		to = groupMAC(dst)
	}
	ns := &ndp.NeighborSolicitation{TargetAddress: p.Target}
	if sourced {
		ns.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: link.MAC[:]}}
	} else {
		source = netip.IPv6Unspecified() // RFC 4861 §4.3: without the option then
	}
	return sealND(link, to, source, dst, ns)
}

// groupMAC is where an IPv6 multicast group is sent on Ethernet (RFC 2464 §7).
func groupMAC(group netip.Addr) MAC {
	a := group.As16()
	return MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// Saw is what a frame was that told us of another station.
type Saw uint8

// The kinds of sightings.
const (
	// SawReply is an ARP reply, or a solicited advertisement.
	SawReply Saw = iota + 1
	// SawAnnouncement is a claim that nobody asked for: a gratuitous ARP request or reply, or an advertisement with S=0.
	SawAnnouncement
	// SawRequest is an ARP request, or a solicitation.
	SawRequest
	// SawOther is a frame of another station that is none of these, or is invalid. Only Source counts: somebody is there.
	SawOther
)

// String names the kind in tests and logs.
func (s Saw) String() string {
	switch s {
	case SawReply:
		return "reply"
	case SawAnnouncement:
		return "announcement"
	case SawRequest:
		return "request"
	}
	return "other"
}

// Sighting is one frame of another station, as evidence.
type Sighting struct {
	Interface string // ours, on which it came
	// MAC is who it says it is from: the sender hardware address (ARP), the target link-layer option (advertisement) or the
	// source one (solicitation); where a solicitation or an advertisement has no such option, the Ethernet source.
	MAC    MAC
	Source MAC // Ethernet source
	// Addr is what it says is there: the sender protocol address (ARP), the target (advertisement) or the source
	// (solicitation). It is invalid where that is unspecified, as in a probe.
	Addr netip.Addr
	Kind Saw
	// At is when the kernel received it.
	At time.Time
}
