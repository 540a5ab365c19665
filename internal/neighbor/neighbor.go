// Package neighbor decides what is said on a LAN in the name of service addresses: which ARP requests and neighbour
// solicitations are answered and how, what is announced, and when.
//
// It is pure: frames and a Table go in, frames and a Verdict come out; time is an argument. A frame is a whole Ethernet
// frame without its check sequence, as a packet socket of type SOCK_RAW delivers it. Nothing here panics, whatever the
// bytes are, and no frame is ever answered for an address that the Table does not hold for the interface on which it came.
package neighbor

import (
	"net/netip"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// MAC is an EUI-48 hardware address.
type MAC = lb.MAC

// broadcastMAC is the Ethernet address of every station.
func broadcastMAC() MAC { return MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// Link is the interface on which a frame came, or will go out.
type Link struct {
	Name string // the interface's name, as in the Table
	MAC  MAC    // what we put into frames as our own
}

// Table says for which addresses we answer on which interface. It is immutable: the frame path may read it while the next
// one is being built. The zero Table, and a nil one, answer nothing.
//
// A lookup costs the same whatever the number of addresses. What is answered may one day depend on who asks (a tail answers
// one MAC only, a stand-in names another's MAC); the value kept for an address is where that will be said.
type Table struct {
	byInterface map[string]map[netip.Addr]struct{}
}

// NewTable returns the table for want, which maps each address to the names of the interfaces that answer for it.
// Addresses that cannot stand in a frame are left out: invalid, with a zone, unspecified, multicast, IPv4-mapped.
func NewTable(want map[netip.Addr][]string) *Table {
	t := &Table{byInterface: map[string]map[netip.Addr]struct{}{}}
	for addr, names := range want {
		if !usable(addr) {
			continue
		}
		for _, name := range names {
			if t.byInterface[name] == nil {
				t.byInterface[name] = map[netip.Addr]struct{}{}
			}
			t.byInterface[name][addr] = struct{}{}
		}
	}
	return t
}

// usable says whether addr can be the address of a Service on the wire.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && !addr.IsUnspecified() && !addr.IsMulticast() && !addr.Is4In6()
}

// Has says whether we answer for addr on the interface.
func (t *Table) Has(name string, addr netip.Addr) bool {
	if t == nil {
		return false
	}
	_, ok := t.byInterface[name][addr]
	return ok
}

// Verdict is what became of a received frame. Its String is a metric label, so the set is small and stable.
type Verdict uint8

// The verdicts. Only Answered comes with a reply.
const (
	Answered      Verdict = iota // asked for one of our addresses: there is a reply
	NotOurs                      // asked for an address that we do not answer for on this interface
	Elsewhere                    // sent to another station; seen because the interface is promiscuous
	OwnFrame                     // sent by ourselves and looped back
	Gratuitous                   // an announcement: who sent it claims the address it asks for
	Reply                        // an answer, not a question
	Tagged                       // carries a VLAN tag: it belongs to another segment
	OtherProtocol                // neither ARP nor a neighbour solicitation
	Malformed                    // truncated, or against the RFC's rules for validity
	Stale                        // was asked for one of ours, but waited too long; given by the receiver, not by this package

	verdicts // their number
)

// String returns the metric label.
func (v Verdict) String() string {
	switch v {
	case Answered:
		return "answered"
	case NotOurs:
		return "not_ours"
	case Elsewhere:
		return "elsewhere"
	case OwnFrame:
		return "own_frame"
	case Gratuitous:
		return "gratuitous"
	case Reply:
		return "reply"
	case Tagged:
		return "tagged"
	case OtherProtocol:
		return "other_protocol"
	case Stale:
		return "stale"
	}
	return "malformed"
}

// Verdicts returns all of them, for a counter each.
func Verdicts() []Verdict {
	all := make([]Verdict, verdicts)
	for i := range all {
		all[i] = Verdict(i)
	}
	return all
}
