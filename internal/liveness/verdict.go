package liveness

import (
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Verdict is what follows from what was heard. All of it is sorted; what is empty is nil, so that equal verdicts are deeply equal.
type Verdict struct {
	Peers []PeerLife // every peer of the last Set, by node
	Deaf  []string   // our interfaces that are up and hear nobody, though somebody should be there
	Lost  []lb.Loss  // peers whose host is Dead on one of our interfaces, by node, then interface
}

// PeerLife is what the LAN says of a peer. See lb.Peer for the meaning of the fields.
type PeerLife struct {
	Node   string
	Hosts  []lb.HostLife
	Answer lb.Life
}

// Verdict returns what is known now.
func (w *Watch) Verdict(now time.Time) Verdict {
	w.settle(now)
	var v Verdict
	for _, p := range w.peers {
		life := PeerLife{Node: p.Node, Answer: p.answer.life}
		for _, h := range p.hosts {
			life.Hosts = append(life.Hosts, lb.HostLife{Interface: h.link.Name, Life: h.life})
			if h.life == lb.Dead {
				v.Lost = append(v.Lost, lb.Loss{Node: p.Node, Interface: h.link.Name})
			}
		}
		v.Peers = append(v.Peers, life)
	}
	for _, l := range w.links {
		if l.deaf {
			v.Deaf = append(v.Deaf, l.Name)
		}
	}
	return v
}

// settle judges the silence up to now, unless answers may lie unread.
func (w *Watch) settle(now time.Time) {
	if late := now.Sub(w.wake); !w.wake.IsZero() && late > tardy {
		w.notBefore, w.wake = now.Add(grace), time.Time{}
		if late > stopped {
			w.restart(now)
		}
	}
	if now.Before(w.notBefore) {
		return
	}
	for _, l := range w.links {
		l.judge(now)
		for _, h := range l.hosts {
			if h.life == lb.Alive && h.silent(now) && (l.deaf || !l.undecided(now, h.first, w.notice)) {
				h.life, h.next = lb.Dead, h.last.Add(repeat)
			}
		}
	}
	for _, p := range w.peers {
		open := func(h *host) bool { return h.link.undecided(now, p.answer.first, w.notice) }
		if p.answer.silent(now) && !slices.ContainsFunc(p.confirmed(), open) {
			p.answer.life = lb.Dead
		}
		if len(p.confirmed()) == 0 {
			p.answer = round{}
		}
	}
}

// restart forgets all silence: we were stopped, and what was said meanwhile is lost.
func (w *Watch) restart(now time.Time) {
	for _, l := range w.links {
		for _, h := range l.hosts {
			h.void(now)
		}
		if !l.deaf {
			l.quiet = quiet{since: now}
		}
	}
	for _, p := range w.peers {
		p.answer.void(now)
	}
}

// due returns when something is to be asked or judged next; zero for never.
func (w *Watch) due(now time.Time) time.Time {
	var wake time.Time
	at := func(t time.Time) {
		if t.After(now) && (wake.IsZero() || t.Before(wake)) {
			wake = t
		}
	}
	judged := func(t time.Time) { at(later(t, w.notBefore)) }
	for _, l := range w.links {
		if slices.ContainsFunc(l.hosts, func(h *host) bool { return !h.peer.suspect() }) {
			at(nextSlot(now))
		}
		if t, ok := l.deafAt(now); ok && !l.deaf {
			judged(t)
		}
		if t, ok := l.alarmAt(w.notice); ok {
			judged(t)
		}
		at(l.UpSince.Add(young)) // what is expected changes then
		for _, h := range l.hosts {
			h.wakes(l, at, judged)
		}
	}
	for _, p := range w.peers {
		for _, h := range p.confirmed() {
			p.answer.wakes(h.link, at, judged)
		}
	}
	return wake
}

// wakes calls at with when the next question can be sent, and judged with when the row is over.
func (r *round) wakes(l *link, at, judged func(time.Time)) {
	if !r.next.IsZero() {
		at(later(r.next, l.mayAt(r.urgent())))
	}
	if t, whole := r.deadline(); whole && r.life != lb.Dead {
		judged(t)
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
