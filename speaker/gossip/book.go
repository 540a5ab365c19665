package gossip

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Peer is what gossip says of another speaker.
type Peer struct {
	Node string
	// Gossip is Alive while ring heartbeats and memberlist say so, Unknown while heartbeats are missed and memberlist has not
	// decided, Dead once it has. A node that is known by what others say of it only is Unknown for a moment and then Dead.
	Gossip lb.Life
	// Left says that it said good-bye (Gossip is Dead then).
	Left bool
	// Silent is since when nothing was heard from it; zero while Gossip is Alive.
	Silent time.Time
	// Boot is its latest life that is known. While its last word is of an earlier one, it has begun anew and said nothing yet.
	Boot uint64
	// Addr is where it gossips, or did last; the zero value when it never was a member here.
	Addr netip.AddrPort
}

// book is all that a Ring knows, as values: time is passed in, nothing is sent and nothing waits. The Ring's lock guards it.
type book struct {
	self   string
	timing Timing
	boot   uint64     // of this life
	mine   lb.Speaker // what we published; Seq 0 says nothing yet
	packed []byte     // mine, encoded
	former lb.Speaker // what we published in an earlier life, as peers remember it; Boot 0 says that none is known
	peers  map[string]*peer
	vigil  vigil
}

// peer is another node.
type peer struct {
	node    memberlist.Node // as memberlist had it last
	addr    netip.AddrPort
	member  bool      // memberlist counts it as alive, or as suspect
	learnt  time.Time // when it was heard of first
	knocked time.Time // since when it is heard although it is no member; zero while it is one
	left    bool
	boot    uint64        // its latest life that we know of
	last    [kinds]uint64 // the greatest serial of each kind of message, in this life
	state   lb.Speaker    // its last word; Boot 0 says none
	watch   watch
	outbox  outbox
}

// newBook begins a life now.
func newBook(self string, timing Timing, now time.Time) *book {
	boot := uint64(max(1, now.UnixNano()))
	return &book{self: self, timing: timing, boot: boot, mine: lb.Speaker{Node: self, Boot: boot}, peers: map[string]*peer{},
		vigil: vigil{start: now}}
}

// peer returns the entry of a node, a new one if need be.
func (b *book) peer(name string, now time.Time) *peer {
	p := b.peers[name]
	if p == nil {
		p = &peer{learnt: now}
		b.peers[name] = p
	}
	return p
}

// sorted returns the names of all peers.
func (b *book) sorted() []string {
	out := make([]string, 0, len(b.peers))
	for name := range b.peers {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// members returns the names of those that are alive, ourselves included, sorted: the order of the ring.
func (b *book) members() []string {
	out := []string{b.self}
	for name, p := range b.peers {
		if p.member && !p.left {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// speakers returns the last word of everyone, our own included.
func (b *book) speakers() []lb.Speaker {
	var out []lb.Speaker
	if b.mine.Seq > 0 {
		out = append(out, b.mine)
	}
	for _, p := range b.peers {
		if p.state.Boot != 0 {
			out = append(out, p.state)
		}
	}
	slices.SortFunc(out, func(a, b lb.Speaker) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

// newer says whether a replaces b: the order of one node's words.
func newer(a, b lb.Speaker) bool {
	return cmp.Or(cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.Seq, b.Seq)) > 0
}

// learn takes a state in, whoever brought it. It returns false for one that is no newer than what is known.
func (b *book) learn(s lb.Speaker, now time.Time) bool {
	if s.Node == b.self {
		return b.remember(s)
	}
	p := b.peer(s.Node, now)
	if !newer(s, p.state) {
		return false
	}
	p.state = s
	p.live(s.Boot, now)
	return true
}

// remember takes in what others know of this node itself. It is of an earlier life; should it look like a later one, the clock has
// gone back in between (a node without a battery, after a power cut), or two nodes have one name. Peers would take our words for
// old ones, so this life is dated after that.
func (b *book) remember(s lb.Speaker) bool {
	if s.Boot == b.boot && s.Seq <= b.mine.Seq || !newer(s, b.former) {
		return false
	}
	b.former = s
	if s.Boot >= b.boot {
		b.outlive(s.Boot)
	}
	return true
}

// outlive dates this life after another one of this node.
func (b *book) outlive(boot uint64) {
	b.boot = boot + 1
	b.mine.Boot = b.boot
	b.pack()
}

// live notes that a life of the peer is known. With a new one what was counted in the old one means nothing any more: neither its
// good-bye nor its silence. That memberlist does not count the node as a member yet is a matter of a moment, see strangerTime.
func (p *peer) live(boot uint64, now time.Time) {
	if boot <= p.boot {
		return
	}
	if !p.member {
		p.learnt, p.watch.gone, p.watch.silent = now, time.Time{}, time.Time{}
	}
	p.boot, p.left, p.last, p.watch.echo = boot, false, [kinds]uint64{}, 0
	p.watch.deaf = false
	p.outbox.forget()
}
