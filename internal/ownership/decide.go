package ownership

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// Decide applies the rules to every address. It takes time linear in addresses × nodes: what depends on the node, on the set
// of matching advertisements or on the subnet only is worked out once and shared.
//
//	who claims the address          what this node does
//	this node                       keeps it, gives it away, or drops it (keep.go)
//	another that is not gone        nothing; takes it when asked to; stands in when the owner is stalled and we are its heir
//	one that is gone                its standby takes it, then each next candidate (take.go)
//	nobody                          the candidate that ranks first and has room checks the LAN and takes it (take.go)
func Decide(v View) Decision {
	held := holders(v.Services)
	addrs := slices.SortedFunc(maps.Keys(held), netip.Addr.Compare)
	d := newDecider(v, len(addrs))
	d.held = held
	for _, a := range addrs {
		d.address(a, held[a])
	}
	d.memory.forget(func(a netip.Addr) bool { return held[a] == nil })
	d.rebalance()
	return d.finish()
}

// decider is one decision in the making.
type decider struct {
	View
	*world
	memory   Memory
	claimed  map[netip.Addr][]claimant
	evidence func(uint8) uint8
	loads    *loads
	foreign  map[netip.Addr][]Foreign
	fixed    map[netip.Addr]bool // ours that balance must not move
	held     map[netip.Addr][]*lb.Service
	bait     map[netip.Addr][]string // decoys, with the interfaces to ask on
	out      Decision
}

func newDecider(v View, addresses int) *decider {
	w := newWorld(v)
	d := &decider{View: v, world: w, memory: v.Mine.next(v.Now), claimed: claimants(v), foreign: map[netip.Addr][]Foreign{}, fixed: map[netip.Addr]bool{},
		bait: map[netip.Addr][]string{}}
	d.out.Addresses = make([]Address, 0, addresses)
	all := w.conditions(d.everyLink())
	d.evidence = d.memory.listen(v.Now, d.hearing(), v.Stalled)
	if settles := d.memory.heardSince.Add(steady); settles.After(v.Now) {
		d.wake(settles)
	}
	d.loads = newLoads(addresses, countClaims(v.Speakers, v.Self, len(d.memory.holdings)), w.nodes, all)
	for _, f := range v.Foreign {
		d.foreign[f.Addr] = append(d.foreign[f.Addr], f)
	}
	for _, p := range v.Peers { // the end of a hold is news that nobody brings
		if ends := w.said[p.Node]; ends != nil && !p.Silent.IsZero() {
			if at := w.holdEnds(p); at.After(v.Now) {
				d.wake(at)
			}
		}
	}
	return d
}

// everyLink returns the names of all our interfaces.
func (d *decider) everyLink() []string {
	var out []string
	if s := d.said[d.Self]; s != nil {
		for _, itf := range s.Interfaces {
			out = append(out, itf.Name)
		}
	}
	return out
}

// hearing counts the speakers that gossip hears, ourselves included.
func (d *decider) hearing() uint8 {
	n := 1
	for _, p := range d.Peers {
		if p.Gossip == lb.Alive {
			n++
		}
	}
	return uint8(min(n, 255))
}

// wake asks to decide again then.
func (d *decider) wake(at time.Time) {
	if d.out.Wake.IsZero() || at.Before(d.out.Wake) {
		d.out.Wake = at
	}
}

// lot is one address under decision.
type lot struct {
	Address
	seg        *segment
	candidates []Candidate // the eligible ones, or those that cling to what they have
	order      []Candidate // the same, ranked; see ranked
	desperate  bool        // nobody is eligible: nothing is taken, and who has it keeps it
	hold, void []claimant
	services   []*lb.Service
	failback   bool
}

// candidate returns this node among the candidates, or nil.
func (l *lot) candidate(node string) *Candidate {
	if i := slices.IndexFunc(l.candidates, func(c Candidate) bool { return c.Node == node }); i >= 0 {
		return &l.candidates[i]
	}
	return nil
}

// ranked returns the candidates, the best first.
func (l *lot) ranked() []Candidate {
	if l.order == nil {
		l.order = rank(l.Addr, l.candidates)
	}
	return l.order
}

// rank returns where a node stands among the candidates; who is none comes last.
func (l *lot) rank(node string) int {
	if i := slices.IndexFunc(l.ranked(), func(c Candidate) bool { return c.Node == node }); i >= 0 {
		return i
	}
	return len(l.ranked())
}

