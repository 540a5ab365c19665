package gossip

import (
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// greetAgain is how often a speaker that has said nothing yet tells all others that it lives.
const greetAgain = time.Second

// packet is a datagram for one peer.
type packet struct {
	to  memberlist.Node
	raw []byte
}

// work is what is to be done now.
type work struct {
	packets []packet
	errands []errand
	changed bool      // somebody's life has
	next    time.Time // when to tick again, unless something happens before
}

// tick does what time demands.
func (b *book) tick(now time.Time) work {
	watched := b.look(now)
	var w work
	if b.vigil.refute && now.Sub(b.vigil.refuted) >= b.timing.PingInterval {
		b.vigil.refute, b.vigil.refuted = false, now
		w.packets = b.beats(b.members(), true, now)
	} else if b.unsaid() && now.Sub(b.vigil.greeted) >= greetAgain {
		b.vigil.greeted = now
		w.packets = b.beats(b.members(), false, now)
	} else if !now.Before(b.vigil.beat) {
		b.vigil.beat = now.Add(b.timing.PingInterval)
		lately := now.Sub(b.vigil.refuted) < b.timing.PingInterval // these may overtake those above
		w.packets = b.beats(watched, lately, now)
	}
	w.packets = append(w.packets, b.news(now)...)
	w.changed = b.settle(now)
	w.errands, w.next = b.errands(now)
	w.next = sooner(w.next, b.due(now))
	return w
}

// unsaid says whether this life has said nothing of itself. Those to whom it sends no beats would take it for the one before, which
// answers for what it claimed; so all get one.
func (b *book) unsaid() bool { return b.mine.Seq == 0 }

// beats returns a beat for each of the nodes but ourselves. It asks for an answer when the last one came late.
func (b *book) beats(nodes []string, reply bool, now time.Time) (out []packet) {
	for _, name := range nodes {
		if name != b.self {
			p := b.peers[name]
			ask := now.Sub(p.watch.heard) >= b.timing.MissAfter-b.timing.PingInterval
			out = append(out, b.beatFor(p, ask, reply, now))
		}
	}
	return out
}

func (b *book) beatFor(p *peer, ask, reply bool, now time.Time) packet {
	m := b.header(beat, now)
	m.seq, m.echo, m.ask, m.reply = b.mine.Seq, p.watch.echo, ask, reply
	return packet{p.node, encodeMessage(m)}
}

func (b *book) header(k kind, now time.Time) message {
	return message{kind: k, node: b.self, boot: b.boot, serial: b.vigil.next(now)}
}

// news returns what is to be said of those that we miss or hear again: to all by datagram, and what is new by stream as well.
func (b *book) news(now time.Time) (out []packet) {
	for _, name := range b.sorted() {
		w := &b.peers[name].watch
		var m message
		fresh := w.told.IsZero() || w.back
		switch {
		case w.back:
			m = b.header(back, now)
			w.back, w.told = false, time.Time{}
		case w.missed && (fresh || now.Sub(w.told) >= b.timing.hearsayRepeat()):
			m = b.header(missed, now)
			m.silent = now.Sub(w.silent)
			w.told = now
		default:
			continue
		}
		m.subject = name
		out = append(out, b.toAll(encodeMessage(m), fresh)...)
	}
	return out
}

// toAll returns a packet for each member, the one that it is about included: it may contradict.
func (b *book) toAll(raw []byte, reliably bool) (out []packet) {
	for _, name := range b.members() {
		if name == b.self {
			continue
		}
		p := b.peers[name]
		out = append(out, packet{p.node, raw})
		if reliably {
			p.outbox.add(raw)
		}
	}
	return out
}

// due is when the next thing happens that depends on time alone.
func (b *book) due(now time.Time) time.Time {
	next := b.vigil.beat
	later := func(at time.Time) {
		if at.After(now) {
			next = sooner(next, at)
		}
	}
	if b.vigil.refute {
		later(b.vigil.refuted.Add(b.timing.PingInterval))
	}
	if b.unsaid() {
		later(b.vigil.greeted.Add(greetAgain))
	}
	for _, p := range b.peers {
		w := &p.watch
		if !w.since.IsZero() && !w.missed {
			later(w.quiet().Add(b.timing.MissAfter))
		}
		if w.missed {
			later(w.told.Add(b.timing.hearsayRepeat()))
		}
		if !w.first.IsZero() {
			later(w.counts(b.timing))
			later(w.latest.Add(b.timing.hearsayLife()))
		}
		if !p.member && w.life == lb.Unknown {
			later(p.learnt.Add(strangerTime))
		}
	}
	return next
}
