package wire

import (
	"context"
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// Host is the machine that a Wire works on. Production has the kernel's; a simulated one stands in for it in a test of many
// speakers. Its methods may be called from different goroutines at the same time.
type Host interface {
	// Links returns the interfaces that can be used, each name once. The error netlink.ErrDumpInterrupted says to ask again at once.
	Links() ([]Link, error)
	// Watch calls note for every change of an interface or of its addresses, until ctx ends. One that says nothing but that
	// something changed is as good.
	Watch(ctx context.Context, note func(Change))
	// Listen opens the socket of one interface for one EtherType (ARP or IPv6).
	Listen(ifindex int, etherType uint16) (Conn, error)
	// Groups returns the multicast groups that are joined on one interface, none at first.
	Groups(ifindex int) Groups
}

// Link is a usable interface.
type Link struct {
	Index int
	Name  string
	MAC   neighbor.MAC
	// Members are the hardware addresses of a bond's members, which may stand in frames that it sends.
	Members []neighbor.MAC
	Up      bool // administratively up, and with carrier
	// Addrs are its own addresses that frames can come from and its kernel answers for, with the lengths of their prefixes, in
	// the kernel's order: the first of a subnet is the one that the kernel uses.
	Addrs []netip.Prefix
	// Prefixes are on-link: masked, sorted, each once, without link-local IPv6 and single addresses.
	Prefixes []netip.Prefix
	// CarrierChanges counts how often the carrier came or went. When it goes and comes back at once, the kernel sends
	// one message that shows no difference but this.
	CarrierChanges uint32
}

// neighbor is what the frame path knows of the link.
func (l Link) neighbor() *neighbor.Link {
	return &neighbor.Link{Name: l.Name, MAC: l.MAC, Members: l.Members}
}

// Change says what happened to an interface, as far as Links cannot show it afterwards. The zero Change says "look".
type Change struct {
	Index    int  // which interface
	LostLink bool // it had no carrier for a moment
	Deleted  bool // it was deleted, and another may have its index now
	Missed   bool // changes of any interface went unseen
}

// Conn sends and receives whole Ethernet frames on one interface. ReadFrame and WriteFrame may be called at the same time.
type Conn interface {
	// ReadFrame waits for a frame and returns its length and when it was received, by the wall clock; the zero time says
	// that this is not known. A frame longer than buf is cut. The error is net.ErrClosed after Close.
	ReadFrame(buf []byte) (n int, received time.Time, err error)
	// WriteFrame sends a frame or fails; it does not wait for room in a queue.
	WriteFrame(frame []byte) error
	Close() error
}

// Groups are multicast groups joined on one interface. They are used by one goroutine at a time.
type Groups interface {
	// Reconcile joins and leaves so that the joined groups are those of want, which is not kept. It goes on after an error.
	Reconcile(want map[netip.Addr]bool) error
	// Close leaves all.
	Close()
}
