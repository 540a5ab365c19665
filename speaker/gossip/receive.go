package gossip

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// haveInterval is how often a peer is told that we have an older state of it than it says there is.
const haveInterval = 250 * time.Millisecond

// reply is what a message brings about.
type reply struct {
	packets []packet
	changed bool // something that the rest of the program can see
	step    bool // tick has something to do
	stale   bool // the message was older than what we knew, and was dropped
	join    bool // it came from one that is not a member: try to join the missing ones
}

// receive takes a message of another speaker in.
func (b *book) receive(m message, now time.Time) reply {
	if m.node == b.self {
		return reply{stale: true} // our own, replayed, or another node of our name
	}
	p := b.peer(m.node, now)
	if m.boot < p.boot {
		return reply{stale: true, packets: b.remind(p, now)} // its clock went back: it learns here that it must outlive itself
	}
	reborn := m.boot > p.boot
	p.live(m.boot, now)
	var r reply
	if m.kind == missed || m.kind == back {
		if p.watch.deaf && m.subject != b.self {
			return reply{changed: reborn} // who hears nobody knows nothing of others; what it says of us we contradict
		}
		r = b.told(p, m, now)
	} else if m.serial > p.last[m.kind] {
		p.last[m.kind] = m.serial
		r = b.direct(p, m, now)
	} else {
		return reply{stale: m.serial < p.last[m.kind]}
	}
	r.changed = r.changed || reborn
	if m.kind == beat {
		p.watch.deaf = b.unheard(p, m.echo, now)
	}
	if p.watch.deaf && m.kind != state { // a state comes by stream, which takes both directions
		r.step = true
		return r
	}
	if p.watch.accused() && !m.hears() {
		r.step = true
		return r
	}
	before := p.watch.missed || !p.watch.first.IsZero()
	r.join = !p.member && !p.left
	if r.join && (p.knocked.IsZero() || now.Sub(p.watch.heard) >= knockLife) {
		p.knocked = now
	}
	b.hear(p, now)
	if m.hears() {
		p.watch.proved = now
	}
	r.step = r.step || before
	return r
}

// hears says whether only who hears others sends such a message.
func (m message) hears() bool { return m.kind != missed && (m.kind != beat || m.reply) }

// unheard says whether a neighbour that speaks does not hear us any more: the beat that it has had from us last is too old. Such a
// beat is no sign of life, for a node that loses all that is sent to it cannot answer for anything. It counts as silent since it
// had that beat.
func (b *book) unheard(p *peer, echo uint64, now time.Time) bool {
	long := b.timing.MissAfter + b.timing.PingInterval
	w := &p.watch
	if echo == 0 || w.since.IsZero() || now.Sub(w.since) < long || !p.member {
		return false
	}
	had := b.vigil.start.Add(time.Duration(echo))
	if now.Sub(had) < long {
		return false
	}
	if had.Before(w.heard) {
		w.heard = had
	}
	return true
}

// direct is for what a speaker says of itself.
func (b *book) direct(p *peer, m message, now time.Time) reply {
	switch m.kind {
	case beat:
		b.vigil.confirm(m.echo)
		p.watch.echo = m.serial
		var r reply
		if m.ask && p.member {
			r.packets = append(r.packets, b.beatFor(p, false, true, now))
		}
		if newer(lb.Speaker{Boot: m.boot, Seq: m.seq}, p.state) && m.seq > 0 {
			r.packets = append(r.packets, b.remind(p, now)...)
		}
		return r
	case have:
		return b.confirmed(p, m)
	case state:
		changed := b.learn(m.state, now)
		return reply{changed: changed, packets: b.haveFor(p, now)}
	case bye:
		p.left = true
		p.watch.clear()
		p.watch.back = false
		p.watch.blame(now)
		return reply{changed: true, step: true}
	}
	return reply{}
}

// remind tells a peer, not too often, that it has said more than we have of it.
func (b *book) remind(p *peer, now time.Time) []packet {
	if !p.watch.asked.IsZero() && now.Sub(p.watch.asked) < haveInterval {
		return nil
	}
	p.watch.asked = now
	return b.haveFor(p, now)
}

// haveFor tells a peer which of its states we have. A life of which we have none counts as its state 0.
func (b *book) haveFor(p *peer, now time.Time) []packet {
	if !p.addr.IsValid() {
		return nil
	}
	m := b.header(have, now)
	m.subject, m.life, m.seq = p.node.Name, p.state.Boot, p.state.Seq
	if m.life < p.boot {
		m.life, m.seq = p.boot, 0
	}
	return []packet{{p.node, encodeMessage(m)}}
}

