package witness

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// MAC is a hardware address as a comparable value.
type MAC [6]byte

// Broadcast is the Ethernet broadcast address.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// MACOf returns the first six bytes of a hardware address; a shorter one gives the zero MAC.
func MACOf(a net.HardwareAddr) MAC {
	var m MAC
	if len(a) >= len(m) {
		copy(m[:], a)
	}
	return m
}

// String returns the colon form.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Kind says in which form a frame named an address.
type Kind uint8

// The forms. A sender that is merely looking for somebody (an ARP probe, RFC 5227 §2.1.1, or a neighbour solicitation)
// claims nothing and is not recorded.
const (
	// Reply is an ARP reply to a question: SPA and TPA differ (RFC 826).
	Reply Kind = iota + 1
	// AnnounceRequest is an ARP request with SPA = TPA (RFC 5227 §3).
	AnnounceRequest
	// AnnounceReply is an ARP reply with SPA = TPA.
	AnnounceReply
	// Asking is an ARP request for another address whose SPA is the address: its sender says in passing that it has it.
	Asking
	// NASolicited is a neighbour advertisement with the S flag (RFC 4861 §4.4).
	NASolicited
	// NAUnsolicited is one without.
	NAUnsolicited
)

// String returns the form in words.
func (k Kind) String() string {
	names := [...]string{Reply: "ARP reply", AnnounceRequest: "ARP announcement (request form)",
		AnnounceReply: "ARP announcement (reply form)", Asking: "ARP request from it", NASolicited: "solicited NA", NAUnsolicited: "unsolicited NA"}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "unknown"
}

// Announcement says whether the frame told everybody, unasked.
func (k Kind) Announcement() bool {
	return k == AnnounceRequest || k == AnnounceReply || k == NAUnsolicited
}

// Sighting is one frame in which somebody said to have an address.
type Sighting struct {
	Time    time.Time // when the kernel received it
	Addr    netip.Addr
	Kind    Kind
	Src     MAC  // Ethernet source
	Dst     MAC  // Ethernet destination
	Payload MAC  // sender hardware address, or the target link-layer address option; zero for an NA without that option
	Target  MAC  // target hardware address of ARP
	Flags   byte // first byte after the checksum of an NA: R 0x80, S 0x40, O 0x20
}

const (
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd
	etherLen      = 14
	arpLen        = 28 // Ethernet and IPv4
	ipv6Len       = 40
	icmpv6        = 58
	typeNS        = 135 // RFC 4861 §4.3
	typeNA        = 136 // RFC 4861 §4.4
	optSourceLL   = 1   // RFC 4861 §4.6.1
	optTargetLL   = 2
)

// Decode returns what an Ethernet frame says about who has an address; false for a frame that says nothing of the kind, and
// for one that is cut short or malformed. Time is left zero.
func Decode(frame []byte) (Sighting, bool) {
	if len(frame) < etherLen {
		return Sighting{}, false
	}
	s := Sighting{Dst: MAC(frame[0:6]), Src: MAC(frame[6:12])}
	switch binary.BigEndian.Uint16(frame[12:14]) {
	case etherTypeARP:
		return decodeARP(s, frame[etherLen:])
	case etherTypeIPv6:
		return decodeNA(s, frame[etherLen:])
	}
	return Sighting{}, false
}

func decodeARP(s Sighting, p []byte) (Sighting, bool) {
	// Hardware type Ethernet, protocol type IPv4, lengths 6 and 4.
	if len(p) < arpLen || string(p[:6]) != "\x00\x01\x08\x00\x06\x04" {
		return s, false
	}
	s.Payload, s.Target = MAC(p[8:14]), MAC(p[18:24])
	sender, target := netip.AddrFrom4([4]byte(p[14:18])), netip.AddrFrom4([4]byte(p[24:28]))
	s.Addr = sender
	if sender.IsUnspecified() {
		return s, false // a probe
	}
	switch op := binary.BigEndian.Uint16(p[6:8]); {
	case op == 1 && sender == target:
		s.Kind = AnnounceRequest
	case op == 1:
		s.Kind = Asking
	case op == 2 && sender == target:
		s.Kind = AnnounceReply
	case op == 2:
		s.Kind = Reply
	default:
		return s, false
	}
	return s, true
}

