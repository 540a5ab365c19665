// Package live is what a speaker tells whoever asks it: a View, as JSON, of what it knows, what it decided and why. It is the part
// of the truth that the API server does not have: who hears whom, who is claimed to own what, and which nodes were considered.
//
//	speaker:  ownership.View, ownership.Decision ─ Of ─▶ View ─▶ GET /view
//	plugin:   GET /view of every speaker (package fetch) ─▶ View ─ Ownership ─▶ the View that Decide takes, less the cluster's objects
//
// A View has the names that users know, nodes, addresses, interfaces and Services, and no secret. The package is pure.
package live

import (
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Version is that of the JSON. It grows when a field changes its meaning or goes; new fields alone do not change it.
const Version = 1

// Path is where a speaker serves its View, on the address of its probes. Query parameters named Why ask for the candidates of an
// address, as in /view?why=192.0.2.1&why=192.0.2.2; without any they are left out, for they are addresses × nodes.
const (
	Path = "/view"
	Why  = "why"
)

// View is what one speaker knows and has decided. Lists are sorted as in ownership.View and ownership.Decision.
type View struct {
	Version int    `json:"version"`
	Node    string `json:"node"`
	// Class is the spec.loadBalancerClass that the speaker serves; empty for Services without one.
	Class string `json:"class,omitempty"`
	// Time is the speaker's clock when it was asked, and Decided when it last decided. Between two decisions nothing happened
	// that could change one, so an old one is not stale.
	Time    time.Time `json:"time"`
	Decided time.Time `json:"decided"`
	// Stalled says that the process was stopped and has not heard yet how the world is: it says nothing on the LAN.
	Stalled         bool   `json:"stalled,omitempty"`
	IgnoreExcludeLB bool   `json:"ignoreExcludeLB,omitempty"`
	Timing          Timing `json:"timing"`
	// Speakers are the last words of all that were ever heard, of dead ones and of this one too.
	Speakers []Speaker `json:"speakers"`
	// Peers is how the other speakers are, as this node sees them.
	Peers []Peer `json:"peers"`
	// Addresses are those that a Service has.
	Addresses []Address `json:"addresses"`
	// Answers is what the node answers on the LAN.
	Answers []Answer `json:"answers"`
	// Strangers answer for the addresses of this node and are no speakers; Proxies answer for so many that they must be routers
	// with proxy ARP; Rivals are speakers that do, which gossip may not hear.
	Strangers []Station `json:"strangers,omitempty"`
	Proxies   []Station `json:"proxies,omitempty"`
	Rivals    []Station `json:"rivals,omitempty"`
	// Host is how the node is set up; nil from a speaker that does not tell.
	Host *Host `json:"host,omitempty"`
}

// Timing is ownership.Timing, in seconds.
type Timing struct {
	Hold        float64 `json:"holdSeconds"`
	HoldRestart float64 `json:"holdRestartSeconds"`
	RankDelay   float64 `json:"rankDelaySeconds"`
	Tail        float64 `json:"tailSeconds"`
	Rebalance   float64 `json:"rebalanceSeconds"`
}

// Speaker is lb.Speaker: what one speaker says of itself.
type Speaker struct {
	Node string `json:"node"`
	// Boot is when its process started, 0 when the speaker is this one; nanoseconds since 1970.
	Boot       uint64 `json:"boot,omitempty"`
	Seq        uint64 `json:"seq,omitempty"`
	Restarting bool   `json:"restarting,omitempty"`
	// KubeProxy is alive, dead, or empty where it is not asked.
	KubeProxy  string      `json:"kubeProxy,omitempty"`
	Interfaces []Interface `json:"interfaces"`
	Claims     []Claim     `json:"claims"`
	// Lost are the peers that it once heard on an interface of its own and hears there no more.
	Lost []Loss `json:"lost,omitempty"`
}

// Interface is lb.Interface.
type Interface struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`
	// Deaf says that it is up and hears nobody on its segment, though somebody should be there.
	Deaf     bool           `json:"deaf,omitempty"`
	MACs     []string       `json:"macs,omitempty"`
	Addrs    []netip.Addr   `json:"addresses,omitempty"`
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
}

// Loss is lb.Loss: a peer, and our interface on which it is not heard.
type Loss struct {
	Node      string `json:"node"`
	Interface string `json:"interface"`
}

// Claim is lb.Claim.
type Claim struct {
	Address   netip.Addr `json:"address"`
	Standby   string     `json:"standby,omitempty"`
	HandTo    string     `json:"handTo,omitempty"`
	HandCause string     `json:"handCause,omitempty"`
	Evidence  uint8      `json:"evidence"`
	Cause     string     `json:"cause,omitempty"`
	From      string     `json:"from,omitempty"`
	Since     time.Time  `json:"since,omitzero"`
}

// The values of Peer.Gossip, Peer.Answer and HostLife.Life.
const (
	Alive   = "alive"
	Dead    = "dead"
	Unknown = "unknown"
)

// Peer is lb.Peer, with the outcome.
type Peer struct {
	Node   string     `json:"node"`
	Gossip string     `json:"gossip"`
	Left   bool       `json:"left,omitempty"`
	Silent time.Time  `json:"silentSince,omitzero"`
	Answer string     `json:"answer"`
	Hosts  []HostLife `json:"hosts,omitempty"`
}

// HostLife says whether a peer's kernel answers on an interface of ours.
type HostLife struct {
	Interface string `json:"interface"`
	Life      string `json:"life"`
}

// Address is ownership.Address.
type Address struct {
	Address  netip.Addr `json:"address"`
	Pool     string     `json:"pool,omitempty"`
	Services []string   `json:"services"` // namespace/name, the oldest first
	// Refused are Services that hold the address too but may not share it.
	Refused []string  `json:"refused,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	Standby string    `json:"standby,omitempty"`
	StandIn string    `json:"standIn,omitempty"`
	Cause   string    `json:"cause,omitempty"`
	From    string    `json:"from,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Candidates, in rank order, and Rejected, by name, are there only for the addresses that were asked about.
	Candidates []Candidate `json:"candidates,omitempty"`
	Rejected   []Rejection `json:"rejected,omitempty"`
	Problem    *Problem    `json:"problem,omitempty"`
}

// Candidate is ownership.Candidate: a node that may own the address.
type Candidate struct {
	Node       string   `json:"node"`
	Weight     int      `json:"weight,omitempty"`
	Interfaces []string `json:"interfaces"`
	Condition  string   `json:"condition"` // working, cut off from gossip, stalled, being asked, gone
}

// Rejection is ownership.Rejection: the first rule that a node does not pass.
type Rejection struct {
	Node string `json:"node"`
	Problem
}

// Problem is lb.Problem.
type Problem struct {
	Reason  lb.Reason `json:"reason"`
	Message string    `json:"message"`
}

// Answer is ownership.Answer.
type Answer struct {
	Address    netip.Addr `json:"address"`
	Interfaces []string   `json:"interfaces"`
	Kind       string     `json:"kind"` // own, stand-in, trail
	// Node is whose MAC is answered with (stand-in), the only one that is answered (trail), or not answered (own).
	Node string `json:"node,omitempty"`
}

// Station is a host on the LAN that answers for an address.
type Station struct {
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac"`
	Node    string     `json:"node,omitempty"` // whose MAC it is, if a speaker's
	At      time.Time  `json:"at"`
}
