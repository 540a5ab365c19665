package gossip

import (
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// stateGap is the least time between two states for one peer: what changes in between is told by the second.
	stateGap = 50 * time.Millisecond
	// stateRate bounds, in bytes a second, what a node sends of its states to all peers together.
	stateRate = 16 << 20
	// A state that the peer does not confirm is sent again after retryFirst, and then after twice as long each time, up to retryMost.
	retryFirst = 500 * time.Millisecond
	retryMost  = 4 * time.Second
	// maxNews bounds what waits for a peer besides the state; the oldest is dropped, datagrams have told it already.
	maxNews = 16
)

// version is which of our states somebody has.
type version struct{ boot, seq uint64 }

// outbox is what a peer is still to be told by stream.
type outbox struct {
	news    [][]byte
	has     version // what the peer has said that it has of us
	tried   version // what was sent last
	sent    time.Time
	backoff time.Duration
	busy    bool // somebody is sending to this peer
}

// forget is for a peer that may know nothing of us.
func (o *outbox) forget() {
	*o = outbox{busy: o.busy, sent: o.sent}
}

func (o *outbox) add(raw []byte) {
	if len(o.news) >= maxNews {
		o.news = o.news[1:]
	}
	o.news = append(o.news, raw)
}

// due returns when something is to be sent; false when nothing is.
func (o *outbox) due(mine version, gap time.Duration) (time.Time, bool) {
	switch {
	case o.busy:
		return time.Time{}, false
	case len(o.news) > 0:
		return time.Time{}, true
	case mine.seq == 0 || o.has == mine:
		return time.Time{}, false
	case o.tried != mine:
		return o.sent.Add(gap), true
	}
	return o.sent.Add(o.backoff), true
}

// errand is what one goroutine carries to one peer.
type errand struct {
	peer string
	to   memberlist.Node
	raw  [][]byte
}

// errands returns what is to be carried now, and when to ask again (the zero time: when something has changed).
func (b *book) errands(now time.Time) (out []errand, next time.Time) {
	mine := version{b.boot, b.mine.Seq}
	gap := stateGap + time.Duration(float64(len(b.packed)*len(b.peers))/stateRate*float64(time.Second))
	for _, name := range b.sorted() {
		p := b.peers[name]
		at, ok := p.outbox.due(mine, gap)
		if !p.member || p.left || !ok {
			continue
		}
		if at.After(now) {
			next = sooner(next, at)
			continue
		}
		out = append(out, errand{peer: name, to: p.node, raw: b.pick(&p.outbox, mine, gap, now)})
	}
	return out, next
}

// pick takes out of an outbox what can go now.
func (b *book) pick(o *outbox, mine version, gap time.Duration, now time.Time) [][]byte {
	raw := o.news
	o.news = nil
	if at, ok := o.due(mine, gap); ok && !at.After(now) {
		if o.tried == mine {
			o.backoff = min(2*o.backoff, retryMost)
		} else {
			o.tried, o.backoff = mine, retryFirst
		}
		raw = append(raw, encodeStateMessage(b.header(state, now), b.packed))
	}
	o.busy, o.sent = true, now
	return raw
}

// carried is called when an errand is over, well or not.
func (b *book) carried(name string) {
	if p := b.peers[name]; p != nil {
		p.outbox.busy = false
	}
}

// sooner returns the earlier of two times, of which the zero one is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
