package live

import (
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// Ownership returns the View that the speaker decided on, as far as only it knows: Now, Self, Speakers, Peers, IgnoreExcludeLB,
// Stalled, Timing, and Mine, which owns what the speaker claims. The caller adds the objects of the cluster (Nodes, Services,
// Pools, Advertisements). Words that this version does not know become zero values.
func (v View) Ownership() ownership.View {
	out := ownership.View{Now: v.Decided, Self: v.Node, IgnoreExcludeLB: v.IgnoreExcludeLB, Stalled: v.Stalled, Timing: v.Timing.back()}
	for _, s := range v.Speakers {
		speaker := s.back()
		out.Speakers = append(out.Speakers, speaker)
		if s.Node == v.Node {
			out.Mine = ownership.Resume(speaker.Claims)
		}
	}
	for _, p := range v.Peers {
		out.Peers = append(out.Peers, p.back())
	}
	return out
}

func (t Timing) back() ownership.Timing {
	d := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return ownership.Timing{Hold: d(t.Hold), HoldRestart: d(t.HoldRestart), RankDelay: d(t.RankDelay), Tail: d(t.Tail), Rebalance: d(t.Rebalance)}
}

func (s Speaker) back() lb.Speaker {
	out := lb.Speaker{Node: s.Node, Boot: s.Boot, Seq: s.Seq, Restarting: s.Restarting, KubeProxy: life(s.KubeProxy)}
	for _, i := range s.Interfaces {
		itf := lb.Interface{Name: i.Name, Up: i.Up, Deaf: i.Deaf, Addrs: i.Addrs, Prefixes: i.Prefixes}
		for _, text := range i.MACs {
			if m, ok := lb.ParseMAC(text); ok {
				itf.MACs = append(itf.MACs, m)
			}
		}
		out.Interfaces = append(out.Interfaces, itf)
	}
	for _, c := range s.Claims {
		out.Claims = append(out.Claims, lb.Claim{Addr: c.Address, Standby: c.Standby, HandTo: c.HandTo, HandCause: cause(c.HandCause),
			Evidence: c.Evidence, Cause: cause(c.Cause), From: c.From, Since: c.Since})
	}
	for _, l := range s.Lost {
		out.Lost = append(out.Lost, lb.Loss{Node: l.Node, Interface: l.Interface})
	}
	return out
}

// cause reads a label of lb.Cause.
func cause(label string) lb.Cause {
	for c := lb.CauseFree; c <= lb.CauseShutdown; c++ {
		if c.String() == label {
			return c
		}
	}
	return 0
}

func life(word string) lb.Life {
	switch word {
	case Alive:
		return lb.Alive
	case Dead:
		return lb.Dead
	}
	return lb.Unknown
}

func (p Peer) back() lb.Peer {
	out := lb.Peer{Node: p.Node, Gossip: life(p.Gossip), Left: p.Left, Silent: p.Silent, Answer: life(p.Answer)}
	for _, h := range p.Hosts {
		out.Hosts = append(out.Hosts, lb.HostLife{Interface: h.Interface, Life: life(h.Life)})
	}
	return out
}
