package liveness

import "time"

const (
	// routineEvery and routineHolds are of the bucket for all that repeats, the baseline included: 5 a second.
	routineEvery = 200 * time.Millisecond
	routineHolds = 2
	// urgentEvery is of the bucket for rows of suspicion. It holds three questions for each peer that can be asked, so that however
	// many die at once, each is asked at once; it fills slowly, so that a peer that comes and goes cannot make it a habit.
	urgentEvery = time.Second
	urgentHolds = 6 // at least
	// alarmEvery and alarmHolds are of the bucket for alarms: it holds one. Where many packets are lost, alarms empty it, and silence
	// is judged more slowly.
	alarmEvery = time.Second
	alarmHolds = alarmRounds * alarmAsks
	// MostPerSecond is the most questions a second that an interface asks for as long as something lasts, whatever it is: what the
	// buckets let through once they are empty.
	MostPerSecond = int(time.Second/routineEvery + time.Second/urgentEvery + time.Second/alarmEvery)
)

// Budget is what one interface sends a second: ARP or neighbour discovery packets.
type Budget struct {
	Asked    int // questions of ours
	Answered int // our kernel's answers to those of the others
}

// Total is what a switch port counts that limits ARP from its host.
func (b Budget) Total() int { return b.Asked + b.Answered }

// BudgetPerSecond returns what an interface sends in the steady state, with so many speakers on its segment, this one included:
//
//	speakers   asked                                                                      answered   total
//	0, 1       0                                                                          0          0
//	2 or more  3: both neighbours in the ring, and one of the others in turn, if any      3          6
//
// While some have never been asked, after a start, it is up to 5 and 5.
//
// Whose turn it is goes by the wall clock, so that no two speakers ask the same one. With clocks that differ by less than a slot some
// are asked twice in a second, and others not; with clocks that differ by more it is left to chance how many ask one.
func BudgetPerSecond(speakers int) Budget {
	if speakers < 2 {
		return Budget{}
	}
	return Budget{Asked: baseline, Answered: baseline}
}

// bucket lets questions through: as many at once as it holds, and one more each time that it fills by one. The zero value is full.
type bucket struct {
	full time.Time // when it will be full if nothing is taken
}

// ready returns when one can be taken so that spare are left.
func (b *bucket) ready(every time.Duration, holds, spare int) time.Time {
	return b.full.Add(-time.Duration(holds-1-spare) * every)
}

// take takes one, if it then holds spare more.
func (b *bucket) take(now time.Time, every time.Duration, holds, spare int) bool {
	if now.Before(b.ready(every, holds, spare)) {
		return false
	}
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(every)
	return true
}

// reserve is how many urgent questions the link may ask at once.
func (l *link) reserve() int { return max(urgentHolds, enough*len(l.hosts)) }

// spare is how much a question leaves in the routine bucket: one that merely repeats leaves a token for the baseline.
func spare(urgent bool) int {
	if urgent {
		return 0
	}
	return 1
}

// may takes a token for one question, if there is one.
func (l *link) may(now time.Time, urgent bool, spare int) bool {
	return urgent && l.urgent.take(now, urgentEvery, l.reserve(), 0) || l.routine.take(now, routineEvery, routineHolds, spare)
}

// mayAt returns when the next token will be there.
func (l *link) mayAt(urgent bool) time.Time {
	at := l.routine.ready(routineEvery, routineHolds, spare(urgent))
	if u := l.urgent.ready(urgentEvery, l.reserve(), 0); urgent && u.Before(at) {
		return u
	}
	return at
}
