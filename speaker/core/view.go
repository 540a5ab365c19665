package core

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/liveness"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

// meet takes over who the peers are, what they say and what links we have. It returns whether that is urgent: somebody may have
// died, is back, or asks us to take an address.
func (c *Core) meet(now time.Time) (urgent bool) {
	c.speakers, c.peers = c.Ring.Speakers(), c.Ring.Peers()
	said := make(map[string]lb.Speaker, len(c.speakers))
	for _, s := range c.speakers {
		said[s.Node] = s
		urgent = urgent || s.Node != c.Node && slices.ContainsFunc(s.Claims, func(k lb.Claim) bool { return k.HandTo == c.Node })
	}
	doubted := c.doubted()
	pulses := make(map[string]pulse, len(c.peers))
	peers := make([]liveness.Peer, 0, len(c.peers))
	for i := range c.peers {
		p := &c.peers[i]
		s := said[p.Node]
		c.tellLives(p, s.Boot, now)
		w := liveness.Peer{Node: p.Node, Gossip: p.Gossip, Interfaces: s.Interfaces, Left: p.Left, Doubted: doubted[p.Node]}
		if p.Left {
			w.Gossip = lb.Alive // its silence is no riddle; if everybody asked at once, a rolling restart would flood its switch port
		}
		for _, claim := range s.Claims {
			w.Owns = append(w.Owns, claim.Addr)
		}
		peers = append(peers, w)
		pulses[p.Node] = pulse{gossip: p.Gossip, left: p.Left, boot: p.Boot, restarting: s.Restarting, interfaces: s.Interfaces, lost: s.Lost}
	}
	urgent = urgent || !reflect.DeepEqual(pulses, c.pulses)
	c.pulses = pulses
	upSince := c.Wire.UpSince()
	var links []liveness.Link
	back := false
	for _, itf := range c.Wire.Interfaces() {
		links = append(links, liveness.Link{Interface: itf, UpSince: upSince[itf.Name]})
		up, known := c.linkUp[itf.Name]
		back = back || known && !up && itf.Up
		urgent = urgent || up != itf.Up
		c.linkUp[itf.Name] = itf.Up
	}
	c.watch.Set(now, links, peers)
	unheard := func(p gossip.Peer) bool { return p.Gossip != lb.Alive && !p.Left }
	if back && slices.ContainsFunc(c.peers, unheard) {
		c.hearAgain(now) // it may be our cable that was out, and not they that are gone
	}
	return urgent
}

// pulse is what of a peer is decided upon at once when it changes.
type pulse struct {
	gossip     lb.Life
	left       bool
	boot       uint64
	restarting bool
	interfaces []lb.Interface
	lost       []lb.Loss
}

// doubted returns the peers to ask at once, because of what a speaker says that it has lost on the LAN:
//
//	it has lost       and                                 asked at once
//	us                                                    the speaker itself: do we hear each other?
//	another           we have not lost the speaker        the other
//	anybody           its interface is deaf               nobody: it is not the others who are gone
func (c *Core) doubted() map[string]bool {
	out := map[string]bool{}
	for _, s := range c.speakers {
		if s.Node == c.Node {
			continue
		}
		gone := slices.ContainsFunc(c.verdict.Lost, func(l lb.Loss) bool { return l.Node == s.Node })
		for _, l := range s.Lost {
			deaf := slices.ContainsFunc(s.Interfaces, func(i lb.Interface) bool { return i.Name == l.Interface && i.Deaf })
			switch {
			case deaf:
			case l.Node == c.Node:
				out[s.Node] = true
			case !gone:
				out[l.Node] = true
			}
		}
	}
	return out
}

// tellLives makes a speaker that has begun a new life and said nothing in it count as silent: what it claimed before, nobody answers
// for now.
func (c *Core) tellLives(p *gossip.Peer, said uint64, now time.Time) {
	if p.Gossip != lb.Alive || said == 0 || said >= p.Boot {
		delete(c.reborn, p.Node)
		return
	}
	if c.reborn[p.Node].IsZero() {
		c.reborn[p.Node] = now
	}
	p.Gossip, p.Silent = lb.Unknown, c.reborn[p.Node]
}

