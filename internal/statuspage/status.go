package statuspage

import "time"

// Status is how things are at one moment. It is the JSON of /status.json: names of fields stay, and new ones may come. Lists are
// sorted as said, and empty rather than null. Counts of addresses that do not fit into an int64 are its largest value.
type Status struct {
	At        time.Time  `json:"at"`
	Replica   string     `json:"replica"`
	Leader    bool       `json:"leader"`
	Namespace string     `json:"namespace"` // of the pools
	Class     string     `json:"class"`     // empty: Services without a class are served
	Summary   Summary    `json:"summary"`   // counts of what follows
	Pools     []Pool     `json:"pools"`     // by name
	Services  []Service  `json:"services"`  // by namespace and name
	Nodes     []Node     `json:"nodes"`     // by name
	Moves     []Move     `json:"moves"`     // the latest first, MaxMoves at most
	Conflicts []Conflict `json:"conflicts"` // by address and the node that saw it
}

// Summary counts.
type Summary struct {
	Services  int `json:"services"`
	Ready     int `json:"ready"`     // Services in that state
	Waiting   int `json:"waiting"`   // Services in that state
	Unowned   int `json:"unowned"`   // Services in that state
	Contested int `json:"contested"` // Services in the state "conflict"
	Addresses int `json:"addresses"` // distinct ones that Services have
	Pools     int `json:"pools"`
	Nodes     int `json:"nodes"`     // that answer for an address
	Conflicts int `json:"conflicts"` // distinct addresses that something else on the LAN answers for
}

// State is what an address of a pool is used for.
type State string

// The states. An address for which several are true has the first of them in this order.
const (
	Conflicting State = "conflict"    // something else on the LAN answers for it
	Assigned    State = "assigned"    // a Service has it
	Retained    State = "retained"    // kept for a deleted Service
	Reserved    State = "reserved"    // given to those only who ask for it by number
	Avoided     State = "avoided"     // ends in .0 or .255 and is left out (avoidBuggyIPs)
	Quarantined State = "quarantined" // freed lately, handed out last; only the leader knows
	Free        State = "free"        // none of the above
)

// Counts are numbers of addresses by state.
type Counts struct {
	Conflict    int64 `json:"conflict"`
	Assigned    int64 `json:"assigned"`
	Retained    int64 `json:"retained"`
	Reserved    int64 `json:"reserved"`
	Avoided     int64 `json:"avoided"`
	Quarantined int64 `json:"quarantined"`
	Free        int64 `json:"free"`
}

// Pool is one IPAddressPool.
type Pool struct {
	Name       string `json:"name"`
	AutoAssign bool   `json:"autoAssign"`
	Addresses  int64  `json:"addresses"` // that it alone may give out; what an older pool has too is not among them
	Counts     Counts `json:"counts"`
	// Strips are its addresses in order, MaxStrips at most. Left is how many ranges are not drawn; Counts has all of them.
	Strips   []Strip   `json:"strips"`
	Left     int       `json:"left,omitempty"`
	Troubles []Problem `json:"troubles"`
}

// Strip is a range of addresses without a gap, of one pool.
type Strip struct {
	First string `json:"first"`
	Last  string `json:"last"`
	// Block is the prefix length of what a cell stands for; absent when each is one address. The first and the last cell may be a
	// part of their block.
	Block int    `json:"block,omitempty"`
	Cells []Cell `json:"cells"`
}

// Cell is one address, or in large pools a block of them: all of a CIDR that the strip has.
type Cell struct {
	First string `json:"first"`
	Last  string `json:"last"` // equal to First for one address
	// State of the address; of a block, the first state in the order above that one of its addresses has, but a block is
	// reserved, avoided or quarantined only when none of it is free.
	State  State  `json:"state"`
	Counts Counts `json:"counts"`
	// For are the Services that have the address, or that it is kept for ("namespace/name"); empty for a block.
	For []string `json:"for,omitempty"`
}

// ServiceStatus says how a Service fares.
type ServiceStatus string

// The states of a Service.
const (
	Ready   ServiceStatus = "ready"   // it has its addresses, and a node answers for each
	Unowned ServiceStatus = "unowned" // it has its addresses, and no node said yet that it answers for one of them
	Waiting ServiceStatus = "waiting" // it lacks an address; Reason says why
	// Contested: it has its addresses, and something else on the LAN answers for one of them.
	Contested ServiceStatus = "conflict"
)

// Service is one Service of type LoadBalancer.
type Service struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	State     ServiceStatus `json:"state"`
	Addresses []Address     `json:"addresses"` // in the order of the Service's status
	// Reason and Message are those of its condition: why it waits, or what is irregular about what it has. Empty when all is well.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Since is when it began to wait, or had all that it asks for; absent when that is not known.
	Since time.Time `json:"since,omitzero"`
}

// Address is one that a Service has.
type Address struct {
	Address string `json:"address"`
	Pool    string `json:"pool,omitempty"`
	// Node answers for it; empty when none said so.
	Node    string    `json:"node,omitempty"`
	Standby string    `json:"standby,omitempty"` // takes it if Node dies
	Since   time.Time `json:"since,omitzero"`    // when Node took it
	Cause   string    `json:"cause,omitempty"`   // why: free, death, hold-expired, ineligible, preferred, requested, rebalance or shutdown
	From    string    `json:"from,omitempty"`    // the node that had it before
}

// Node is one that answers for addresses, or would if another died.
type Node struct {
	Name      string   `json:"name"`
	Owns      int      `json:"owns"`
	StandsBy  int      `json:"standsBy"`
	Addresses []string `json:"addresses"` // those that it owns, sorted
}

// Move tells of addresses that one node took at one moment, from one node and for one cause. The API has the last move of each
// address that a Service has, and no earlier ones.
type Move struct {
	At        time.Time `json:"at"`
	Node      string    `json:"node"`
	From      string    `json:"from,omitempty"` // empty: nobody had them
	Cause     string    `json:"cause"`
	Addresses []string  `json:"addresses"` // sorted
}

// Conflict is an address that something else on the LAN answers for, as one node saw.
type Conflict struct {
	Address  string    `json:"address"`
	Pool     string    `json:"pool"`
	MAC      string    `json:"mac,omitempty"` // of the stranger, when it is known
	Seen     string    `json:"seenBy"`        // the node
	Until    time.Time `json:"until"`         // when it is forgotten unless it is seen again
	Services []string  `json:"services"`      // that have the address ("namespace/name")
}

// Problem is what is wrong, in one word and in a sentence.
type Problem struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}
