package ownership

import (
	"slices"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Condition is what all witnesses together say of a speaker.
type Condition uint8

// The conditions.
const (
	// Gone: the host is dead, or the speaker left for good. Its claims are void.
	Gone Condition = iota
	// Working: gossip hears it. Whether the segment does is the owner's own business (see mute).
	Working
	// Cut: gossip does not hear it, but it answers on the LAN. It keeps what it has and is given nothing.
	Cut
	// Stalled: its host lives and its speaker does not answer. Its standby answers in its name until the hold is over.
	Stalled
	// Asking: gossip does not hear it, and the LAN is still being asked. Nothing happens yet.
	Asking
)

// String names the condition in messages.
func (c Condition) String() string {
	return [...]string{"gone", "working", "cut off from gossip", "stalled", "being asked"}[c]
}

// condition judges a peer for addresses on some segment, by what our interfaces on that segment say of its host:
//
//	gossip            host     answer   left and restarting   condition
//	alive             any      any                            Working
//	dead, left        dead     any      any                   Gone
//	dead, left        any      any      yes                   Stalled
//	dead, left        any      any      no                    Gone
//	dead or unknown   alive    alive                          Cut
//	dead or unknown   alive    dead                           Stalled
//	dead or unknown   alive    unknown                        Asking
//	dead or unknown   dead     any                            Gone
//	dead              unknown  any                            Gone: gossip alone decides
//	unknown           unknown  any                            Asking
//
// A Stalled one is Gone when its hold is over, which began when it fell silent.
func (w *world) condition(p lb.Peer, host lb.Life) Condition {
	c := judge(p, w.said[p.Node].Restarting, host)
	if c == Stalled && !w.now.Before(w.holdEnds(p)) {
		return Gone
	}
	return c
}

func judge(p lb.Peer, restarting bool, host lb.Life) Condition {
	switch {
	case p.Gossip == lb.Alive:
		return Working
	case host == lb.Dead:
		return Gone
	case p.Left && restarting:
		return Stalled
	case p.Left:
		return Gone
	case host == lb.Alive && p.Answer == lb.Alive:
		return Cut
	case host == lb.Alive && p.Answer == lb.Dead:
		return Stalled
	case host == lb.Unknown && p.Gossip == lb.Dead:
		return Gone
	}
	return Asking
}

// holdEnds returns when the addresses of a silent speaker stop waiting for it.
func (w *world) holdEnds(p lb.Peer) time.Time {
	if w.said[p.Node].Restarting {
		return p.Silent.Add(w.timing.HoldRestart)
	}
	return p.Silent.Add(w.timing.Hold)
}

// hostLife sums up what our interfaces on a segment say of a host: alive on one is alive; a doubt on one is a doubt; and without
// any there is nothing but doubt.
func hostLife(p lb.Peer, ours []string) lb.Life {
	out := lb.Dead
	asked := false
	for _, h := range p.Hosts {
		if !slices.Contains(ours, h.Interface) {
			continue
		}
		asked = true
		switch h.Life {
		case lb.Alive:
			return lb.Alive
		case lb.Unknown:
			out = lb.Unknown
		}
	}
	if !asked {
		return lb.Unknown
	}
	return out
}

// conditions returns the condition of every speaker but the unknown, as seen through our interfaces of the given names. They are
// worked out once for each set of interfaces.
func (w *world) conditions(ours []string) map[string]Condition {
	key := strings.Join(ours, "/")
	if got, ok := w.byLinks[key]; ok {
		return got
	}
	out := map[string]Condition{w.self: Working}
	for _, p := range w.peers {
		if _, said := w.said[p.Node]; said {
			out[p.Node] = w.condition(p, hostLife(p, ours))
		}
	}
	w.byLinks[key] = out
	return out
}
