package live

import (
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// Of returns what a speaker of the class tells at the time now, after it decided d on v. Of the addresses in why it tells the
// candidates too. Views and decisions are only read.
func Of(v ownership.View, d ownership.Decision, class string, now time.Time, why []netip.Addr) View {
	out := View{Version: Version, Node: v.Self, Class: class, Time: now, Decided: v.Now, Stalled: v.Stalled, IgnoreExcludeLB: v.IgnoreExcludeLB,
		Timing: timingOf(v.Timing), Strangers: stations(d.Strangers), Proxies: stations(d.Proxies), Rivals: rivals(v.Foreign)}
	out.Speakers = each(v.Speakers, func(s lb.Speaker) Speaker {
		if s.Node == v.Self {
			s.Claims = d.Claims // those in the view are what we said before
		}
		return speakerOf(s)
	})
	out.Peers = each(v.Peers, peerOf)
	out.Addresses = each(d.Addresses, func(a ownership.Address) Address {
		return addressOf(a, slices.Contains(why, a.Addr))
	})
	out.Answers = each(d.Answers, func(a ownership.Answer) Answer {
		return Answer{Address: a.Addr, Interfaces: a.Interfaces, Kind: a.Kind.String(), Node: a.Node}
	})
	return out
}

// each returns what f makes of each; never nil, so that the JSON has an empty list.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

func timingOf(t ownership.Timing) Timing {
	return Timing{Hold: t.Hold.Seconds(), HoldRestart: t.HoldRestart.Seconds(), RankDelay: t.RankDelay.Seconds(),
		Tail: t.Tail.Seconds(), Rebalance: t.Rebalance.Seconds()}
}

func speakerOf(s lb.Speaker) Speaker {
	return Speaker{Node: s.Node, Boot: s.Boot, Seq: s.Seq, Restarting: s.Restarting, KubeProxy: proxyOf(s.KubeProxy),
		Interfaces: each(s.Interfaces, func(i lb.Interface) Interface {
			return Interface{Name: i.Name, Up: i.Up, Deaf: i.Deaf, MACs: each(i.MACs, lb.MAC.String), Addrs: i.Addrs, Prefixes: i.Prefixes}
		}),
		Claims: each(s.Claims, func(c lb.Claim) Claim {
			return Claim{Address: c.Addr, Standby: c.Standby, HandTo: c.HandTo, HandCause: causeOf(c.HandCause), Evidence: c.Evidence,
				Cause: causeOf(c.Cause), From: c.From, Since: c.Since}
		}),
		Lost: each(s.Lost, func(l lb.Loss) Loss { return Loss{Node: l.Node, Interface: l.Interface} })}
}

func causeOf(c lb.Cause) string {
	if c == 0 {
		return ""
	}
	return c.String()
}

func proxyOf(l lb.Life) string {
	if l == lb.Unknown {
		return ""
	}
	return lifeOf(l)
}

func lifeOf(l lb.Life) string {
	switch l {
	case lb.Alive:
		return Alive
	case lb.Dead:
		return Dead
	}
	return Unknown
}

func peerOf(p lb.Peer) Peer {
	return Peer{Node: p.Node, Gossip: lifeOf(p.Gossip), Left: p.Left, Silent: p.Silent, Answer: lifeOf(p.Answer),
		Hosts: each(p.Hosts, func(h lb.HostLife) HostLife { return HostLife{Interface: h.Interface, Life: lifeOf(h.Life)} })}
}

func addressOf(a ownership.Address, why bool) Address {
	out := Address{Address: a.Addr, Pool: a.Pool, Services: each(a.Services, lb.Name.String), Refused: each(a.Refused, lb.Name.String),
		Owner: a.Owner, Standby: a.Standby, StandIn: a.StandIn, Cause: causeOf(a.Cause), From: a.From, Since: a.Since}
	if a.Problem != nil {
		out.Problem = &Problem{Reason: a.Problem.Reason, Message: a.Problem.Message}
	}
	if why {
		out.Candidates = each(a.Ranked(), func(c ownership.Candidate) Candidate {
			return Candidate{Node: c.Node, Weight: c.Weight, Interfaces: c.Interfaces, Condition: c.Condition.String()}
		})
		out.Rejected = each(a.Rejected, func(r ownership.Rejection) Rejection {
			return Rejection{Node: r.Node, Problem: Problem{Reason: r.Reason, Message: r.Message}}
		})
	}
	return out
}

func stations(list []ownership.Foreign) []Station {
	return each(list, func(f ownership.Foreign) Station {
		return Station{Address: f.Addr, MAC: f.MAC.String(), Node: f.Node, At: f.At}
	})
}

// rivals are those of the stations heard that are speakers.
func rivals(list []ownership.Foreign) []Station {
	return stations(slices.DeleteFunc(slices.Clone(list), func(f ownership.Foreign) bool { return f.Node == "" }))
}
