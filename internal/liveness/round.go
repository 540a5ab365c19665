package liveness

import (
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	// enough is how many questions in a row stay without an answer before silence means anything.
	enough = 3
	// quick is the time between the questions of a row under suspicion, slow that of the baseline: there, the peer's speaker
	// speaks to us, and nothing waits for the verdict.
	quick = 40 * time.Millisecond
	slow  = 250 * time.Millisecond
	// patience is how long the last question of a row has to be answered. A kernel answers within microseconds.
	patience = 100 * time.Millisecond
	// repeat is the time between questions to who does not answer, and the least between those to who does.
	repeat = time.Second
	// hostSpacing and speakerSpacing are the times between two questions that are put to one host, or one speaker, by different peers:
	// 2.5 and 2 a second, however many ask. With a baseline of its own its port sends 7.5 packets a second; a switch with dynamic ARP
	// inspection shuts it at 15.
	hostSpacing    = 400 * time.Millisecond
	speakerSpacing = 500 * time.Millisecond
)

// round is a row of questions to one station, and what became of those before. The zero value is of one never asked.
//
//	life      asked three times, no answer    an answer
//	Unknown   Unknown                         Alive
//	Alive     Dead                            Alive
//	Dead      Dead                            Alive
//
// A host that is Dead is Alive again, until three more questions, when the link turns out to have been deaf.
// A speaker, unlike a host, goes from Unknown to Dead: it is asked only because its host is known to answer here.
type round struct {
	life     lb.Life
	sent     int       // questions in a row without an answer
	first    time.Time // when the first of them was sent
	last     time.Time // when the last of them was sent
	answered time.Time // when an answer came last
	next     time.Time // when the next is due by itself; zero for never
	fresh    bool      // the first row after something happened: it may use the tokens kept for that
	again    bool      // it has answered under suspicion: later questions come at a steady pace
}

// begin starts a new row now.
func (r *round) begin(now time.Time) { r.sent, r.next, r.fresh, r.again = 0, now, true, false }

// hurry goes on with the row under way now, or starts a new one.
func (r *round) hurry(now time.Time) {
	if !r.underWay() {
		r.begin(now)
	} else if soon := later(now, r.last.Add(quick)); soon.Before(r.next) {
		r.next = soon
	}
}

// urgent says whether the next question may use the tokens kept for an emergency.
func (r *round) urgent() bool { return r.fresh || r.underWay() }

// underWay says that a row has begun that goes on by itself.
func (r *round) underWay() bool {
	return r.sent > 0 && r.sent < enough && r.life != lb.Dead && !r.next.IsZero()
}

// open says that it is not known yet what a row will bring.
func (r *round) open() bool { return r.underWay() || r.sent > 0 && r.life == lb.Alive }

// due says whether a question is due.
func (r *round) due(now time.Time) bool { return !r.next.IsZero() && !now.Before(r.next) }

// asked notes a question. Within a row the next comes after pace; behind it, after repeat, if the station is to be asked on.
func (r *round) asked(now time.Time, pace time.Duration, on bool) {
	if r.sent == 0 {
		r.first = now
	}
	r.sent++
	r.last = now
	switch {
	case r.sent < enough && r.life != lb.Dead:
		r.next = now.Add(pace)
		return
	case on:
		r.next = now.Add(repeat)
	default:
		r.next = time.Time{}
	}
	r.fresh = false
}

// heard notes an answer that came at. One to an earlier row says nothing of this one. The next question comes after wait; not by
// itself when that is zero.
func (r *round) heard(at time.Time, wait time.Duration) {
	if r.sent > 0 && at.Before(r.first) {
		return
	}
	r.life, r.answered = lb.Alive, at
	if r.sent == 0 {
		return // nothing is open: what is planned stays
	}
	r.sent, r.fresh, r.next = 0, false, time.Time{}
	if wait > 0 {
		r.next, r.again = at.Add(wait), true
	}
}

// deadline is until when a whole row may be answered; ok is false while the row is not whole.
func (r *round) deadline() (at time.Time, ok bool) {
	return r.last.Add(patience), r.sent >= enough
}

// silent says whether a whole row has stayed without an answer.
func (r *round) silent(now time.Time) bool {
	at, ok := r.deadline()
	return ok && !now.Before(at)
}

// doubt takes back that the station is Dead, until another row has had no answer either.
func (r *round) doubt(now time.Time) {
	if r.life == lb.Dead {
		r.life, r.sent, r.next, r.fresh = lb.Alive, 0, now, false
	}
}

// void forgets the row under way and starts it anew: we were not there to hear the answers.
func (r *round) void(now time.Time) {
	if r.sent > 0 && r.life != lb.Dead {
		r.sent, r.next = 0, now
	}
}
