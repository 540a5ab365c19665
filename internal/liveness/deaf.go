package liveness

import (
	"time"
)

const (
	// deafAfter is how long nobody is heard before that is deafness, where no alarm has found it out sooner.
	deafAfter = 1500 * time.Millisecond
	// young is how long after it came up an interface is expected to hear somebody: a switch port that listens for loops forwards
	// nothing for 30 s. One that has heard nobody for longer is isolated, by design.
	young = time.Minute
)

// Deafness returns the least and the greatest time from when a port goes deaf until that is known, where two peers or more have
// answered on the link, gossip vouches for them, and says within notice that a peer has died. See alarmAt; with a slow gossip,
// silence alone decides.
func Deafness(notice time.Duration) (least, most time.Duration) {
	const gap = time.Second / baseline // between two questions, and so between two answers
	least, most = min(notice+alarmAfter, deafAfter-gap), min(gap+notice+alarmAfter, deafAfter+patience)
	return least, most
}

// quiet is a time in which nobody else is heard on a link, and what was asked in it.
type quiet struct {
	since  time.Time // when somebody was heard last, or since when that could be: since the link came up or we were stopped
	asked  int       // questions
	last   time.Time // when the last of them was sent
	first  time.Time // when the first of them was sent that goes to a witness
	rounds int       // of the alarm
	called time.Time // when the last round was sent
}

// hear notes a frame of somebody else. Who seemed dead to us while we were deaf is asked anew: it was we who did not hear.
func (l *link) hear(at time.Time) {
	if l.deaf {
		for _, h := range l.hosts {
			h.doubt(at)
		}
	}
	l.heard, l.deaf = true, false
	if !at.Before(l.quiet.since) {
		l.quiet = quiet{since: at}
	}
}

// sent notes a question of ours.
func (l *link) sent(now time.Time) {
	l.quiet.asked++
	l.quiet.last = now
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
		if h.fell() {
			fell++
		}
	}
	return fell > 1
}

// isolated says that nobody has ever been heard here, and not for want of time.
func (l *link) isolated(now time.Time) bool { return !l.heard && now.Sub(l.UpSince) >= young }

// deafAt returns since when the link is deaf if it stays as quiet as it is; ok is false when silence says nothing.
func (l *link) deafAt(now time.Time) (at time.Time, ok bool) {
	at = later(l.quiet.since.Add(deafAfter), l.quiet.last.Add(patience))
	ok = l.Up && l.quiet.asked >= enough && l.expects(now) && !l.isolated(now)
	if alarmed, over := l.alarmedAt(); over && (!ok || alarmed.Before(at)) {
		return alarmed, true
	}
	return at, ok
}

// judge finds out whether the link is deaf. It stays so until somebody is heard.
func (l *link) judge(now time.Time) {
	at, ok := l.deafAt(now)
	l.deaf = ok && (l.deaf || !now.Before(at))
}