// confirmed takes down which of our states a peer has.
func (b *book) confirmed(p *peer, m message) reply {
	if m.subject != b.self {
		return reply{}
	}
	if m.life > b.boot || m.life == b.boot && m.seq > b.mine.Seq {
		b.outlive(m.life)
		return reply{step: true, changed: true}
	}
	p.outbox.has = version{m.life, m.seq}
	return reply{step: true}
}

// told is for what a speaker says of a third one. Each subject is a matter of its own, and each arrives twice.
func (b *book) told(p *peer, m message, now time.Time) reply {
	if m.subject == b.self {
		b.vigil.refute = b.vigil.refute || m.kind == missed
		return reply{step: true}
	}
	about := b.peers[m.subject]
	if about == nil || about.left {
		return reply{}
	}
	w := &about.watch
	if last := w.said[m.node]; m.boot < last.boot || m.boot == last.boot && m.serial <= last.serial {
		return reply{stale: m.serial != last.serial}
	}
	if w.said == nil {
		w.said = map[string]word{}
	}
	w.said[m.node] = word{m.boot, m.serial}
	if m.kind == missed {
		b.hearsay(about, m.silent, now)
	} else if !w.missed {
		w.first, w.latest, w.silent = time.Time{}, time.Time{}, time.Time{}
	}
	return reply{step: true}
}

// probed takes in that a peer has answered a probe of memberlist's. It returns whether that changes anything.
func (b *book) probed(name string, rtt time.Duration, now time.Time) bool {
	p := b.peers[name]
	if p == nil {
		return false
	}
	if sent := now.Add(-rtt); sent.After(b.vigil.answered) {
		b.vigil.answered = sent
	}
	before := p.watch.missed || !p.watch.first.IsZero()
	b.hear(p, now)
	return before
}

// joined takes in that memberlist counts a node as alive.
func (b *book) joined(p *peer) {
	p.member, p.left, p.knocked = true, false, time.Time{}
	b.vigil.greeted = time.Time{} // it may know nothing of this life
	p.watch.clear()
	p.watch.back = false
	p.watch.gone = time.Time{}
	p.outbox.forget()
}

// dropped takes in that memberlist counts a node as dead.
func (b *book) dropped(p *peer, now time.Time) {
	p.member, p.knocked = false, time.Time{}
	p.watch.gone = now
	p.watch.since = time.Time{}
	p.watch.blame(now)
	p.outbox.forget()
}

// publish takes in what we say of ourselves. It returns false when that is what we said last.
func (b *book) publish(s lb.Speaker) (bool, error) {
	s = tidy(s)
	s.Node, s.Boot, s.Seq = b.self, b.boot, max(1, b.mine.Seq)
	if err := check(s); err != nil {
		return false, err
	}
	packed, err := encodeState(s)
	if err != nil || b.mine.Seq > 0 && bytes.Equal(packed, b.packed) {
		return false, err
	}
	if len(packed) > maxState {
		return false, errOversized
	}
	s.Seq = b.mine.Seq + 1
	b.mine = s
	b.pack()
	return true, nil
}

// pack encodes our state again.
func (b *book) pack() {
	if b.mine.Seq == 0 {
		return
	}
	packed, err := encodeState(b.mine)
	if err != nil {
		panic("gossip: what was published does not encode: " + err.Error())
	}
	b.packed = packed
}

// exchange returns what goes along when memberlist compares its whole state with a peer's: each state with its length before it.
// Who joins gets everything, its own former life included.
func (b *book) exchange(join bool) []byte {
	out := []byte{stateVersion}
	for _, s := range b.speakers() {
		packed := b.packed
		if s.Node != b.self {
			if !join && b.peers[s.Node].member {
				continue
			}
			var err error
			if packed, err = encodeState(s); err != nil {
				panic("gossip: what was decoded does not encode: " + err.Error())
			}
		}
		out = append(binary.AppendUvarint(out, uint64(len(packed))), packed...)
	}
	return out
}

// merge takes such an exchange in. What does not parse ends it; what came before that counts.
func (b *book) merge(list []lb.Speaker, now time.Time) bool {
	changed := false
	for _, s := range list {
		changed = b.learn(s, now) || changed
	}
	return changed
}

// decodeExchange unpacks what exchange packed, as far as it parses.
func decodeExchange(raw []byte) ([]lb.Speaker, error) {
	r := &reader{rest: raw}
	if v := r.byte(); r.err == nil && v != stateVersion {
		return nil, errVersion
	}
	var out []lb.Speaker
	for len(r.rest) > 0 && r.err == nil {
		n := r.number()
		if n > maxState {
			return out, errOversized
		}
		s, err := decodeState(r.take(int(n)))
		if err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, r.err
}
