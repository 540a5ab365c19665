package liveness

import (
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// An alarm finds out within a moment whether a link has gone deaf. Rows of questions to one host cannot: they last longer, and do
// not tell a deaf port from a dead peer.
//
//	a witness was asked, and for alarmAfter nobody at all has been heard     two witnesses are asked
//	still nobody, alarmPause later                                           two more, if there are
//	still nobody, and gossip would have missed by now who has died           two more, if there are
//	still nobody, alarmAfter later                                           the link is deaf
//
// A witness is a host that has answered on the link and whose speaker gossip vouches for, or vouched for when the link fell silent: a
// port that passes nothing often takes gossip with it. With fewer than two there is no alarm: when one host and we do not hear each
// other, either may be the deaf one. A frame of anybody ends the alarm. A pause of the LAN that is shorter than what gossip needs
// is no deafness: the last questions come after it. Until the alarm is over nobody is judged who has not answered in the same
// silence: the deaf would take everybody else for dead, and their addresses.
const (
	// alarmAfter is how long a question waits for any frame at all. A kernel answers within microseconds.
	alarmAfter = 50 * time.Millisecond
	alarmPause = 100 * time.Millisecond
	// alarmRounds times alarmAsks questions, and the one before them, stay without an answer by mere loss in one of 100,000 cases when
	// every tenth packet is lost, and then no frame of the others may have come through either.
	alarmRounds = 3
	alarmAsks   = 2
)

// witness says whether the host is sure to answer if the link is sound.
func (h *host) witness() bool {
	return h.life == lb.Alive && !h.peer.Left && (!h.peer.suspect() || h.fell())
}

// fell says whether gossip lost a suspect after the link had fallen silent.
func (h *host) fell() bool { return !h.peer.alive.Before(h.link.quiet.since) }

// witnesses are those on the link, in ring order.
func (l *link) witnesses() (out []*host) {
	for _, h := range l.hosts {
		if h.witness() {
			out = append(out, h)
		}
	}
	return out
}

// alarmAt returns when the next round of the alarm is due and can be asked; ok is false when there is nothing to be alarmed about.
func (l *link) alarmAt(notice time.Duration) (at time.Time, ok bool) {
	at, ok = l.calls(notice)
	return later(at, l.alarms.ready(alarmEvery, alarmHolds, alarmAsks-1)), ok
}

// calls returns when the next round of the alarm is due if there are tokens for it.
func (l *link) calls(notice time.Duration) (at time.Time, ok bool) {
	q := &l.quiet
	if !l.Up || l.deaf || q.first.IsZero() || q.rounds == alarmRounds || len(l.witnesses()) < alarmAsks {
		return time.Time{}, false
	}
	switch q.rounds {
	case 0:
		at = q.first.Add(alarmAfter)
	case alarmRounds - 1:
		at = later(q.called.Add(alarmPause), q.first.Add(notice))
	default:
		at = q.called.Add(alarmPause)
	}
	return at, true
}

// undecided says whether nobody has been heard since a row of questions began, and an alarm is under way that tells whether it is
// we who hear nothing. One that waits for tokens tells nothing soon.
func (l *link) undecided(now, began time.Time, notice time.Duration) bool {
	if began.Before(l.quiet.since) {
		return false
	}
	if due, ok := l.calls(notice); ok {
		return !l.alarms.ready(alarmEvery, alarmHolds, alarmAsks-1).After(later(due, now))
	}
	at, over := l.alarmedAt()
	return over && now.Before(at)
}

// alarm returns the questions of the alarm that are due: to those that gossip vouches for first, and to those that it has asked least
// lately.
func (l *link) alarm(now time.Time, notice time.Duration) (probes []neighbor.Probe) {
	if at, ok := l.alarmAt(notice); !ok || now.Before(at) {
		return nil
	}
	l.quiet.rounds++
	l.quiet.called = now
	hosts := l.witnesses()
	slices.SortStableFunc(hosts, func(a, b *host) int {
		switch {
		case a.peer.suspect() == b.peer.suspect():
			return a.called.Compare(b.called)
		case b.peer.suspect():
			return -1
		}
		return 1
	})
	for _, h := range hosts[:alarmAsks] {
		l.alarms.take(now, alarmEvery, alarmHolds, 0)
		l.sent(now)
		h.called = now
		probes = append(probes, h.probe())
	}
	return probes
}

// alarmedAt returns since when the link is deaf by an alarm; ok is false while it has not asked enough.
func (l *link) alarmedAt() (at time.Time, ok bool) {
	called := 0
	for _, h := range l.witnesses() {
		if !h.called.Before(l.quiet.first) {
			called++
		}
	}
	return l.quiet.called.Add(alarmAfter), l.Up && l.quiet.rounds == alarmRounds && called >= alarmAsks
}
