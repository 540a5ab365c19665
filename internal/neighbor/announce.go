package neighbor

import (
	"net/netip"

	"github.com/mdlayher/arp"
)

// Form is the shape of an announcement. One announcement of an IPv4 address is a request and a reply, because some stacks
// learn from the one and some from the other (RFC 5227 §3); one of an IPv6 address is a single advertisement.
type Form uint8

// The forms, in the order in which they are sent.
const (
	// ARPRequest has sender = target protocol address, target hardware address 0 (RFC 5227 §2.3).
	ARPRequest Form = iota
	// ARPReply has target = sender hardware address. With the broadcast address there, as others send it, Linux takes the
	// frame for a bridge's gratuitous reply and ignores it for a second after the last update (locktime).
	ARPReply
	// NeighborAdvertisement goes to all nodes with S=0, O=1 (RFC 4861 §7.2.6).
	NeighborAdvertisement
	// Unlearning is no announcement: it tells one station that the address is at its own MAC. See Unlearn.
	Unlearning

	forms // their number
)

// String returns the metric label.
func (f Form) String() string {
	switch f {
	case ARPRequest:
		return "announce_arp_request"
	case ARPReply:
		return "announce_arp_reply"
	case Unlearning:
		return "unlearn"
	}
	return "announce_na"
}

// Forms returns all of them, for a counter each.
func Forms() []Form {
	all := make([]Form, forms)
	for i := range all {
		all[i] = Form(i)
	}
	return all
}

// firstForm and lastForm bound the frames of one announcement of addr.
func firstForm(addr netip.Addr) Form {
	if addr.Is4() {
		return ARPRequest
	}
	return NeighborAdvertisement
}

func lastForm(addr netip.Addr) Form {
	if addr.Is4() {
		return ARPReply
	}
	return NeighborAdvertisement
}

// Announce returns the frame that tells everybody on link that addr is at our MAC. The form must fit the family of addr, as
// those given out by a Schedule do.
func Announce(link Link, addr netip.Addr, form Form) []byte {
	switch form {
	case ARPRequest:
		return sealARP(link, broadcastMAC(), arp.OperationRequest, link.MAC, addr, MAC{}, addr)
	case ARPReply:
		return sealARP(link, broadcastMAC(), arp.OperationReply, link.MAC, addr, link.MAC, addr)
	}
	return sealNA(link, allNodesMAC(), link.MAC, addr, netip.IPv6LinkLocalAllNodes(), false)
}

// Unlearn returns the frame that tells the station with the MAC at, and no other, that addr is at that very MAC. It is for the owner
// before, before and behind each announcement, while its tail lasts. Its kernel hands us packets for the address that it does not know,
// and ours hands it those that we do not know; once an announcement has told it where the address is, which no host can help, one
// that neither knows would go in circles until its hop limit ends. What it sends to its own MAC, its switch port keeps back.
func Unlearn(link Link, addr netip.Addr, at MAC) []byte {
	if addr.Is4() { // sender = target protocol address: else Linux keeps what it learned in the last second
		return sealARP(link, at, arp.OperationRequest, at, addr, MAC{}, addr)
	}
	return sealNA(link, at, at, addr, netip.IPv6LinkLocalAllNodes(), false)
}
