package gossip

import (
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// The ring. All live speakers, sorted by name, stand in a circle, and each sends a beat to its neighbour on either side every
// PingInterval. Who hears nothing from a neighbour for MissAfter tells everybody, and tells them again while it lasts.
//
//	a beat of X comes, or an answer to a probe      X is heard: alive, and all that was said against it is void
//	MissAfter without one, X a neighbour of ours    we miss X: "missed X" to all, and we look past it to the next in the circle
//	"missed X" comes                                X counts as missed after hearsayGrace, and MissAfter after we have heard it
//	                                                ourselves, until hearsayLife after the last repetition
//	"missed me" comes                               we send a beat to everybody, which settles it within the grace; other beats of one
//	                                                that is missed do not count, for who hears nobody sends those too
//	"back X" comes                                  what others have said against X is void
//
// Two nodes need not agree about the circle: a beat to one that does not seem to send any asks for an answer.
const (
	// strangerTime is how long a node stays Unknown that we know by what others say only.
	strangerTime = 2 * time.Second
	// reach is how many nodes a node watches on either side when those before them are silent.
	reach = 4
)

// hearsayGrace is how long a node has to contradict those who miss it: a round trip, on a network for which the Timing is made.
func (t Timing) hearsayGrace() time.Duration { return t.PingInterval / 2 }

// hearsayRepeat is how often it is said again that a node is missed, and hearsayLife for how long that is believed. It is said for
// hearsayAfter after memberlist has dropped the node too, until all others have heard that.
func (t Timing) hearsayRepeat() time.Duration { return 5 * t.PingInterval }
func (t Timing) hearsayLife() time.Duration   { return 20 * t.PingInterval }
func (t Timing) hearsayAfter() time.Duration  { return 30 * t.PingInterval }

// vigil is what a node knows of its own beats.
type vigil struct {
	start    time.Time // serials count from here
	serial   uint64    // the last one given
	ticked   time.Time // when tick ran last
	beat     time.Time // when the next round of beats is due
	refute   bool      // somebody misses us: tell all that we are here
	refuted  time.Time
	answered time.Time // see Ring.Heard
	greeted  time.Time // when all were last told of this life, while it has said nothing else; zero: now
}

// watch is what a node knows of a peer's beats.
type watch struct {
	heard  time.Time // the last message of its own making, or answer to a probe
	proved time.Time // the last one that only who hears others sends
	echo   uint64    // the serial of its last beat
	deaf   bool      // it speaks and does not hear us
	asked  time.Time // when we last told it what we have of it
	since  time.Time // since when we watch it; zero when we do not
	missed bool      // we watch it and miss it
	back   bool      // we have told that we miss it, and hear it again
	told   time.Time // when we told the others last
	gone   time.Time // when memberlist dropped it; zero while it is a member or has never been one
	first  time.Time // when others said first, without a break, that they miss it; zero when nobody does
	latest time.Time // when they said so last
	silent time.Time // since when it is silent, by whatever witness; zero while nobody says so
	said   map[string]word
	life   lb.Life // as last made known
}

// word is the latest that one peer has said of another: its life and serial.
type word struct{ boot, serial uint64 }

// serial gives the number of the next message.
func (v *vigil) next(now time.Time) uint64 {
	v.serial = max(v.serial+1, uint64(max(0, now.Sub(v.start))))
	return v.serial
}

// confirm takes down that a peer has had what we sent with this serial.
func (v *vigil) confirm(echo uint64) {
	if at := v.start.Add(time.Duration(echo)); echo > 0 && echo <= v.serial && at.After(v.answered) {
		v.answered = at
	}
}

// clear voids all that is said against a node.
func (w *watch) clear() {
	w.back = w.back || w.missed
	w.missed, w.first, w.latest, w.silent = false, time.Time{}, time.Time{}, time.Time{}
}

// blame keeps the earliest time since which a node is silent.
func (w *watch) blame(since time.Time) {
	if w.silent.IsZero() || since.Before(w.silent) {
		w.silent = since
	}
}

// quiet is since when nothing was heard of a node that we watch.
func (w *watch) quiet() time.Time {
	if w.heard.After(w.since) {
		return w.heard
	}
	return w.since
}

// accused says whether others miss the node, and we cannot tell from its beats whether it hears: it is no neighbour of ours.
func (w *watch) accused() bool { return !w.first.IsZero() && w.since.IsZero() }

// doubted says whether others miss the node, and have been left standing with it.
func (w *watch) doubted(now time.Time, t Timing) bool {
	return !w.first.IsZero() && !now.Before(w.counts(t)) && now.Sub(w.latest) < t.hearsayLife()
}

// counts is from when on what others say of the node counts.
func (w *watch) counts(t Timing) time.Time {
	grace, own := w.first.Add(t.hearsayGrace()), w.heard.Add(t.MissAfter)
	if own.After(grace) {
		return own
	}
	return grace
}

// life is what gossip says of a node now.
func (p *peer) life(now time.Time, t Timing) lb.Life {
	switch {
	case p.left, !p.watch.gone.IsZero():
		return lb.Dead
	case !p.member && now.Sub(p.learnt) >= strangerTime:
		return lb.Dead
	case !p.member, p.watch.missed, p.watch.doubted(now, t):
		return lb.Unknown
	}
	return lb.Alive
}

// view returns what the rest of the program is told of a peer.
func (b *book) view(name string, now time.Time) Peer {
	p := b.peers[name]
	out := Peer{Node: name, Gossip: p.life(now, b.timing), Left: p.left, Boot: p.boot, Addr: p.addr}
	if out.Gossip != lb.Alive {
		if out.Silent = p.watch.silent; out.Silent.IsZero() {
			out.Silent = p.learnt
		}
	}
	return out
}

// hear takes down a sign of life.
func (b *book) hear(p *peer, now time.Time) {
	if p.left {
		return // of the life that has said good-bye
	}
	p.watch.heard = now
	p.watch.missed = p.watch.missed && p.member // nobody else needs to be told then
	if p.member {
		p.watch.clear()
	}
}

// hearsay takes down that another peer misses this one, and for how long.
func (b *book) hearsay(p *peer, silent time.Duration, now time.Time) {
	w := &p.watch
	if !p.member || p.left || now.Sub(w.proved) < b.timing.hearsayGrace() { // its contradiction may come before what it contradicts
		return
	}
	if w.first.IsZero() || now.Sub(w.latest) >= b.timing.hearsayLife() {
		w.first = now
	}
	w.latest = now
	w.blame(now.Add(-silent))
}

// neighbours returns whom we watch: on either side the next node, further ones while those before them are silent, and all that we
// miss.
func (b *book) neighbours(now time.Time) []string {
	ring := b.members()
	n, at := len(ring), slices.Index(ring, b.self)
	var out []string
	for _, step := range []int{1, n - 1} {
		for k := 1; k <= min(reach, n-1); k++ {
			name := ring[(at+k*step)%n]
			out = append(out, name)
			if b.peers[name].life(now, b.timing) == lb.Alive {
				break
			}
		}
	}
	for _, name := range ring {
		if name != b.self && b.peers[name].watch.missed {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// look finds out whom we miss, and from now on watches those that are neighbours now. It returns them.
func (b *book) look(now time.Time) []string {
	stopped := !b.vigil.ticked.IsZero() && now.Sub(b.vigil.ticked) > 2*b.timing.PingInterval
	b.vigil.ticked = now
	for _, p := range b.peers {
		w := &p.watch
		if w.since.IsZero() {
			continue
		}
		if stopped { // it is we who were away: everybody gets another chance
			w.since = now
		}
		if p.member && !p.left && !w.missed && now.Sub(w.quiet()) >= b.timing.MissAfter {
			w.missed, w.back, w.told = true, false, time.Time{}
			w.blame(w.quiet())
		}
	}
	watched := b.neighbours(now)
	for name, p := range b.peers {
		if !slices.Contains(watched, name) {
			p.watch.since = time.Time{}
		} else if p.watch.since.IsZero() {
			p.watch.since = now
			b.vigil.beat = now // it learns at once that we want to hear it
		}
	}
	return watched
}

// settle ends what has run out, and says whether the life of any peer has changed since it was settled last.
func (b *book) settle(now time.Time) bool {
	changed := false
	for _, p := range b.peers {
		w := &p.watch
		if !w.latest.IsZero() && now.Sub(w.latest) >= b.timing.hearsayLife() {
			w.first, w.latest = time.Time{}, time.Time{}
			if p.member && !w.missed {
				w.silent = time.Time{}
			}
		}
		if w.missed && !w.gone.IsZero() && now.Sub(w.gone) >= b.timing.hearsayAfter() {
			w.missed = false
		}
		if life := p.life(now, b.timing); life != w.life {
			w.life = life
			changed = true
		}
	}
	return changed
}
