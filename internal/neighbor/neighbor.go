// Package neighbor decides what is said on a LAN in the name of service addresses: which ARP requests and neighbour
// solicitations are answered and how, what is announced and when, what is asked, and what frames tell of other stations.
//
// It is pure: frames and a Table go in, frames and a Verdict come out; time is an argument. A frame is a whole Ethernet
// frame without its check sequence, as a packet socket of type SOCK_RAW delivers it. Nothing here panics, whatever the
// bytes are, and no frame is ever answered for an address that the Table does not hold for the interface on which it came.
package neighbor

import (
	"net/netip"
	"slices"

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
	// Members are the other MACs of this host there, those of a bond's members: frames to and from them are ours too.
	Members []MAC
}

// is says whether a MAC is this host's.
func (l Link) is(mac MAC) bool { return mac == l.MAC || slices.Contains(l.Members, mac) }

// Outcome is what follows from a received frame.
type Outcome struct {
	Reply   []byte // the frame to send back; nil unless Verdict says that there is one
	Verdict Verdict
	// Asked is the address of the Table that was asked for; the zero Addr when the frame asks for none of them.
	Asked netip.Addr
	// Seen is what the frame tells of another station, without a time; its Kind is 0 when that is nothing.
	Seen Sighting
}

// Verdict is what became of a received frame. Its String is a metric label, so the set is small and stable.
type Verdict uint8

// The verdicts. The first three come with a reply, and no other does.
const (
	Answered      Verdict = iota // asked for an address that is ours
	StoodIn                      // asked for an address of a node that we stand in for
	Trailed                      // asked by the node that has the address now, for one that was ours
	Withheld                     // asked for an address that we answer for, but not to who asks
	NotOurs                      // asked for an address that we do not answer for on this interface
	Elsewhere                    // sent to another station; seen because the interface is promiscuous
	OwnFrame                     // sent by ourselves and looped back
	Gratuitous                   // an announcement: who sent it claims the address it asks for
	Reply                        // an answer, not a question
	Tagged                       // carries a VLAN tag: it belongs to another segment
	OtherProtocol                // neither ARP nor a neighbour solicitation
	Malformed                    // truncated, or against the RFC's rules for validity
	Stale                        // would have been answered, but waited too long; given by the receiver, not by this package
	Muted                        // would have been answered, but we are mute; given by the receiver

	verdicts // their number
)

// String returns the metric label.
func (v Verdict) String() string {
	switch v {
	case Answered:
		return "answered"
	case StoodIn:
		return "stood_in"
	case Trailed:
		return "trailed"
	case Withheld:
		return "withheld"
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
	case Muted:
		return "muted"
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
