package liveness

import (
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

const (
	// tardy is how late the caller may look without a doubt that it has read all that was heard. After that silence is judged
	// again only when grace has passed.
	tardy = 20 * time.Millisecond
	grace = 40 * time.Millisecond
	// stopped is how late it looks after it had been stopped, and answers may have been lost: every row begins anew.
	stopped = 300 * time.Millisecond
	// baseline is how many questions go out in every second, evenly spaced. slots are the parts of a second in which one may go out:
	// every other one is the baseline's, the rest are free or for those that were never asked.
	baseline = 3
	slots    = 2 * baseline
)

// Next returns what to ask now, and when to call again at the latest, though nothing happens before; the zero time when there is
// nobody to ask. A question counts as sent.
func (w *Watch) Next(now time.Time) (probes []neighbor.Probe, wake time.Time) {
	w.settle(now)
	for _, l := range w.links {
		if !now.Before(w.notBefore) {
			probes = append(probes, l.alarm(now, w.notice)...)
		}
		probes = append(probes, l.ask(now)...)
	}
	for _, p := range w.peers {
		probes = append(probes, p.askSpeaker(now)...)
	}
	w.wake = w.due(now)
	return probes, w.wake
}

// ask returns the questions to hosts that are due on a link and that it has tokens for: rows under suspicion first, then the
// baseline, then what repeats, whoever has waited longest.
func (l *link) ask(now time.Time) (probes []neighbor.Probe) {
	due := slices.DeleteFunc(slices.Clone(l.hosts), func(h *host) bool { return !h.due(now) })
	slices.SortStableFunc(due, func(a, b *host) int { return a.next.Compare(b.next) })
	put := func(h *host, urgent bool, spare int) {
		if l.may(now, urgent, spare) {
			probes = append(probes, h.ask(now))
		}
	}
	for _, h := range due {
		if h.urgent() {
			put(h, true, 0)
		}
	}
	if slot := slotAt(now); slot != l.slot {
		l.slot = slot
		if h := l.turn(slot); h != nil && !h.watched() && !h.open() {
			put(h, h.last.IsZero(), 0)
		}
	}
	for _, h := range due {
		if h.due(now) && !h.urgent() {
			put(h, false, spare(false))
		}
	}
	return probes
}

// ask notes a question to the host and returns it.
func (h *host) ask(now time.Time) neighbor.Probe {
	pace := slow
	if h.peer.suspect() || h.peer.Doubted {
		pace = quick
	}
	h.asked(now, pace, h.watched())
	h.link.sent(now)
	if h.witness() && h.link.quiet.first.IsZero() {
		h.link.quiet.first = now
	}
	return h.probe()
}

// probe is a question to the host.
func (h *host) probe() neighbor.Probe {
	return neighbor.Probe{Kind: neighbor.HostProbe, Interface: h.link.Name, To: h.to, Target: h.target, Node: h.peer.Node}
}

// slotAt counts the slots since 1970, so that all nodes whose clocks agree are in the same one.
func slotAt(now time.Time) int64 {
	return now.Unix()*slots + int64(now.Nanosecond())*slots/int64(time.Second)
}

// nextSlot returns when the next slot begins.
func nextSlot(now time.Time) time.Time {
	into := time.Duration(now.Nanosecond())
	for i := range time.Duration(slots) {
		if begins := ((i+1)*time.Second + slots - 1) / slots; begins > into {
			return now.Add(begins - into)
		}
	}
	return now.Add(time.Second - into)
}

// turn returns whom the baseline asks in a slot; nil for nobody. The ring is of those that gossip vouches for, and us:
//
//	slot 0      the one behind us
//	slot 2      the one before us
//	slot 4      one of the others, and the next one in the next second; without others, one of those two
//	slots 1, 3  one of the others, a third and two thirds further round, if it has never been asked
//
// In each slot everybody asks the one that is as many places further as everybody else does, so nobody is asked twice.
func (l *link) turn(slot int64) *host {
	ring := make([]*host, 0, len(l.hosts))
	for _, h := range l.hosts {
		if !h.peer.suspect() {
			ring = append(ring, h)
		}
	}
	if len(ring) == 0 {
		return nil
	}
	second, part, others := slot/slots, slot%slots, int64(len(ring)-2)
	switch {
	case part == 0:
		return ring[0]
	case part == 2:
		return ring[len(ring)-1]
	case part == 4 && others <= 0:
		return ring[second%int64(len(ring))]
	case part == 4:
		return ring[1+second%others]
	case part < 4 && others > 0:
		if h := ring[1+(second+(part+1)/2*others/3)%others]; h.last.IsZero() {
			return h
		}
	}
	return nil
}

// interval is the time between questions to a station that answers and is asked again and again by all of us: the more we are, the
// longer. The first time differs from peer to peer, so that they stay spacing apart.
func (h *host) interval(spacing time.Duration, again bool) time.Duration {
	all := time.Duration(len(h.link.hosts)) * spacing
	switch {
	case all <= repeat:
		return repeat
	case again:
		return all
	}
	return repeat + time.Duration(h.place)*spacing
}

// wait is when to ask again a host that has answered; zero for when its turn comes.
func (h *host) wait() time.Duration {
	if !h.peer.suspect() && !h.peer.Doubted {
		return 0
	}
	return h.interval(hostSpacing, h.again)
}