// judge asks liveness for its verdict and says whether it has changed.
func (c *Core) judge(now time.Time) bool {
	v := c.watch.Verdict(now)
	if reflect.DeepEqual(v, c.verdict) {
		return false
	}
	before := c.verdict
	c.verdict = v
	for _, p := range before.Peers {
		if p.Answer == lb.Alive {
			c.vouched[p.Node] = now // until now
		}
	}
	if slices.ContainsFunc(before.Deaf, func(name string) bool { return !slices.Contains(v.Deaf, name) }) {
		c.hearAgain(now)
	}
	if slices.ContainsFunc(before.Lost, func(l lb.Loss) bool { return !slices.Contains(v.Lost, l) }) {
		c.Ring.Look() // a host that was lost is back on the LAN: its speaker may be too
	}
	return true
}

// interfaces are ours, with what liveness says of them.
func (c *Core) interfaces() []lb.Interface {
	list := slices.Clone(c.Wire.Interfaces())
	for i := range list {
		list[i].Deaf = slices.Contains(c.verdict.Deaf, list[i].Name)
	}
	return list
}

// self is what we say of ourselves.
func (c *Core) self() lb.Speaker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return lb.Speaker{Node: c.Node, Restarting: c.restarting, KubeProxy: c.kubeProxy, Interfaces: c.interfaces(), Claims: c.claims, Lost: c.verdict.Lost}
}

// view puts together what is known.
func (c *Core) view(now time.Time) ownership.View {
	c.mu.Lock()
	w := c.world
	c.mu.Unlock()
	speakers := slices.DeleteFunc(slices.Clone(c.speakers), func(s lb.Speaker) bool { return s.Node == c.Node })
	speakers = append(speakers, c.self())
	slices.SortFunc(speakers, func(a, b lb.Speaker) int { return cmp.Compare(a.Node, b.Node) })
	nodes := c.nodeOf(speakers, w)
	return ownership.View{
		Now: now, Self: c.Node, Speakers: speakers, Peers: c.witnessed(now),
		Nodes: w.Nodes, Services: w.Services, Pools: w.Pools, Advertisements: w.Advertisements, IgnoreExcludeLB: c.IgnoreExcludeLB,
		Mine: c.memory, Probed: c.checks.results(nodes), Foreign: c.foreign.list(now, nodes),
		Stalled: !c.woken.IsZero(), Timing: c.Timing,
	}
}

// witnessed joins what gossip and the wire say of each peer.
func (c *Core) witnessed(now time.Time) []lb.Peer {
	out := make([]lb.Peer, 0, len(c.peers))
	for _, p := range c.peers {
		w := lb.Peer{Node: p.Node, Gossip: p.Gossip, Left: p.Left, Silent: p.Silent}
		if i, ok := slices.BinarySearchFunc(c.verdict.Peers, p.Node, func(l liveness.PeerLife, n string) int { return cmp.Compare(l.Node, n) }); ok {
			w.Hosts, w.Answer = c.verdict.Peers[i].Hosts, c.verdict.Peers[i].Answer
		}
		if w.Gossip == lb.Alive || w.Answer == lb.Alive {
			c.vouched[p.Node] = now
		} else if at := c.vouched[p.Node]; w.Silent.Before(at) {
			w.Silent = at // a hold begins when nobody speaks for the speaker any more
		}
		out = append(out, w)
	}
	return out
}

// nodeOf returns the map from hardware addresses to the nodes that have them, as gossip says, or else the API server.
func (c *Core) nodeOf(speakers []lb.Speaker, w World) map[lb.MAC]string {
	out := map[lb.MAC]string{}
	for mac, node := range w.MACs {
		out[mac] = node
	}
	for _, s := range speakers {
		for _, itf := range s.Interfaces {
			for _, mac := range itf.MACs {
				out[mac] = s.Node
			}
		}
	}
	return out
}
