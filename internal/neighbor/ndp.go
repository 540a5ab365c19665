package neighbor

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

// Lengths and codes of RFC 8200 (header), RFC 4443 (ICMPv6) and RFC 4861 (neighbour discovery).
const (
	ipv6HeaderLen = 40  // bytes
	nextICMPv6    = 58  // next header
	hopLimit      = 255 // RFC 4861 §7.1.1: proof that no router forwarded the packet
	typeNS        = 135
	typeNA        = 136
	ndLen         = 24 // bytes of ICMPv6 in a solicitation or advertisement without options
	optionSLLA    = 1  // RFC 4861 §4.6.1
	optionTLLA    = 2
	flagSolicited = 0x40 // S, in the first octet of the flags (§4.4)
)

// message is a valid neighbour solicitation or advertisement.
type message struct {
	solicitation     bool
	src, dst, target netip.Addr
	lla              MAC  // source (solicitation) or target (advertisement) link-layer address option; zero when absent
	solicited        bool // the S flag of an advertisement
}

// AnswerNDP decides on one frame received on link.
//
//	solicitation for a target in the table             as its Entry says: S=1, O=1, by unicast (RFC 4861 §7.2.4)
//	  ... from the unspecified address (a DAD, §5.4    the same, but S=0, O=1, to all nodes, so that the other gives up;
//	      of RFC 4862)                                 Trail says nothing, since the address is not ours
//	  ... from the target itself                       Gratuitous: a claim, not a question
//	  ... target not in the table                      NotOurs
//	advertisement                                      Reply
//	anything that RFC 4861 §7.1 calls invalid          Malformed
//	any other ICMPv6, any other IPv6                   OtherProtocol
//
// O is set because the address is ours alone: a client that still has an earlier owner's MAC shall take the new one. R is
// not: nobody shall route through a service address. The advertisement's source is the address itself, as §7.2.4 asks and
// as Linux does for its own addresses, so it is correct before the interface has a usable link-local address. It goes to the
// source link-layer option, or to the Ethernet source where a unicast probe (§7.3.1) leaves the option out. Solicitations
// behind extension headers are OtherProtocol; no known host sends them.
func AnswerNDP(t *Table, link Link, frame []byte) Outcome {
	h, payload, v, ok := open(link, frame, ethernet.EtherTypeIPv6)
	if !ok {
		return Outcome{Verdict: v}
	}
	m, v, ok := parseND(payload)
	if !ok {
		return Outcome{Verdict: v, Seen: h.seen(link, SawOther)}
	}
	by := m.lla
	if by == (MAC{}) {
		by = h.src
	}
	if link.is(by) {
		return Outcome{Verdict: OwnFrame}
	}
	seen := h.seen(link, SawRequest)
	seen.MAC = by
	if !m.solicitation {
		seen.Kind, seen.Addr = SawAnnouncement, m.target
		if m.solicited {
			seen.Kind = SawReply
		}
		return Outcome{Verdict: Reply, Seen: seen}
	}
	dad := m.src.IsUnspecified()
	if !dad {
		seen.Addr = m.src
	}
	if m.src == m.target {
		return Outcome{Verdict: Gratuitous, Seen: seen}
	}
	mac, o := t.outcome(link, asking{m.target, by, !link.is(h.dst), dad}, seen)
	switch {
	case mac == (MAC{}):
	case dad:
		o.Reply = sealNA(link, allNodesMAC(), mac, m.target, netip.IPv6LinkLocalAllNodes(), false)
	default:
		o.Reply = sealNA(link, by, mac, m.target, m.src, true)
	}
	return o
}

// parseND decodes an IPv6 packet that holds a neighbour solicitation or advertisement and nothing else, and applies RFC 4861
// §7.1.1 and §7.1.2.
func parseND(b []byte) (m message, v Verdict, ok bool) {
	if len(b) < ipv6HeaderLen || b[0]>>4 != 6 {
		return m, Malformed, false
	}
	if b[6] != nextICMPv6 {
		return m, OtherProtocol, false
	}
	length := int(binary.BigEndian.Uint16(b[4:6]))
	if length < 4 || len(b)-ipv6HeaderLen < length {
		return m, Malformed, false
	}
	m.src, m.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	icmp := b[ipv6HeaderLen : ipv6HeaderLen+length] // what follows is padding of the frame
	switch {
	case icmp[0] != typeNS && icmp[0] != typeNA:
		return m, OtherProtocol, false
	case b[7] != hopLimit, icmp[1] != 0, length < ndLen, onesSum(m.src, m.dst, icmp) != 0xffff:
		return m, Malformed, false
	}
	m.solicitation, m.solicited = icmp[0] == typeNS, icmp[0] == typeNA && icmp[4]&flagSolicited != 0
	m.target = netip.AddrFrom16([16]byte(icmp[8:24]))
	option := byte(optionTLLA)
	if m.solicitation {
		option = optionSLLA
	}
	m.lla, ok = linkLayer(icmp[ndLen:], option)
	return m, Malformed, ok && m.valid()
}

