package ownership

import (
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// View is all that a speaker knows when it decides.
type View struct {
	Now time.Time
	// Self is the node that decides.
	Self string
	// Speakers is the last word of every speaker ever heard, of dead ones too, and of this one; sorted by node. The claims in
	// our own entry are not looked at: ours are in Mine.
	Speakers []lb.Speaker
	// Peers is how the other speakers are, as the witnesses on this node say; sorted by node.
	Peers []lb.Peer
	// Nodes are the Kubernetes nodes.
	Nodes []lb.Node
	// Services are those with an address; the ones that are not Managed are passed over.
	Services []lb.Service
	// Pools say which addresses are ours at all. Where two pools overlap, the older one has the address.
	Pools          []lb.Pool
	Advertisements []lb.Advertisement
	// IgnoreExcludeLB lets nodes with the label node.kubernetes.io/exclude-from-external-load-balancers announce.
	IgnoreExcludeLB bool
	// Mine is the Memory of the last decision; the zero value, or that of Resume, for the first.
	Mine Memory
	// Probed are the results for the addresses that an earlier decision wanted to be checked.
	Probed map[netip.Addr]Probed
	// Foreign are other stations that were heard lately to answer for addresses that Mine heeds, or to announce them.
	Foreign []Foreign
	// Stalled says that this process has been stopped and has not heard yet how the world is.
	Stalled bool
	Timing  Timing
}

// Timing are the times that decisions depend on. The zero value stands for DefaultTiming without Rebalance.
type Timing struct {
	// Hold is how long the addresses of a speaker that does not answer wait for it while its host lives.
	Hold time.Duration
	// HoldRestart is the same for a speaker that has said that it will be back.
	HoldRestart time.Duration
	// RankDelay is by how much each further candidate waits longer for those before it.
	RankDelay time.Duration
	// Tail is how long an owner that handed an address over still answers the new owner.
	Tail time.Duration
	// Rebalance is the least time between two addresses that an owner gives away because it has more than its share; 0: never.
	Rebalance time.Duration
}

// DefaultTiming returns what the speakers use unless told otherwise.
func DefaultTiming() Timing {
	return Timing{Hold: 10 * time.Second, HoldRestart: time.Minute, RankDelay: 300 * time.Millisecond, Tail: time.Minute, Rebalance: 10 * time.Second}
}

func (t Timing) orDefault() Timing {
	if t == (Timing{}) {
		t = DefaultTiming()
		t.Rebalance = 0
	}
	return t
}

// The times that are nobody's to choose.
const (
	// handWait is how long a node that is asked to take an address may take to do it, before another is asked.
	handWait = time.Second
	// wishWait is how long a preference must hold before an address moves for it.
	wishWait = time.Second
	// failbackWait is the same for failback: Always: a node that just came back may go again.
	failbackWait = 3 * time.Second
	// proxyWait is how long kube-proxy must be dead here and well elsewhere before an owner gives an address up for it. Where it
	// dies or comes back on all nodes at once, the speakers find out one after the other, two seconds apart at most.
	proxyWait = 3 * time.Second
	// hindsight is for how long a takeover is in doubt: deafness is noticed later than the silence of one peer.
	hindsight = 5 * time.Second
	// reprieve is for how long a mute owner keeps an address when others hear each other again, after nobody did: a little longer
	// than it takes liveness to ask a host again that was lost. Whoever finds each other first is not better off for that.
	reprieve = 1200 * time.Millisecond
	// steady is how long more speakers must have been heard before a claim's evidence grows again, and how long another must have
	// been the better standby before it is named.
	steady = 10 * time.Second
	// defendAgain is the least time between two defences against a stranger (DEFEND_INTERVAL of RFC 5227 §1.1).
	defendAgain = 10 * time.Second
	// forgets is after how long a kernel asks again where a neighbour is that does not answer: it believes an answer for 45 s at most,
	// and asks in vain for 8 s (RFC 4861 §6.3.2, §10; Linux does the same for ARP).
	forgets = time.Minute
	// rivalWait is how long gossip has to find a speaker that answers for our address, before rank alone decides. When a partition
	// heals, frames pass a moment before gossip is whole; both would yield then, one by rank, the other by evidence.
	rivalWait = 500 * time.Millisecond
	// claimWait is how long the claim of a speaker may take that was heard to answer for an address. Gossip sends again after half a
	// second what was lost.
	claimWait = time.Second
	// announceAgain is the least time between two announcements to settle a quarrel with another speaker.
	announceAgain = time.Second
)

// CheckAgain is how long the answer of somebody who uses an address counts. The caller forgets it then, and the LAN is asked again.
const CheckAgain = 5 * time.Second

// Probed is what the LAN said when it was asked whether somebody uses an address.
type Probed struct {
	Clear bool   // nobody answered
	By    lb.MAC // who did
	Node  string // whose MAC that is; empty for a stranger
	At    time.Time
}

// Foreign is another station that answers for one of our addresses, or for one that has lost its owner, or announces it.
type Foreign struct {
	Addr netip.Addr
	MAC  lb.MAC
	Node string // whose MAC that is; empty for a stranger
	At   time.Time
}

// Decision is the outcome: what this node answers and claims, and for every address who owns it and why nobody else.
type Decision struct {
	// Addresses are those that a managed Service holds, sorted.
	Addresses []Address
	// Answers is what the wire shall answer from now on, sorted by address, then kind.
	Answers []Answer
	// Claims are ours, to be told to the others; sorted by address.
	Claims []lb.Claim
	// Check are addresses about which the LAN shall be asked whether somebody uses them; sorted by address.
	Check []Check
	// Defend are addresses to be announced once, now; sorted.
	Defend []netip.Addr
	// Strangers answer for our addresses and are no speakers; sorted by address, then MAC.
	Strangers []Foreign
	// Proxies answer for so many of our addresses that they must be routers with proxy ARP; they are no reason to give an
	// address up. Sorted by address, then MAC.
	Proxies []Foreign
	// Memory is for the next View.
	Memory Memory
	// Wake is when to decide again although nothing has changed; zero for never.
	Wake time.Time
}

// Answer is one address that this node answers for.
type Answer struct {
	Addr       netip.Addr
	Interfaces []string // sorted; never empty
	Kind       neighbor.Kind
	// Node is whose MAC we answer with (StandIn), the only one that we answer (Trail), or the one that we do not answer (Own,
	// after a planned move; else empty).
	Node string
}

// Check is an address to be asked about, on these interfaces.
type Check struct {
	Addr       netip.Addr
	Interfaces []string
}

// Address is the outcome for one address, as this node sees it.
type Address struct {
	Addr netip.Addr
	// Pool is the name of the pool that contains it; empty when none does.
	Pool string
	// Services are those that the address is announced for: the oldest first, then those that may share it, by age.
	Services []lb.Name
	// Refused are Services that hold the address too but may not share it with the older ones.
	Refused []lb.Name
	// Owner is the node that answers. It is empty when nobody may (Problem says why), and for the moment in which the next
	// owner is being found.
	Owner string
	// Standby is the heir that the owner names, if any.
	Standby string
	// StandIn is the node that answers in the owner's name, as far as this node knows: itself, or nobody.
	StandIn string
	// Cause, From and Since are those of the owner's claim.
	Cause lb.Cause
	From  string
	Since time.Time
	// Candidates are the nodes that pass every rule, sorted by node; other addresses may share the slice. See Ranked.
	Candidates []Candidate
	// Rejected says of every other node why it is no candidate, sorted by node. It is empty when the Problem has nothing to
	// do with nodes (NoPool, NotAdvertised, NoEndpoint).
	Rejected []Rejection
	// Problem says why nobody owns the address; nil when somebody does, or will in a moment.
	Problem *lb.Problem
}

// Ranked returns the Candidates in the order in which they would be chosen. It is worked out when it is asked for: while nothing
// happens to an address that another node has, nobody needs it, and with many nodes it costs more than all the rest.
func (a Address) Ranked() []Candidate { return rank(a.Addr, a.Candidates) }

// Candidate is a node that may own an address.
type Candidate struct {
	Node string
	// Weight is the sum of the preferredNodeSelectors that match the node.
	Weight int
	// Interfaces are those on which the node would answer, sorted; never empty.
	Interfaces []string
	// Condition of its speaker: only a Working one is given an address; the others may keep theirs.
	Condition Condition
}

// Rejection says why a node is not a candidate: the first rule that it does not pass.
type Rejection struct {
	Node string
	lb.Problem
}
