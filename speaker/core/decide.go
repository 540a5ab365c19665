package core

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// decide decides once and acts on it. What is answered changes before what is claimed is told: who is asked to take an address
// announces it, and only then does the node that asked hear of it and fall silent.
func (c *Core) decide(now time.Time) {
	begun := time.Now()
	defer func() {
		end := time.Now()
		c.restUntil = end.Add(min(restFactor*end.Sub(begun), restMost))
	}()
	c.undecided = false
	v := c.view(now)
	d := ownership.Decide(v)
	c.memory, c.claims, c.decideAt = d.Memory, d.Claims, d.Wake
	c.Wire.Answer(table(v, d.Answers))
	c.Ring.Publish(c.self())
	c.checks.want(d.Check)
	c.foreign.keep(c.memory.Heeds)
	if len(d.Defend) > 0 {
		c.Wire.Announce(d.Defend)
	}
	c.Tell(v, d)
}

// table says what the wire answers. A node that stands in for the one that it gave an address to does both in one entry.
func table(v ownership.View, answers []ownership.Answer) map[neighbor.Target]neighbor.Entry {
	said := make(map[string]lb.Speaker, len(v.Speakers))
	for _, s := range v.Speakers {
		said[s.Node] = s
	}
	out := make(map[neighbor.Target]neighbor.Entry, len(answers))
	for _, a := range answers {
		for _, name := range a.Interfaces {
			e := neighbor.Entry{Kind: a.Kind}
			switch a.Kind {
			case neighbor.Own:
				e.Not, e.As = hardware(said[a.Node]), onSegment(said[a.Node], said[v.Self], name)
			case neighbor.Trail:
				if e.Only = hardware(said[a.Node]); len(e.Only) == 0 {
					continue // it would answer nobody
				}
			case neighbor.StandIn:
				if e.As = onSegment(said[a.Node], said[v.Self], name); e.As == (lb.MAC{}) {
					continue // we do not know where to send them
				}
			}
			target := neighbor.Target{Addr: a.Addr, Interface: name}
			if first, ok := out[target]; ok && e.Kind == neighbor.Trail { // answers are sorted by kind, this is the last
				first.Only = e.Only
				e = first
			}
			out[target] = e
		}
	}
	return out
}

// hardware returns all hardware addresses of a speaker.
func hardware(s lb.Speaker) []lb.MAC {
	var out []lb.MAC
	for _, itf := range s.Interfaces {
		out = append(out, itf.MACs...)
	}
	return out
}

// onSegment returns the hardware address of a peer's interface on the segment of one of ours: the one that shares a prefix, or
// else the one of the same name. The zero MAC says that there is none.
func onSegment(peer, self lb.Speaker, name string) lb.MAC {
	at := slices.IndexFunc(self.Interfaces, func(i lb.Interface) bool { return i.Name == name })
	if at < 0 {
		return lb.MAC{}
	}
	ours := self.Interfaces[at]
	shares := func(i lb.Interface) bool {
		return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return slices.Contains(ours.Prefixes, p) })
	}
	named := func(i lb.Interface) bool { return i.Name == name }
	for _, is := range []func(lb.Interface) bool{shares, named} {
		if i := slices.IndexFunc(peer.Interfaces, is); i >= 0 && len(peer.Interfaces[i].MACs) > 0 {
			return peer.Interfaces[i].MACs[0]
		}
	}
	return lb.MAC{}
}
