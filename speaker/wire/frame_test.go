package wire

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// said is what a frame says about an address, in the words of both protocols.
type said struct {
	addr     netip.Addr   // sender protocol address, or target of the advertisement
	mac      neighbor.MAC // sender hardware address, or target link-layer address
	source   neighbor.MAC // Ethernet source
	to       neighbor.MAC // Ethernet destination
	request  bool         // ARP operation 1
	override bool
	answer   bool // to somebody: a unicast ARP reply, or S=1
}

// hear decodes an ARP packet or a neighbour advertisement; ok is false for anything else.
func hear(frame []byte) (s said, ok bool) {
	var eth ethernet.Frame
	if eth.UnmarshalBinary(frame) != nil {
		return s, false
	}
	s.source, s.to = neighbor.MAC(eth.Source), neighbor.MAC(eth.Destination)
	switch eth.EtherType {
	case ethernet.EtherTypeARP:
		var p arp.Packet
		if p.UnmarshalBinary(eth.Payload) != nil {
			return s, false
		}
		s.addr, s.mac = p.SenderIP, neighbor.MAC(p.SenderHardwareAddr)
		s.request, s.answer = p.Operation == arp.OperationRequest, p.Operation == arp.OperationReply && s.to[0]&1 == 0
		return s, true
	case ethernet.EtherTypeIPv6:
		if len(eth.Payload) < 44 || eth.Payload[6] != unix.IPPROTO_ICMPV6 {
			return s, false
		}
		m, err := ndp.ParseMessage(eth.Payload[40:])
		na, is := m.(*ndp.NeighborAdvertisement)
		if err != nil || !is || len(na.Options) != 1 {
			return s, false
		}
		s.addr, s.mac = na.TargetAddress, neighbor.MAC(na.Options[0].(*ndp.LinkLayerAddress).Addr)
		s.override, s.answer = na.Override, na.Solicited
		return s, true
	}
	return s, false
}

// about accepts frames that say something about addr.
func about(addr string) func([]byte) bool {
	want := netip.MustParseAddr(addr)
	return func(frame []byte) bool {
		s, ok := hear(frame)
		return ok && s.addr == want
	}
}

// answerFor accepts answers for addr to mac.
func answerFor(addr string, mac neighbor.MAC) func([]byte) bool {
	return func(frame []byte) bool {
		s, _ := hear(frame)
		return about(addr)(frame) && s.answer && s.to == mac
	}
}

func broadcast() neighbor.MAC { return neighbor.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// request is an ARP request from mac and the client's address.
func request(t testing.TB, mac, to neighbor.MAC, target string) []byte {
	t.Helper()
	p, err := arp.NewPacket(arp.OperationRequest, mac[:], netip.MustParseAddr("192.0.2.100"), make([]byte, 6), netip.MustParseAddr(target))
	check(t, err)
	b, err := p.MarshalBinary()
	check(t, err)
	return ethernetFrame(t, mac, to, ethernet.EtherTypeARP, b)
}

// solicitation is a neighbour solicitation from mac and the client's address to the unicast address of the target.
func solicitation(t testing.TB, mac, to neighbor.MAC, target string, options ...ndp.Option) []byte {
	t.Helper()
	src, dst := netip.MustParseAddr("2001:db8::100"), netip.MustParseAddr(target)
	m, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: dst, Options: options}, src, dst)
	check(t, err)
	b := make([]byte, ipv6.HeaderLen)
	b[0] = 6 << 4
	binary.BigEndian.PutUint16(b[4:], uint16(len(m)))
	b[6], b[7] = unix.IPPROTO_ICMPV6, 255
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return ethernetFrame(t, mac, to, ethernet.EtherTypeIPv6, append(b, m...))
}

func ethernetFrame(t testing.TB, from, to neighbor.MAC, etherType ethernet.EtherType, payload []byte) []byte {
	t.Helper()
	f := ethernet.Frame{Destination: to[:], Source: from[:], EtherType: etherType, Payload: payload}
	b, err := f.MarshalBinary()
	check(t, err)
	return b
}
