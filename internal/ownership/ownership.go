// Package ownership decides, for every address that a Service holds, which node answers for it, and says of every other node
// why it does not. It is pure: Decide reads a View and nothing else (no clock, no I/O, no logger, no Kubernetes), its result is
// sorted, and every node that evaluates the same View comes to the same Decision whatever its own name is; that is what makes
// speakers agree without an election. The slices of a View are only read. Those of a Decision may be shared between its
// addresses: read them, never write to them.
package ownership

import (
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// View is all that a speaker knows when it decides.
type View struct {
	// Self is the node that asks. It takes no part in the decision; Decision.Answers wants it.
	Self string
	// Speakers are the members that gossip believes alive, this node included, each with the interfaces it has published.
	Speakers []lb.Speaker
	// Nodes are the Kubernetes nodes.
	Nodes []lb.Node
	// Services are those with an address; the ones that are not Managed are passed over.
	Services []lb.Service
	// Pools say which addresses are ours at all. Where two pools overlap, the older one has the address.
	Pools          []lb.Pool
	Advertisements []lb.Advertisement
	// IgnoreExcludeLB lets nodes with the label node.kubernetes.io/exclude-from-external-load-balancers announce.
	IgnoreExcludeLB bool
}

// Decision is the outcome for every address that a managed Service holds, sorted by address.
type Decision struct{ Addresses []Address }

// Address is the outcome for one address.
type Address struct {
	Addr netip.Addr
	// Pool is the name of the pool that contains it; empty when none does.
	Pool string
	// Services are those that the address is announced for: the oldest first, then those that may share it, by age.
	Services []lb.Name
	// Refused are Services that hold the address too but may not share it with the older ones.
	Refused []lb.Name
	// Owner is the node that answers: the first of Candidates; empty when there is none, and then Problem says why.
	Owner string
	// Candidates are the nodes that pass every rule, in rank order: each would own the address if those before it were gone.
	Candidates []Candidate
	// Rejected says of every other node why it is no candidate, sorted by node. It is empty when the Problem has nothing to
	// do with nodes (NoPool, NotAdvertised, NoEndpoint).
	Rejected []Rejection
	// Problem says why nobody owns the address; nil when somebody does.
	Problem *lb.Problem
}

// Candidate is a node that may own an address.
type Candidate struct {
	Node string
	// Weight is the sum of the preferredNodeSelectors that match the node.
	Weight int
	// Interfaces are those on which the node would answer, sorted; never empty.
	Interfaces []string
}

// Rejection says why a node is not a candidate: the first rule that it does not pass.
type Rejection struct {
	Node string
	lb.Problem
}

// Decide applies the rules to every address. It takes time linear in addresses × nodes: what depends on the node, on the set
// of matching advertisements or on the subnet only is worked out once and shared.
func Decide(v View) Decision {
	held := holders(v.Services)
	addrs := make([]netip.Addr, 0, len(held))
	for a := range held {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)

	w := newWorld(v)
	d := Decision{Addresses: make([]Address, 0, len(addrs))}
	for _, a := range addrs {
		d.Addresses = append(d.Addresses, w.decide(a, held[a]))
	}
	return d
}

// Answers returns the addresses that a node owns, each with the interfaces on which it answers.
func (d Decision) Answers(node string) map[netip.Addr][]string {
	out := map[netip.Addr][]string{}
	for _, a := range d.Addresses {
		if a.Owner == node && node != "" {
			out[a.Addr] = a.Candidates[0].Interfaces
		}
	}
	return out
}

// holders returns, for each address, the managed Services that hold it, the oldest first.
func holders(services []lb.Service) map[netip.Addr][]*lb.Service {
	held := make(map[netip.Addr][]*lb.Service, len(services))
	for i := range services {
		s := &services[i]
		if !s.Managed {
			continue
		}
		for j, a := range s.Held {
			if !slices.Contains(s.Held[:j], a) {
				held[a] = append(held[a], s)
			}
		}
	}
	for _, list := range held {
		slices.SortFunc(list, func(a, b *lb.Service) int { return lb.CompareAge(*a, *b) })
	}
	return held
}

// entitled splits the holders of one address: the oldest keeps it, and each next one may stay when it may share with all who
// stayed before it. Two Services get one address only by a mistake or a race; the controller applies the same rule to what it
// repairs.
func entitled(byAge []*lb.Service) (stay []*lb.Service, refused []lb.Name) {
	for _, s := range byAge {
		if slices.ContainsFunc(stay, func(o *lb.Service) bool { return !lb.MayShare(*o, *s) }) {
			refused = append(refused, s.Name)
			continue
		}
		stay = append(stay, s)
	}
	return stay, refused
}

// decide works out one address.
func (w *world) decide(addr netip.Addr, byAge []*lb.Service) Address {
	stay, refused := entitled(byAge)
	out := Address{Addr: addr, Refused: refused}
	for _, s := range stay {
		out.Services = append(out.Services, s.Name)
	}
	pool := w.poolOf(addr)
	if pool != nil {
		out.Pool = pool.Name
	}
	sets, problem := w.advertised(pool, stay)
	if problem == nil {
		problem = servedAnywhere(stay)
	}
	if problem != nil {
		out.Problem = problem
		return out
	}
	seg := w.group(sets).segment(addr)
	eligible, rejected := localOnly(stay, seg.eligible, seg.rejected)
	if len(eligible) == 0 {
		out.Rejected = rejected
		out.Problem = nobody(rejected)
		return out
	}
	out.Candidates = rank(addr, eligible)
	out.Owner = out.Candidates[0].Node
	out.Rejected = rejected
	return out
}
