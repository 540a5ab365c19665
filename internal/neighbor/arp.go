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

// AnswerARP decides on one frame received on link.
//
//	request sent to us or to all, target in the table  as its Entry says, by unicast
//	  ... sender 0.0.0.0 (a probe, RFC 5227 §2.1)       the same; Trail says nothing, since the address is not ours
//	  ... sender protocol address = target              Gratuitous: a claim, not a question
//	  ... target not in the table                       NotOurs
//	reply                                               Reply
//	any other operation, type or length                 Malformed
//
// The reply goes to the sender hardware address *in the packet* (RFC 826: "send the packet to the (new) target hardware
// address"), as Linux does. It nearly always equals the Ethernet source; where it does not, a wireless bridge has put its
// own MAC in front, and forwards what is sent to the station behind it. A group address or zero there is Malformed: the
// reply must reach one station.
func AnswerARP(t *Table, link Link, frame []byte) Outcome {
	h, payload, v, ok := open(link, frame, ethernet.EtherTypeARP)
	if !ok {
		return Outcome{Verdict: v}
	}
	p, ok := parseARP(payload)
	if !ok {
		return Outcome{Verdict: Malformed, Seen: h.seen(link, SawOther)}
	}
	sender := MAC(p.SenderHardwareAddr)
	if link.is(sender) {
		return Outcome{Verdict: OwnFrame}
	}
	seen := h.seen(link, SawRequest)
	seen.MAC = sender
	if !p.SenderIP.IsUnspecified() {
		seen.Addr = p.SenderIP
	}
	gratuitous := p.SenderIP == p.TargetIP
	if gratuitous {
		seen.Kind = SawAnnouncement
	}
	switch {
	case !sender.IsUnicast(), p.Operation != arp.OperationRequest && p.Operation != arp.OperationReply:
		return Outcome{Verdict: Malformed, Seen: h.seen(link, SawOther)}
	case p.Operation == arp.OperationReply:
		if !gratuitous {
			seen.Kind = SawReply
		}
		return Outcome{Verdict: Reply, Seen: seen}
	case !link.is(h.dst) && h.dst != broadcastMAC():
		return Outcome{Verdict: Elsewhere, Seen: seen} // ARP knows no multicast
	case gratuitous:
		return Outcome{Verdict: Gratuitous, Seen: seen}
	}
	mac, o := t.outcome(link, asking{p.TargetIP, sender, !link.is(h.dst), p.SenderIP.IsUnspecified()}, seen)
	if mac != (MAC{}) {
		o.Reply = sealARP(link, sender, arp.OperationReply, mac, p.TargetIP, sender, p.SenderIP)
	}
	return o
}

// parseARP decodes a packet for IPv4 over Ethernet; ok is false for every other one. Padding may follow.
func parseARP(b []byte) (p arp.Packet, ok bool) {
	if len(b) < arpLen || p.UnmarshalBinary(b) != nil {
		return p, false
	}
	return p, p.HardwareType == arpHardwareType && p.ProtocolType == uint16(ethernet.EtherTypeIPv4) &&
		p.HardwareAddrLength == 6 && p.IPLength == 4
}

// sealARP returns a frame from us to dst that says addr is at mac.
func sealARP(link Link, dst MAC, op arp.Operation, mac MAC, addr netip.Addr, targetMAC MAC, target netip.Addr) []byte {
	p, err := arp.NewPacket(op, mac[:], addr, targetMAC[:], target)
	if err != nil {
		panic("neighbor: an ARP packet with an address that is not IPv4: " + err.Error())
	}
	b, err := p.MarshalBinary()
	if err != nil {
		panic("neighbor: an ARP packet did not marshal: " + err.Error()) // documented never to happen
	}
	return seal(link, dst, ethernet.EtherTypeARP, b)
}
