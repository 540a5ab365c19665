package statuspage

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// MaxMoves is the largest number of moves that a Status has.
const MaxMoves = 40

// Of says how the world is. now is the time that the answer carries.
func Of(w World, now time.Time) Status {
	services := managed(w.Services)
	x := newIndex(w, services)
	out := Status{
		At: now.UTC(), Replica: w.Replica, Leader: w.Leader, Namespace: w.Namespace, Class: w.Class,
		Pools: x.pools(w.Pools), Services: make([]Service, 0, len(services)),
		Nodes: nodes(x.owners), Moves: moves(x.owners), Conflicts: x.conflicts(w.Pools),
	}
	for _, s := range services {
		out.Services = append(out.Services, x.service(s))
	}
	out.Summary = summary(out, len(x.holders))
	return out
}

// managed returns the Services that are served, sorted by name.
func managed(in []ServiceState) []ServiceState {
	out := slices.DeleteFunc(slices.Clone(in), func(s ServiceState) bool { return !s.Managed })
	slices.SortFunc(out, func(a, b ServiceState) int { return a.Name.Compare(b.Name) })
	return out
}

// index finds what is known of an address.
type index struct {
	holders   map[netip.Addr][]string  // Services, sorted by name
	owners    map[netip.Addr]Ownership // of addresses that have holders
	kept      map[netip.Addr][]string  // deleted Services
	strangers map[netip.Addr]bool      // there is a conflict
	marks     []mark                   // sorted by address, the state that comes first in the order of states first
}

// mark is an address that is not just free.
type mark struct {
	addr  netip.Addr
	state State
}

func newIndex(w World, services []ServiceState) index {
	x := index{holders: map[netip.Addr][]string{}, owners: map[netip.Addr]Ownership{}, kept: map[netip.Addr][]string{}, strangers: map[netip.Addr]bool{}}
	states := map[netip.Addr]State{}
	for _, a := range w.Recent {
		states[a] = Quarantined
	}
	for _, p := range w.Pools {
		for _, r := range p.Retained {
			if p.RetainFor == 0 {
				continue // what its status still says means nothing
			}
			x.kept[r.Address] = append(x.kept[r.Address], r.For.String())
			states[r.Address] = Retained
		}
	}
	for _, s := range services {
		for _, a := range s.Held {
			x.holders[a] = append(x.holders[a], s.Name.String())
			states[a] = Assigned
		}
	}
	for _, p := range w.Pools {
		for _, c := range p.Conflicts {
			states[c.Address], x.strangers[c.Address] = Conflicting, true
		}
	}
	for a, s := range states {
		x.marks = append(x.marks, mark{a, s})
	}
	slices.SortFunc(x.marks, func(a, b mark) int { return a.addr.Compare(b.addr) })
	for _, o := range w.Owners {
		// Two nodes may both say so while an address moves; the later is right.
		if have, there := x.owners[o.Address]; len(x.holders[o.Address]) > 0 && (!there || have.Since.Before(o.Since)) {
			x.owners[o.Address] = o
		}
	}
	return x
}

// service says how one Service fares.
func (x index) service(s ServiceState) Service {
	out := Service{Namespace: s.Name.Namespace, Name: s.Name.Name, State: Ready, Addresses: []Address{}, Since: s.Since}
	pools := strings.Split(s.HeldFrom, ",")
	for i, a := range s.Held {
		o := x.owners[a]
		switch {
		case x.strangers[a]:
			out.State = Contested
		case o.Node == "" && out.State == Ready:
			out.State = Unowned
		}
		out.Addresses = append(out.Addresses, Address{Address: a.String(), Pool: strings.TrimSpace(pools[min(i, len(pools)-1)]),
			Node: o.Node, Standby: o.Standby, Since: o.Since, Cause: o.Cause, From: o.From})
	}
	if s.Problem != nil {
		out.Reason, out.Message = string(s.Problem.Reason), s.Problem.Message
	}
	if !s.Complete && (s.Decided || len(s.Held) == 0) {
		out.State = Waiting
	}
	if !s.Decided && len(s.Held) == 0 {
		out.Reason, out.Message, out.Since = "Undecided", "no controller has looked at it yet", s.Created
	}
	return out
}

// nodes are those that the owners name, sorted by name.
func nodes(owners map[netip.Addr]Ownership) []Node {
	byName := map[string]*Node{}
	node := func(name string) *Node {
		if byName[name] == nil {
			byName[name] = &Node{Name: name, Addresses: []string{}}
		}
		return byName[name]
	}
	for _, a := range addresses(owners) {
		o := owners[a]
		n := node(o.Node)
		n.Owns++
		n.Addresses = append(n.Addresses, a.String())
		if o.Standby != "" {
			node(o.Standby).StandsBy++
		}
	}
	out := []Node{}
	for _, n := range byName {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func addresses(owners map[netip.Addr]Ownership) []netip.Addr {
	out := make([]netip.Addr, 0, len(owners))
	for a := range owners {
		out = append(out, a)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// moves are the last moves of all addresses; those that happened together are one.
func moves(owners map[netip.Addr]Ownership) []Move {
	type event struct {
		at                int64 // seconds: the API has no more
		node, from, cause string
	}
	at := map[event]int{}
	out := []Move{}
	for _, a := range addresses(owners) {
		o := owners[a]
		if o.Since.IsZero() {
			continue
		}
		e := event{o.Since.Unix(), o.Node, o.From, o.Cause}
		i, there := at[e]
		if !there {
			i = len(out)
			at[e] = i
			out = append(out, Move{At: o.Since.UTC(), Node: o.Node, From: o.From, Cause: o.Cause})
		}
		out[i].Addresses = append(out[i].Addresses, a.String())
	}
	slices.SortFunc(out, func(a, b Move) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Node, b.Node), cmp.Compare(a.From, b.From), cmp.Compare(a.Cause, b.Cause))
	})
	return out[:min(len(out), MaxMoves)]
}

// conflicts are those of all pools.
func (x index) conflicts(pools []PoolState) []Conflict {
	type seen struct {
		lb.Conflict
		pool string
	}
	var all []seen
	for _, p := range pools {
		for _, c := range p.Conflicts {
			all = append(all, seen{c, p.Name})
		}
	}
	slices.SortFunc(all, func(a, b seen) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Node, b.Node), cmp.Compare(a.pool, b.pool))
	})
	out := []Conflict{}
	for _, c := range all {
		out = append(out, Conflict{Address: c.Address.String(), Pool: c.pool, MAC: c.MAC, Seen: c.Node, Until: c.Until.UTC(),
			Services: append([]string{}, x.holders[c.Address]...)})
	}
	return out
}

func summary(s Status, addresses int) Summary {
	out := Summary{Services: len(s.Services), Addresses: addresses, Pools: len(s.Pools)}
	for _, svc := range s.Services {
		switch svc.State {
		case Ready:
			out.Ready++
		case Waiting:
			out.Waiting++
		case Unowned:
			out.Unowned++
		case Contested:
			out.Contested++
		}
	}
	for _, n := range s.Nodes {
		if n.Owns > 0 {
			out.Nodes++
		}
	}
	for i, c := range s.Conflicts {
		if i == 0 || s.Conflicts[i-1].Address != c.Address {
			out.Conflicts++
		}
	}
	return out
}
