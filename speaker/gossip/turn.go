package gossip

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

// Who joins whom. A join is a stream on which both sides tell all that they know, every speaker's last word included. Were all
// to join a peer that they miss, the hundred speakers of a large cluster would tell one that comes back everything a hundred times
// at once, and each half of a healed partition would do so with each node of the other. One join is enough for two nodes to find each
// other; memberlist spreads the news within a few GossipIntervals. So the nodes that miss the same peer stand in an order, a different
// one for each peer, and only some of them begin:
//
//	nothing is heard of the peer    in each round of rejoinInterval joinFirst of them, or a joinTurns-th if that is more, in turn
//	it is heard                     the first joinFirst at once, and joinWiden times as many in each round in which it stays missing
//
// Nobody needs to be told the order: each node makes it from the members that it sees. Nodes that do not see the same ones are on two
// sides of a cut, and each side has its own order. A node that misses many, for it was alone, begins no more than joinMost in a
// round, so that the news of the first can come before the rest is needed. In clusters of five or less everybody joins everybody as
// soon as it can.
const (
	// joinFirst is how many nodes try for a peer that they miss. More than one, for the first may be cut off from it still.
	joinFirst = 4
	// joinTurns is how many rounds it takes at most until all have tried, the one included that alone has missed the news: 2 s.
	joinTurns = 8
	// joinWiden is by how much more begin in each round: of 256 nodes everybody 0.75 s after the peer was heard.
	joinWiden = 4
	// joinMost is how many joins a node begins in a round with peers that it hears, and as many again with others.
	joinMost = 8
	// knockLife is for how long one counts as heard that is not a member.
	knockLife = 2 * time.Second
)

// search is what a node remembers of its joins.
type search struct {
	busy    map[netip.AddrPort]bool // in flight
	round   int64                   // the last one, and how many were begun in it
	knocked int                     // with peers that were heard
	silent  int                     // with others
}

// pick returns whom to join now, and counts them as in flight until done.
func (s *search) pick(b *book, missing []netip.AddrPort, now time.Time) (out []netip.AddrPort) {
	round := now.UnixNano() / int64(rejoinInterval)
	if round != s.round {
		s.round, s.knocked, s.silent = round, 0, 0
	}
	knocks, live := b.knocks(now), b.members()
	for _, peer := range inTurn(missing, b.self, round) {
		at, heard := knocks[peer]
		begun := &s.silent
		if heard {
			begun = &s.knocked
		}
		if s.busy[peer] || *begun >= joinMost || !ours(place(b.self, live, peer), len(live), round, heard, now.Sub(at)) {
			continue
		}
		*begun++
		s.busy[peer] = true
		out = append(out, peer)
	}
	return out
}

// done notes that a join is over, well or not.
func (s *search) done(peer netip.AddrPort) { delete(s.busy, peer) }

// ours says whether the node at this place, counted from 0, of the live ones is to join a peer now; since is for how long it has been heard.
func ours(place, live int, round int64, heard bool, since time.Duration) bool {
	if !heard {
		width := max(joinFirst, (live+joinTurns-1)/joinTurns)
		first := int(round % int64(live) * int64(width) % int64(live))
		return (place-first+live)%live < width
	}
	most := joinFirst
	for ; since >= rejoinInterval && most < live; since -= rejoinInterval {
		most *= joinWiden
	}
	return place < most
}

// knocks returns the peers that were heard lately and are not members, by address, and since when they are heard.
func (b *book) knocks(now time.Time) map[netip.AddrPort]time.Time {
	out := map[netip.AddrPort]time.Time{}
	for _, p := range b.peers {
		if !p.member && !p.knocked.IsZero() && now.Sub(p.watch.heard) < knockLife {
			out[p.addr] = p.knocked
		}
	}
	return out
}

// place returns how many of the live nodes stand before a node in the order in which they join a peer.
func place(node string, live []string, peer netip.AddrPort) int {
	to := hash(peer.String())
	mine, before := mix(hash(node)^to), 0
	for _, name := range live {
		if c := cmp.Compare(mix(hash(name)^to), mine); c < 0 || c == 0 && name < node {
			before++
		}
	}
	return before
}

// inTurn returns the peers in an order of this node's own, which begins with others in each round.
func inTurn(peers []netip.AddrPort, self string, round int64) []netip.AddrPort {
	if len(peers) == 0 {
		return nil
	}
	from := hash(self)
	out := slices.SortedFunc(slices.Values(peers), func(a, b netip.AddrPort) int {
		return cmp.Or(cmp.Compare(mix(hash(a.String())^from), mix(hash(b.String())^from)), a.Compare(b))
	})
	first := int(round * joinMost % int64(len(out)))
	return slices.Concat(out[first:], out[:first])
}

// hash is the same everywhere.
func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// mix has every bit depend on every other; the hashes of names and addresses that are nearly alike are so too.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
