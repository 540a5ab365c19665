// Package statuspage says how pools, Services and nodes are at one moment, and writes that as a page. Of turns what the API shows
// (World) into a Status, the value behind /status.json; Renderer writes the same value as HTML. Both are pure: time is an argument,
// nothing is remembered, and the size of a strip or of a page is bounded whatever the size of a pool or the number of Services.
package statuspage

import (
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// World is what the API shows at one moment, and what this replica knows besides.
type World struct {
	Namespace string // of the pools
	Class     string // spec.loadBalancerClass of the Services that are served; empty: those without one
	Replica   string // the name of the process that tells
	Leader    bool   // whether it gives out the addresses

	Pools    []PoolState
	Services []ServiceState
	Owners   []Ownership
	// Recent are addresses that were freed lately and are handed out last. Only the leader knows them.
	Recent []netip.Addr
}

// PoolState is a pool, and what its status says.
type PoolState struct {
	lb.Pool
	Retained  []lb.Retention
	Conflicts []lb.Conflict
	// Troubles are the conditions of the pool that tell of something wrong.
	Troubles []lb.Problem
}

// ServiceState is a Service, and what its condition says.
type ServiceState struct {
	lb.Service
	// Decided says that there is a condition; the fields below are empty otherwise.
	Decided bool
	// Complete says that the Service has what it asks for.
	Complete bool
	// Problem is why it lacks something, or what is irregular about what it holds; nil when all is well.
	Problem *lb.Problem
	// Since is when Complete became what it is.
	Since time.Time
}

// Ownership is what the owner of an address wrote of it (ServiceL2Status).
type Ownership struct {
	Address netip.Addr
	Node    string
	Standby string    // takes the address if Node dies; may be empty
	From    string    // had it before; may be empty
	Cause   string    // why Node took it: the name of an lb.Cause, or empty
	Since   time.Time // when; may be zero
}