// valid applies the rules that need no more than the message.
func (m message) valid() bool {
	switch {
	case m.src.IsMulticast() || m.target.IsMulticast():
		return false
	case !m.solicitation:
		return !m.src.IsUnspecified() && (!m.solicited || !m.dst.IsMulticast())
	case m.src.IsUnspecified():
		return isSolicitedNode(m.dst) && m.lla == (MAC{})
	}
	return true
}

// linkLayer walks the options and returns the link-layer address in the wanted one, zero when there is none. Options that we
// do not know are skipped unread (RFC 4861 §7.1.1: "MUST ignore any options they do not recognize"), which is why the walk is
// our own: a codec that decodes every option refuses a message for a fault in one that does not concern us.
// ok is false when an option has length 0, does not fit, or is the wanted one with another size than Ethernet's.
func linkLayer(b []byte, wanted byte) (mac MAC, ok bool) {
	for len(b) > 0 {
		if len(b) < 2 {
			return mac, false
		}
		size := int(b[1]) * 8 // the length field counts units of 8 bytes
		if size == 0 || size > len(b) {
			return mac, false
		}
		if b[0] == wanted {
			if size != 8 {
				return mac, false
			}
			mac = MAC(b[2:8])
			if !mac.IsUnicast() {
				return mac, false
			}
		}
		b = b[size:]
	}
	return mac, true
}

// onesSum returns the ones' complement sum over the pseudo-header of RFC 8200 §8.1 and the message. Over a message with the
// right checksum in it, that is 0xffff.
func onesSum(src, dst netip.Addr, icmp []byte) uint16 {
	s, d := src.As16(), dst.As16()
	sum := uint32(len(icmp)) + nextICMPv6
	for _, part := range [][]byte{s[:], d[:], icmp} {
		for len(part) >= 2 {
			sum += uint32(part[0])<<8 | uint32(part[1])
			part = part[2:]
		}
		if len(part) == 1 { // only the last part can be odd
			sum += uint32(part[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// sealNA returns a frame from us with a neighbour advertisement that says addr is at mac.
func sealNA(link Link, to, mac MAC, addr, dst netip.Addr, solicited bool) []byte {
	return sealND(link, to, addr, dst, &ndp.NeighborAdvertisement{
		Solicited: solicited, Override: true, TargetAddress: addr,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac[:]}},
	})
}

// sealND returns a frame from us with a message of neighbour discovery.
func sealND(link Link, to MAC, src, dst netip.Addr, m ndp.Message) []byte {
	icmp, err := ndp.MarshalMessageChecksum(m, src, dst)
	if err != nil {
		panic("neighbor: a message for an address that is not IPv6: " + err.Error())
	}
	b := make([]byte, ipv6HeaderLen, ipv6HeaderLen+len(icmp))
	b[0] = 6 << 4 // version; traffic class and flow label 0
	binary.BigEndian.PutUint16(b[4:6], uint16(len(icmp)))
	b[6], b[7] = nextICMPv6, hopLimit
	s, d := src.As16(), dst.As16()
	copy(b[8:24], s[:])
	copy(b[24:40], d[:])
	return seal(link, to, ethernet.EtherTypeIPv6, append(b, icmp...))
}

// allNodesMAC is where ff02::1 is sent on Ethernet (RFC 2464 §7).
func allNodesMAC() MAC { return MAC{0x33, 0x33, 0, 0, 0, 1} }

// SolicitedNode returns the multicast group to which solicitations for the IPv6 address addr are sent: ff02::1:ff00:0/104
// and the low 24 bits of addr (RFC 4291 §2.7.1). Addresses that end alike share a group.
func SolicitedNode(addr netip.Addr) netip.Addr {
	a := addr.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
}

// isSolicitedNode says whether addr is such a group.
func isSolicitedNode(addr netip.Addr) bool { return addr == SolicitedNode(addr) }
