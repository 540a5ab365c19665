// Package allocate decides which Service has which address. Plan looks at the whole world each time and says who holds
// what, what changes and why, and what keeps each unsatisfied Service waiting. It is pure: data in, data out, and neither
// the order of the input nor anything remembered from earlier calls matters. Its cost follows the number of Services and
// of ranges, never the number of addresses in a pool.
package allocate

import (
	"net/netip"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// World is everything that Plan looks at.
type World struct {
	// Pools are all pools; those that overlap are told apart by age (Created, then Name): the older keeps the overlap.
	Pools []lb.Pool
	// Services are those of type LoadBalancer with our class, and those that still carry our marks (Managed false). What
	// was written and is not visible yet must already be in Held.
	Services []lb.Service
	// Namespaces are the labels of each namespace, by name. A namespace that is missing matches no selector.
	Namespaces map[string]map[string]string
	// Recent are addresses that were in use until some time ago, the one that was freed first coming first. They are given
	// out after all others, in this order: a client may still have one in its cache of names.
	Recent []netip.Addr
	// Retained are addresses kept for Services that were deleted, those that have not ended. A pool without RetainFor keeps none.
	Retained []lb.Retention
	// Conflicts are addresses that strangers answer for, those that have not ended. They are given to nobody who does not
	// ask for them by number.
	Conflicts []lb.Conflict
}

// Result is what Plan says.
type Result struct {
	Services []Assignment // one for each Service of the World, sorted by name
	Pools    []Usage      // one for each pool of the World, sorted by name
}

// Assignment is what one Service shall have.
type Assignment struct {
	Service lb.Name
	UID     string
	// Addresses are the wanted status.loadBalancer.ingress in order: at most one of each family.
	Addresses []netip.Addr
	// Pool is where they come from, for the annotation ip-allocated-from-pool: a pool's name, or two in the order of
	// Addresses, separated by a comma; empty without addresses.
	Pool string
	// Complete says that the Service has what it asks for. With a Problem as well, it has it against some rule.
	Complete bool
	// Problem is why it lacks something, or what is irregular about what it holds; nil when all is well. Its message changes
	// only when a reason does: it has no counts, no times and no names of other Services. So of thousands that wait for one
	// pool none needs a write when another Service comes or goes.
	Problem *lb.Problem
	// Now is what Problem does not say because it may change at any time: "shop/till" for who holds the requested address,
	// "shop/old, until 2026-03-01T12:00:00Z" for whom and how long it is kept, "3 in use" of a quota; often empty.
	Now string
	// Assigned are the Addresses that it does not hold yet.
	Assigned []netip.Addr
	// Released are the addresses that it holds and shall not keep.
	Released []Release
	// After names, sorted, the other Services that release an address of Assigned in this same plan. Their release must
	// be written before this Assignment is, or a failed write would leave one address with two Services.
	After []lb.Name
}

// Release is an address that a Service gives up, and why.
type Release struct {
	Address netip.Addr
	Why     lb.Problem
}

// Usage is the state of one pool. Counts saturate at math.MaxInt64 and are of distinct addresses: a shared one counts once.
type Usage struct {
	Pool                         string
	AssignedIPv4, AssignedIPv6   int64
	AvailableIPv4, AvailableIPv6 int64
	// Problems are what is wrong with the pool: entries that do not parse, overlaps with older pools.
	Problems []lb.Problem
	// Retained are the retentions of its addresses that nobody has claimed, by address and name; MaxRetained at most.
	Retained []lb.Retention
	// Conflicts are those of its addresses, by address and node.
	Conflicts []lb.Conflict
	// Waiting is the number of Services without an address that could have one from here if there were a free one. The
	// pool is exhausted when it is not 0.
	Waiting int
	// Full says, while Services wait, what became of the addresses of the families that have none left: "254 IPv4 in use, 2 reserved".
	Full string
}

// The reasons of a Problem or a Release. They are stable: users build alerts on them.
const (
	// ReasonNoPool: there is no IPAddressPool at all. Create one.
	ReasonNoPool lb.Reason = "NoPool"
	// ReasonNoUsablePool: there are pools, and none of them may or can serve this Service; the message has the reason of each.
	ReasonNoUsablePool lb.Reason = "NoUsablePool"
	// ReasonExhausted: the pools that the Service may use have no free address. Add addresses, or delete a Service.
	ReasonExhausted lb.Reason = "Exhausted"
	// ReasonQuotaExceeded: the Service's namespace holds as many addresses of the pool as a quota allows. Raise it, or delete a Service.
	ReasonQuotaExceeded lb.Reason = "QuotaExceeded"
	// ReasonRetained: the address is kept for a deleted Service of another name. Wait, or ask for another.
	ReasonRetained lb.Reason = "Retained"
	// ReasonUnknownPool: the annotation address-pool names a pool that does not exist.
	ReasonUnknownPool lb.Reason = "UnknownPool"
	// ReasonPoolNotAllowed: the pool's serviceAllocation does not admit the Service.
	ReasonPoolNotAllowed lb.Reason = "PoolNotAllowed"
	// ReasonPoolMismatch: the requested address is not in the requested pool.
	ReasonPoolMismatch lb.Reason = "PoolMismatch"
	// ReasonNotInPool: no pool contains the address.
	ReasonNotInPool lb.Reason = "NotInPool"
	// ReasonAddressInUse: another Service holds the address and may not, or does not want to, share it.
	ReasonAddressInUse lb.Reason = "AddressInUse"
	// ReasonWrongFamily: the Service has no cluster IP of the address's family.
	ReasonWrongFamily lb.Reason = "WrongFamily"
	// ReasonNotDualStack: ipFamilyPolicy is RequireDualStack and the Service has cluster IPs of one family only.
	ReasonNotDualStack lb.Reason = "NotDualStack"
	// ReasonNoClusterIP: the Service has no cluster IP that traffic to an address could go to.
	ReasonNoClusterIP lb.Reason = "NoClusterIP"
	// ReasonOnePerFamily: the Service holds a second address of one family.
	ReasonOnePerFamily lb.Reason = "OnePerFamily"
	// ReasonMoved: the Service has another address of that family instead, as its request demands.
	ReasonMoved lb.Reason = "Moved"
	// ReasonNotManaged: the Service is no longer of type LoadBalancer with our class.
	ReasonNotManaged lb.Reason = "NotManaged"
	// ReasonOverlap: a pool's addresses are in an older pool too, and are used there only.
	ReasonOverlap lb.Reason = "Overlap"
)

// MaxRetained is the largest number of retentions that one pool has; of more, those that end first are let go.
const MaxRetained = 256

// Plan decides, in this order: who holds a legal address keeps it, the oldest Service first; explicit requests; requests
// for a pool; everybody else. Within a step the older Service comes first, then the smaller name.
func Plan(w World) Result {
	return finishedPlan(w).result()
}
