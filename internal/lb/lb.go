// Package lb holds the nouns of Steelyard: what a pool, a Service, a node and an advertisement are once Kubernetes is taken
// away. They are plain values: built by internal/kube at the border, read by allocate, ownership and neighbor. The package
// imports netip types only, reads no clock and keeps no state. Slices are sorted by whoever builds them, except where the
// user's order carries meaning (Pool.Ranges, Service.Families, Service.Requested, Service.Held).
package lb

import (
	"cmp"
	"net/netip"
	"time"

	"go4.org/netipx"
)

// Name identifies a namespaced object.
type Name struct{ Namespace, Name string }

// String returns "namespace/name", the form that kubectl and our logs print.
func (n Name) String() string { return n.Namespace + "/" + n.Name }

// Compare orders names by namespace, then name.
func (n Name) Compare(o Name) int {
	return cmp.Or(cmp.Compare(n.Namespace, o.Namespace), cmp.Compare(n.Name, o.Name))
}

// Family is an IP version.
type Family uint8

// The two families. The zero Family is no family.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String returns "IPv4" or "IPv6", as Kubernetes spells them in spec.ipFamilies.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	}
	return "no family"
}

// FamilyOf returns the family of an address; IPv4-mapped IPv6 addresses count as IPv6 and never enter our tables.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// FamilyPolicy is Service.spec.ipFamilyPolicy.
type FamilyPolicy string

// The values of spec.ipFamilyPolicy (KEP-563).
const (
	SingleStack      FamilyPolicy = "SingleStack"
	PreferDualStack  FamilyPolicy = "PreferDualStack"
	RequireDualStack FamilyPolicy = "RequireDualStack"
)

// Port is one Service port as clients see it. Two Services may share an address when their Ports are disjoint.
type Port struct {
	Protocol string // "TCP", "UDP" or "SCTP"
	Number   uint16
}

// Pool is one IPAddressPool.
type Pool struct {
	Name    string
	Labels  map[string]string
	Created time.Time
	// Ranges are the pool's addresses in the order the user wrote them; each has one family and From ≤ To.
	Ranges     []netipx.IPRange
	AutoAssign bool
	// AvoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255.
	AvoidBuggyIPs bool
	// Reserved are addresses that only a Service gets which asks for them by number. What of them lies outside Ranges means
	// nothing.
	Reserved []netipx.IPRange
	// Quotas bound what groups of namespaces may hold from the pool.
	Quotas []Quota
	// RetainFor is how long the address of a deleted Service is kept for one of the same name; 0: not at all.
	RetainFor time.Duration
	// Allocation restricts who may use the pool; nil admits every Service.
	Allocation *PoolAllocation
	// Problems are what is wrong with the object itself (an address that does not parse). A pool with a problem still
	// offers its good ranges: one typing mistake must not take away addresses that are in use.
	Problems []Problem
}

// PoolAllocation is IPAddressPool.spec.serviceAllocation. A Service matches when its namespace is listed or selected (or
// nothing is said about namespaces) and one of the service selectors matches (or there is none).
type PoolAllocation struct {
	// Priority orders pinned pools: 1 is asked first; 0 means no priority and comes last.
	Priority           int
	Namespaces         []string
	NamespaceSelectors []Selector
	ServiceSelectors   []Selector
	// Evict takes the address from a Service that the pool does not admit any more; otherwise it keeps it.
	Evict bool
}

// Quota bounds how many distinct addresses of one pool the Services of a group of namespaces may hold together. A namespace
// is in the group when it is listed or selected, or when nothing is said about namespaces.
type Quota struct {
	Namespaces         []string
	NamespaceSelectors []Selector
	Max                int
}

// Retention keeps an address for a Service that was deleted, until one of the same name comes back for it.
type Retention struct {
	Address netip.Addr
	For     Name
	Until   time.Time
}

// Conflict is an address that a stranger on the LAN answers for, as a speaker saw.
type Conflict struct {
	Address netip.Addr
	MAC     string // of the stranger; empty when not known
	Node    string // whose speaker saw it
	Until   time.Time
}

// Service is one Service of type LoadBalancer (Managed), or one that was (Managed false) and still carries our marks.
type Service struct {
	Name    Name
	UID     string
	Created time.Time
	Labels  map[string]string
	// Managed says that the Service is of type LoadBalancer and its class is ours.
	Managed bool
	// Deleting says that metadata.deletionTimestamp is set.
	Deleting bool
	// Families are those of its cluster IPs, in the order of spec.ipFamilies; empty for a headless Service.
	Families []Family
	Policy   FamilyPolicy
	Ports    []Port
	// Local says externalTrafficPolicy: Local.
	Local bool
	// Selector is spec.selector in canonical form ("k=v,k2=v2"); two Local Services may share only when it is equal.
	Selector string
	// SharingKey is the annotation metallb.io/allow-shared-ip; empty forbids sharing.
	SharingKey string
	// Requested are the addresses that the user asked for by annotation or spec.loadBalancerIP.
	Requested []netip.Addr
	// RequestedPool is the annotation metallb.io/address-pool.
	RequestedPool string
	// Held is status.loadBalancer.ingress[].ip in its order: the database of allocations.
	Held []netip.Addr
	// HeldFrom is the annotation metallb.io/ip-allocated-from-pool that we wrote.
	HeldFrom string
	// WantedNode is the node that the user asks to own the Service's addresses; empty for no wish.
	WantedNode string
	// Endpoints counts, for each node name, what can serve there; "" stands for endpoints without a node.
	Endpoints map[string]Endpoints
	// Problems are mistakes in the Service's own request (an annotation that does not parse). A Service with a problem
	// is given nothing new and keeps what it holds.
	Problems []Problem
}

// Endpoints of one Service on one node.
type Endpoints struct {
	Ready   int // conditions.ready is true or unset
	Serving int // conditions.serving is true: ready, or terminating and still answering (KEP-1669)
}

// Node is one Kubernetes Node.
type Node struct {
	Name   string
	Labels map[string]string
	// Excluded says that the node carries the label node.kubernetes.io/exclude-from-external-load-balancers.
	Excluded bool
	// Drained says that the node carries the label metallb.io/drained.
	Drained bool
	// NetworkUnavailable says that the Node condition of that name is True.
	NetworkUnavailable bool
	// OutOfService says that the node carries the taint node.kubernetes.io/out-of-service, or is shutting down.
	OutOfService bool
}

// Advertisement is one L2Advertisement. Empty lists admit everything.
type Advertisement struct {
	Name             string
	Pools            []string
	PoolSelectors    []Selector
	NodeSelectors    []Selector
	ServiceSelectors []Selector
	Interfaces       []string
	// Preferred gives nodes a weight; the weights of all matching entries are added up.
	Preferred []Preference
	// FailbackAlways takes an address back to the highest ranking node whenever that can have it; otherwise an owner keeps
	// its address while it may.
	FailbackAlways bool
	Problems       []Problem
}

// Preference is one entry of L2Advertisement.spec.preferredNodeSelectors.
type Preference struct {
	Weight int // 1 to 100
	Nodes  Selector
}

// Problem is a user's mistake, or a want that cannot be met: a condition and an Event, never an error. An error means "try
// again"; a problem stays until somebody changes something.
type Problem struct {
	Reason  Reason
	Message string // one sentence a user can act on
}

// Reason is a stable CamelCase word for a condition, an Event or a metric label.
type Reason string
