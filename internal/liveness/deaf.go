package liveness

import (
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	// deafAfter is how long nobody is heard before that is deafness.
	deafAfter = 1500 * time.Millisecond
	// young is how long after it came up an interface is expected to hear somebody: a switch port that listens for loops forwards
	// nothing for 30 s. One that has heard nobody for longer is isolated, by design.
	young = time.Minute
)

// hear notes a frame of somebody else.
func (l *link) hear(at time.Time) {
	l.heard, l.deaf = true, false
	if at.After(l.quiet) {
		l.quiet, l.asked = at, 0
	}
}

// sent notes a question of ours.
func (l *link) sent(now time.Time) {
	l.asked++
	l.last = now
}

// expects says whether somebody should be heard on the link:
//
//	gossip vouches for one who can be asked there                                         yes
//	the link is young, and somebody can be asked there                                    yes
//	two or more that can be asked there have fallen silent together with everybody else   yes: rather we than all of them
//	anything else                                                                         no: the only other one may have died
func (l *link) expects(now time.Time) bool {
	fell := 0
	for _, h := range l.hosts {
		if !h.peer.suspect() || now.Sub(l.UpSince) < young {
			return true
		}
		if h.peer.Gossip != lb.Alive && !h.peer.alive.Before(l.quiet) {
			fell++
		}
	}
	return fell > 1
}

// isolated says that nobody has ever been heard here, and not for want of time.
func (l *link) isolated(now time.Time) bool { return !l.heard && now.Sub(l.UpSince) >= young }

// deafAt returns since when the link is deaf if it stays as quiet as it is; ok is false when silence says nothing.
func (l *link) deafAt(now time.Time) (at time.Time, ok bool) {
	at = l.quiet.Add(deafAfter)
	if answered := l.last.Add(patience); answered.After(at) {
		at = answered
	}
	return at, l.Up && l.asked >= enough && l.expects(now) && !l.isolated(now)
}

// judge finds out whether the link is deaf. It stays so until somebody is heard.
func (l *link) judge(now time.Time) {
	at, ok := l.deafAt(now)
	l.deaf = ok && (l.deaf || !now.Before(at))
}