func decodeNA(s Sighting, p []byte) (Sighting, bool) {
	if len(p) < ipv6Len+24 || p[0]>>4 != 6 || p[6] != icmpv6 || p[7] != 255 {
		return s, false // RFC 4861 §7.1.2: a hop limit below 255 came from elsewhere
	}
	body := p[ipv6Len:]
	if n := int(binary.BigEndian.Uint16(p[4:6])); n < 24 || n > len(body) {
		return s, false
	} else {
		body = body[:n]
	}
	if body[0] != typeNA || checksum(p[8:24], p[24:40], body) != 0 {
		return s, false
	}
	s.Flags, s.Addr = body[4], netip.AddrFrom16([16]byte(body[8:24]))
	s.Kind = NAUnsolicited
	if s.Flags&0x40 != 0 {
		s.Kind = NASolicited
	}
	for opt := body[24:]; len(opt) >= 2; {
		n := int(opt[1]) * 8
		if n == 0 || n > len(opt) {
			return s, false
		}
		if opt[0] == optTargetLL && n >= 8 {
			s.Payload = MAC(opt[2:8])
		}
		opt = opt[n:]
	}
	return s, true
}

// Request returns an ARP request for addr from the station self, sent to dst.
func Request(self Station, addr netip.Addr, dst MAC) []byte {
	f := append(dst[:], self.MAC[:]...)
	f = binary.BigEndian.AppendUint16(f, etherTypeARP)
	f = append(f, 0, 1, 8, 0, 6, 4, 0, 1)
	f = append(append(f, self.MAC[:]...), self.IPv4.AsSlice()...)
	f = append(append(f, 0, 0, 0, 0, 0, 0), addr.AsSlice()...)
	return pad(f)
}

// Solicitation returns a neighbour solicitation for addr from the station self, sent to the address's solicited-node group
// when dst is Broadcast, and as a probe of dst otherwise (RFC 4861 §7.2.2, §7.3.3).
func Solicitation(self Station, addr netip.Addr, dst MAC) []byte {
	target, src := addr.As16(), self.IPv6.As16()
	to := target
	if dst == Broadcast {
		// RFC 4291 §2.7.1, and RFC 2464 §7 for the Ethernet group.
		to = [16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]}
		dst = MAC{0x33, 0x33, 0xff, target[13], target[14], target[15]}
	}
	body := append([]byte{typeNS, 0, 0, 0, 0, 0, 0, 0}, target[:]...)
	body = append(append(body, optSourceLL, 1), self.MAC[:]...)
	binary.BigEndian.PutUint16(body[2:4], checksum(src[:], to[:], body))
	f := append(dst[:], self.MAC[:]...)
	f = binary.BigEndian.AppendUint16(f, etherTypeIPv6)
	f = append(f, 0x60, 0, 0, 0, 0, byte(len(body)), icmpv6, 255)
	f = append(append(f, src[:]...), to[:]...)
	return append(f, body...)
}

// checksum of an ICMPv6 message with its pseudo header (RFC 4443 §2.3): zero for a message whose checksum is right.
func checksum(src, dst, body []byte) uint16 {
	sum := uint32(len(body)) + icmpv6
	for _, part := range [][]byte{src, dst, body} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(part[i])<<8 | uint32(part[i+1])
		}
		if len(part)%2 == 1 {
			sum += uint32(part[len(part)-1]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// pad fills a frame up to Ethernet's 60 bytes (without the check sequence).
func pad(f []byte) []byte {
	if len(f) < 60 {
		f = append(f, make([]byte, 60-len(f))...)
	}
	return f
}
