package lb

import (
	"net/netip"
	"time"
)

// Speaker is what one speaker says of itself: the whole of it, each time. A later one replaces an earlier one; later is
// the greater Boot, then the greater Seq.
type Speaker struct {
	Node string
	// Boot tells one life of the speaker process from the next: nanoseconds since 1970 when it started.
	Boot uint64
	// Seq grows with every change within one life.
	Seq uint64
	// Restarting says that the process is about to end and will come back on a node that stays in service: its addresses
	// wait for it.
	Restarting bool
	// KubeProxy is what the node's kube-proxy says of its own health: Unknown when it is not asked.
	KubeProxy Life
	// Interfaces are those that may be used, sorted by name.
	Interfaces []Interface
	// Claims are the addresses that it answers for, sorted by address, each once.
	Claims []Claim
	// Lost are the peers that it once heard on one of its interfaces and hears there no more, sorted by node, then interface.
	Lost []Loss
}

// Loss is a peer that cannot be heard any more on an interface.
type Loss struct {
	Node      string // who is not heard
	Interface string // of the speaker that does not hear
}

// Interface is what a speaker tells the others of one of its network interfaces.
type Interface struct {
	Name string
	Up   bool // administratively up and with carrier
	// Deaf says that it is up and hears nobody on its segment, though somebody should be there.
	Deaf bool
	// MACs are the hardware addresses that frames from here may carry: its own first, then those of a bond's members.
	MACs []MAC
	// Addrs are its own addresses, the IPv6 link-local one included, sorted: where its kernel can be asked whether it lives.
	Addrs []netip.Addr
	// Prefixes are the on-link prefixes of its addresses, masked and sorted, without link-local ones.
	Prefixes []netip.Prefix
}

// Claim is a speaker's word that its node answers for an address.
type Claim struct {
	Addr netip.Addr
	// Standby is the node that is to take the address should the owner die; empty when there is none.
	Standby string
	// HandTo is the node that is asked to take the address now, while the owner still answers: a planned move under way.
	HandTo string
	// HandCause says why; the new owner claims with it.
	HandCause Cause
	// Evidence is how many live speakers, itself included, the owner has heard all the time since it claimed; see
	// ownership.Decide for when it grows again. The more, the better the claim.
	Evidence uint8
	Cause    Cause
	// From is the owner before, if the owner knows of one.
	From string
	// Since is when the address was claimed, by the owner's wall clock, for people to read. Others only ask whether it is the same
	// as before: a claim that was made anew is told from one that is merely repeated.
	Since time.Time
}

// Cause says why an address was claimed.
type Cause uint8

// The causes. Their String is a metric label and stands in ServiceL2Status.
const (
	CauseFree       Cause = iota + 1 // nobody had it
	CauseDeath                       // the owner's host died
	CauseHold                        // the owner's speaker did not come back in time
	CauseIneligible                  // the owner may not have it any more (label, taint, advertisement, endpoints)
	CausePreferred                   // an explicit preference, or failback: Always
	CauseRequested                   // the Service asks for this node
	CauseRebalance                   // the owner had more than its share
	CauseShutdown                    // the owner's node is going out of service
)

// String returns the label.
func (c Cause) String() string {
	switch c {
	case CauseFree:
		return "free"
	case CauseDeath:
		return "death"
	case CauseHold:
		return "hold-expired"
	case CauseIneligible:
		return "ineligible"
	case CausePreferred:
		return "preferred"
	case CauseRequested:
		return "requested"
	case CauseRebalance:
		return "rebalance"
	case CauseShutdown:
		return "shutdown"
	}
	return "unknown"
}

// Takeover says that the owner before did not agree: it was gone, or believed so.
func (c Cause) Takeover() bool { return c == CauseDeath || c == CauseHold }

// Life is what one witness says of a peer.
type Life uint8

// The lives. Unknown is the zero value: the witness has never been able to tell.
const (
	Unknown Life = iota
	Alive
	Dead
)

// Peer is another speaker and its host, as the three witnesses on this node see them.
type Peer struct {
	Node string
	// Gossip is Alive while pings or memberlist say so, Unknown while ring pings are missed and memberlist has not decided,
	// Dead once it has.
	Gossip Life
	// Left says that it said good-bye (Gossip is Dead then).
	Left bool
	// Silent is since when nothing was heard from the speaker; zero while Gossip is Alive.
	Silent time.Time
	// Hosts says for each of our interfaces on which the peer could be asked whether its kernel answers there for the
	// peer's own addresses; sorted by interface. Dead needs that it was Alive before, on this interface, since our link
	// came up; else it is Unknown.
	Hosts []HostLife
	// Answer says whether its speaker answers for a service address that it owns. Unknown while it was not asked: it is
	// asked only while Gossip is not Alive and the host lives.
	Answer Life
}

// HostLife is what one interface of ours says of a peer's host.
type HostLife struct {
	Interface string // ours
	Life      Life
}