// takers are the candidates that may be given an address, ranked.
func (l *lot) takers() []Candidate {
	if l.desperate {
		return nil
	}
	var out []Candidate
	for _, c := range l.ranked() {
		if c.Condition == Working {
			out = append(out, c)
		}
	}
	return out
}

// address decides one.
func (d *decider) address(addr netip.Addr, byAge []*lb.Service) {
	l := d.lot(addr, byAge)
	own, ours := d.memory.holdings[addr]
	switch {
	case len(l.candidates) == 0:
		delete(d.memory.holdings, addr)
		delete(d.memory.orphaned, addr)
	case ours:
		d.keep(l, own)
	case len(l.hold) > 0:
		delete(d.memory.orphaned, addr)
		delete(d.memory.yielded, addr)
		d.follow(l)
	case len(l.void) > 0 && !d.hasYielded(addr): // else somebody has it, as far as we know: the LAN is asked first
		d.inherit(l)
	default:
		d.free(l)
	}
	d.describe(l)
	d.trailing(addr)
	d.out.Addresses = append(d.out.Addresses, l.Address)
}

// hasYielded says whether the address was given up to a speaker that gossip does not reach.
func (d *decider) hasYielded(addr netip.Addr) bool {
	_, yes := d.memory.yielded[addr]
	return yes
}

// lot finds out who may own an address and who claims it.
func (d *decider) lot(addr netip.Addr, byAge []*lb.Service) *lot {
	stay, refused := entitled(byAge)
	l := &lot{Address: Address{Addr: addr, Refused: refused}, services: stay}
	for _, s := range stay {
		l.Services = append(l.Services, s.Name)
	}
	pool := d.poolOf(addr)
	if pool != nil {
		l.Pool = pool.Name
	}
	sets, problem := d.advertised(pool, stay)
	if problem == nil {
		problem = servedAnywhere(stay)
	}
	if problem != nil {
		l.Problem = problem
		return l
	}
	l.failback = d.failback(sets)
	l.seg = d.group(sets).segment(d.world, addr)
	eligible, rejected := d.late(stay, l.seg)
	working := func(c Candidate) bool { return c.Condition == Working }
	if !slices.ContainsFunc(eligible, working) && len(l.seg.clinging) > 0 {
		clinging, _ := localOnly(stay, l.seg.clinging, nil)
		eligible, l.desperate = append(slices.Clone(eligible), clinging...), true
	}
	l.Rejected = rejected
	l.candidates = eligible
	if !l.desperate {
		l.Candidates = l.candidates
	}
	if len(l.Candidates) == 0 { // unless one of those that cling has it: see describe
		l.Problem = nobody(rejected)
	}
	l.hold, l.void = split(d.claimed[addr], l.seg.conditions, l.rank)
	return l
}

// failback says whether a matching advertisement wants addresses to go back.
func (d *decider) failback(sets [][]int) bool {
	for _, set := range sets {
		if slices.ContainsFunc(set, func(i int) bool { return d.ads[i].FailbackAlways }) {
			return true
		}
	}
	return false
}

// describe fills in who owns the address now.
func (d *decider) describe(l *lot) {
	var best claimant
	if own, ours := d.memory.holdings[l.Addr]; ours {
		best = claimant{Claim: own.Claim, node: d.Self}
	} else if len(l.hold) > 0 {
		best = l.hold[0]
	} else {
		return
	}
	l.Owner, l.Standby, l.Cause, l.From, l.Since = best.node, best.Standby, best.Cause, best.From, best.Since
	if l.desperate {
		l.Problem = nil // it owns the address all the same
	}
}

// finish sorts the outcome and turns the memory into claims.
func (d *decider) finish() Decision {
	for _, h := range d.memory.holdings {
		d.out.Claims = append(d.out.Claims, h.Claim)
	}
	for addr, interfaces := range d.bait {
		d.out.Check = append(d.out.Check, Check{addr, interfaces})
	}
	slices.SortFunc(d.out.Check, func(a, b Check) int { return a.Addr.Compare(b.Addr) })
	slices.SortFunc(d.out.Claims, func(a, b lb.Claim) int { return a.Addr.Compare(b.Addr) })
	slices.SortFunc(d.out.Answers, func(a, b Answer) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Kind, b.Kind)) })
	d.out.Memory = d.memory
	return d.out
}

// answer notes an answer for the wire.
func (d *decider) answer(addr netip.Addr, interfaces []string, kind neighbor.Kind, node string) {
	if len(interfaces) > 0 {
		d.out.Answers = append(d.out.Answers, Answer{Addr: addr, Interfaces: interfaces, Kind: kind, Node: node})
	}
}
