package gossip

import (
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Publish tells the others what this node says of itself. Node, Boot and Seq are set by the Ring. A state equal to the last one is
// not told again. The slices are the Ring's from then on. A state that breaks the rules of lb.Speaker (unsorted, or a name that
// cannot be one) would be refused by the peers: it is logged as the mistake of ours that it is, and not told.
func (r *Ring) Publish(s lb.Speaker) {
	r.mu.Lock()
	changed, err := r.book.publish(s)
	r.mu.Unlock()
	if err != nil {
		r.cfg.Log.Error(err, "our own state breaks its rules and is not told to the others")
	}
	if changed {
		wake(r.step)
		wake(r.changed)
	}
}

// Speakers returns the last word of every speaker heard of since the start, of dead ones too, and what this one published, sorted by
// node. The slices within are shared and must not be changed.
func (r *Ring) Speakers() []lb.Speaker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.book.speakers()
}

// Peers returns every other node ever heard of, sorted by name.
func (r *Ring) Peers() []Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	out := make([]Peer, 0, len(r.book.peers))
	for _, name := range r.book.sorted() {
		out = append(out, r.book.view(name, now))
	}
	return out
}

// Mine returns what peers remember of an earlier life of this node, so that it can be taken up after a restart.
func (r *Ring) Mine() (lb.Speaker, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.book.former, r.book.former.Boot != 0
}

// Forget drops a node that is gone for good. One that is a member is kept.
func (r *Ring) Forget(node string) {
	r.mu.Lock()
	p := r.book.peers[node]
	drop := p != nil && !p.member
	if drop {
		delete(r.book.peers, node)
	}
	r.mu.Unlock()
	if drop {
		wake(r.changed)
	}
}

// Heard returns the latest moment of which this is known: what we sent then has reached a peer, and the peer's answer has reached us.
// A process that was stopped reads on waking what came meanwhile; that says nothing, but a peer that answers what was sent after
// waking does. The zero time says that nobody has answered yet.
func (r *Ring) Heard() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.book.vigil.answered
}

// Changed is woken when Speakers or Peers has changed.
func (r *Ring) Changed() <-chan struct{} { return r.changed }

// Notice returns how long after a speaker fell silent its peers say so at the latest.
func (r *Ring) Notice() time.Duration {
	_, most := r.cfg.Timing.Notice()
	return most
}

// Look tries the missing peers now instead of at the next tick; call it when Peers has changed.
func (r *Ring) Look() { wake(r.look) }

// Addr is where the Ring listens; with port 0 in Config.Bind the true port is known once Run has opened it.
func (r *Ring) Addr() netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.addr
}

// wake puts a token into a one-slot channel; one that is there already stands for this one too.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
