package neighbor

import (
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
)

// Lengths and codes of RFC 826 for IPv4 over Ethernet.
const (
	arpLen          = 28 // bytes of a packet with 6-byte hardware and 4-byte protocol addresses
	arpHardwareType = 1  // ar$hrd: Ethernet
)

// AnswerARP decides on one frame received on link. The reply is nil unless the verdict is Answered.
//
//	request sent to us or to all, target ours     Answered, by unicast
//	  ... sender 0.0.0.0 (a probe, RFC 5227 §2.1)  Answered: the address is in use
//	  ... sender protocol address = target         Gratuitous: a claim, not a question
//	  ... target not in the table                  NotOurs
//	reply                                          Reply
//	any other operation, type or length            Malformed
//
// The reply goes to the sender hardware address *in the packet* (RFC 826: "send the packet to the (new) target hardware
// address"), as Linux does. It nearly always equals the Ethernet source; where it does not, a wireless bridge has put its
// own MAC in front, and forwards what is sent to the station behind it. A group address or zero there is Malformed: the
// reply must reach one station.
func AnswerARP(t *Table, link Link, frame []byte) ([]byte, Verdict) {
	h, payload, v, ok := open(link, frame, ethernet.EtherTypeARP)
	if !ok {
		return nil, v
	}
	p, ok := parseARP(payload)
	if !ok {
		return nil, Malformed
	}
	sender := MAC(p.SenderHardwareAddr)
	switch {
	case sender == link.MAC:
		return nil, OwnFrame
	case !sender.IsUnicast():
		return nil, Malformed
	case p.Operation == arp.OperationReply:
		return nil, Reply
	case p.Operation != arp.OperationRequest:
		return nil, Malformed
	case h.dst != link.MAC && h.dst != broadcastMAC():
		return nil, Elsewhere // ARP knows no multicast
	case p.SenderIP == p.TargetIP:
		return nil, Gratuitous
	case !t.Has(link.Name, p.TargetIP):
		return nil, NotOurs
	}
	return sealARP(link, sender, arp.OperationReply, p.TargetIP, sender, p.SenderIP), Answered
}

// parseARP decodes a packet for IPv4 over Ethernet; ok is false for every other one. Padding may follow.
func parseARP(b []byte) (p arp.Packet, ok bool) {
	if len(b) < arpLen || p.UnmarshalBinary(b) != nil {
		return p, false
	}
	return p, p.HardwareType == arpHardwareType && p.ProtocolType == uint16(ethernet.EtherTypeIPv4) &&
		p.HardwareAddrLength == 6 && p.IPLength == 4
}

// sealARP returns a frame to dst in which we say that addr is at our MAC.
func sealARP(link Link, dst MAC, op arp.Operation, addr netip.Addr, targetMAC MAC, target netip.Addr) []byte {
	p, err := arp.NewPacket(op, link.MAC[:], addr, targetMAC[:], target)
	if err != nil {
		panic("neighbor: an ARP packet with an address that is not IPv4: " + err.Error())
	}
	b, err := p.MarshalBinary()
	if err != nil {
		panic("neighbor: an ARP packet did not marshal: " + err.Error()) // documented never to happen
	}
	return seal(link, dst, ethernet.EtherTypeARP, b)
}
