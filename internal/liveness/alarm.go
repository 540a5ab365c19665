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
// A witness is a host that has answered on the link and whose speaker gossip vouches for. With fewer than two there is no alarm:
// when one host and we do not hear each other, either may be the deaf one. A frame of anybody ends the alarm. A pause
// of the LAN that is shorter than what gossip needs is no deafness: the last questions come after it.
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
func (h *host) witness() bool { return h.life == lb.Alive && h.peer.Gossip == lb.Alive && !h.peer.Left }

// witnesses are those on the link, in ring order.
func (l *link) witnesses() (out []*host) {
	for _, h := range l.hosts {
		if h.witness() {
			out = append(out, h)
		}
	}
	return out
}

// alarmAt returns when the next round of the alarm is due; ok is false when there is nothing to be alarmed about.
func (l *link) alarmAt(notice time.Duration) (at time.Time, ok bool) {
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
	return later(at, l.alarms.ready(alarmEvery, alarmHolds, alarmAsks-1)), true
}

// alarm returns the questions of the alarm that are due: to those that it has asked least lately.
func (l *link) alarm(now time.Time, notice time.Duration) (probes []neighbor.Probe) {
	if at, ok := l.alarmAt(notice); !ok || now.Before(at) {
		return nil
	}
	l.quiet.rounds++
	l.quiet.called = now
	hosts := l.witnesses()
	slices.SortStableFunc(hosts, func(a, b *host) int { return a.called.Compare(b.called) })
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
