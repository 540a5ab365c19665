// Package whatif says what a change would do before it is made: which addresses would go to another node, which Services would get
// another address, and which would be left without. It runs allocate.Plan and ownership.Decide, the code that the controller and the
// speakers run, on the world as it is and on the changed one, lets both come to rest in a time of its own, and compares them.
//
//	World ──▶ Plan ──▶ addresses ──▶ Decide of every speaker, again and again, each hearing the others' claims ──▶ owners ┐
//	World with a change ──▶ the same ─────────────────────────────────────────────────────────────────────────────────────┴▶ Changes
//
// What would have happened without the change is in both, and so in no Change. Not known here, and so not foreseen: strangers on the
// LAN, pods that come and go meanwhile, and which addresses were freed in the last ten minutes (a Service may get another new
// address than the one that is told). The package is pure.
package whatif

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// World is all that decides who has which address. It is a value: the methods that change something return another one.
type World struct {
	// Allocation is what the controller looks at. Its Services have their Endpoints here.
	Allocation     allocate.World
	Nodes          []lb.Node
	Advertisements []lb.Advertisement
	// Speakers are the Views on which the speakers decided last; of each, what comes from the API server (Nodes, Services, Pools,
	// Advertisements) is not looked at. A speaker that the others hear and that is not among them is taken to know what the first
	// one knows. Without any, nobody is foreseen to answer for anything, before or after.
	Speakers []ownership.View
}

// Kind is what happens to an address of a Service.
type Kind string

// The kinds. Unanswered and Answered are about an address that stays; Pending and Assigned about a Service that loses or gets one.
const (
	Moved      Kind = "Moved"      // another node answers for the same address
	Renumbered Kind = "Renumbered" // the Service gets another address instead
	Pending    Kind = "Pending"    // the Service loses an address and gets none
	Unanswered Kind = "Unanswered" // nobody answers for the address any more
	Answered   Kind = "Answered"   // nobody answered for the address, and somebody will
	Assigned   Kind = "Assigned"   // the Service gets an address that it waited for
)

// Change is what happens to one address of one Service.
type Change struct {
	Service lb.Name
	Kind    Kind
	// Old and New are the address before and after; the same, or one of them invalid, as the Kind says.
	Old, New netip.Addr
	// From and To are the nodes that answer before and after; empty for nobody. Several are separated by ", ": a partition.
	From, To string
	// Why is the reason with a sentence, or, for a move that no rule demands, the label of its lb.Cause without one.
	Why lb.Problem
}

// Result is what a change does.
type Result struct {
	Changes []Change // sorted by Service, then address
	// Unsettled says that addresses were still moving when no more was computed, as they do for long when many must be balanced.
	Unsettled bool
}

// Compare says what becomes of before when it is made after.
func Compare(before, after World) Result {
	b, a := settle(before), settle(after)
	out := Result{Unsettled: b.unsettled || a.unsettled}
	for _, name := range b.services(a) {
		for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
			if c, changed := change(name, f, b, a); changed {
				out.Changes = append(out.Changes, c)
			}
		}
	}
	return out
}

// change compares one family of one Service.
func change(name lb.Name, f lb.Family, b, a rest) (Change, bool) {
	c := Change{Service: name, Old: b.address(name, f), New: a.address(name, f)}
	before, after := b.owned[c.Old], a.owned[c.New]
	c.From, c.To = before.node, after.node
	switch {
	case c.Old == c.New && c.From == c.To:
		return Change{}, false
	case !c.New.IsValid():
		c.Kind, c.Why = Pending, a.whyPending(name, c.Old)
	case !c.Old.IsValid():
		c.Kind = Assigned
	case c.Old != c.New:
		c.Kind, c.Why = Renumbered, a.whyReleased(name, c.Old)
	case c.To == "":
		c.Kind, c.Why = Unanswered, after.problem
	case c.From == "":
		c.Kind = Answered
	default:
		c.Kind, c.Why = Moved, after.whyNot(c.From)
	}
	return c, true
}

// services are the names of all Services, sorted.
func (r rest) services(other rest) []lb.Name {
	var out []lb.Name
	for _, list := range [][]allocate.Assignment{r.plan, other.plan} {
		for _, s := range list {
			out = append(out, s.Service)
		}
	}
	slices.SortFunc(out, lb.Name.Compare)
	return slices.Compact(out)
}

// assignment is that of a Service; the zero one for a Service that there is not.
func (r rest) assignment(name lb.Name) allocate.Assignment {
	i, ok := slices.BinarySearchFunc(r.plan, name, func(a allocate.Assignment, n lb.Name) int { return a.Service.Compare(n) })
	if !ok {
		return allocate.Assignment{}
	}
	return r.plan[i]
}

// address is the one of a family that the Service has; invalid when it has none.
func (r rest) address(name lb.Name, f lb.Family) netip.Addr {
	for _, a := range r.assignment(name).Addresses {
		if lb.FamilyOf(a) == f {
			return a
		}
	}
	return netip.Addr{}
}

// whyReleased says why a Service gives an address up.
func (r rest) whyReleased(name lb.Name, addr netip.Addr) lb.Problem {
	for _, rel := range r.assignment(name).Released {
		if rel.Address == addr {
			return rel.Why
		}
	}
	return lb.Problem{}
}

// whyPending says why it gets no other, and where nothing is said of that, why it gives up the one it had.
func (r rest) whyPending(name lb.Name, old netip.Addr) lb.Problem {
	if p := r.assignment(name).Problem; p != nil {
		return *p
	}
	return r.whyReleased(name, old)
}

// owned is who answers for one address at rest.
type owned struct {
	node     string
	cause    lb.Cause
	problem  lb.Problem // why nobody does
	rejected []ownership.Rejection
}

// whyNot says what speaks against a node, or else why another took the address.
func (o owned) whyNot(node string) lb.Problem {
	i, ok := slices.BinarySearchFunc(o.rejected, node, func(r ownership.Rejection, n string) int { return cmp.Compare(r.Node, n) })
	if ok {
		return o.rejected[i].Problem
	}
	return lb.Problem{Reason: lb.Reason(o.cause.String())}
}
