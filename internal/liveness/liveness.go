// Package liveness judges from what is heard on the LAN which hosts live, which speakers answer, and whether we hear at all.
//
// It is pure: time is an argument, nothing waits, and the same calls give the same results. A Watch is told of our interfaces
// and the peers (Set) and of frames heard (Heard); it says what to ask and when to look again (Next), and what follows
// (Verdict). Silence is judged only after three questions without an answer, and never while the caller was late to look:
// an answer may lie unread.
//
//	who is asked                        how often                                    its host is Dead after
//	gossip Alive, ring neighbour        once a second, or more often if there is     3 questions 250 ms apart + 100 ms
//	                                    no other
//	gossip Alive, any other             one of them a second, in turn, and two       3 questions 250 ms apart + 100 ms
//	                                    more while some were never asked
//	gossip Alive, and Doubted           at once                                      3 questions 40 ms apart + 100 ms
//	gossip not Alive, just now          at once                                      3 questions 40 ms apart + 100 ms
//	gossip not Alive, host answers      once a second, or by all together 2.5        3 questions 40 ms apart + 100 ms
//	                                    times a second if that is less
//	host Dead                           once a second
//
// The first answer ends a row of questions and makes the host Alive; a host that has not been Alive on the interface since it
// came up is Unknown, never Dead. A question after which nobody at all is heard raises an alarm, which finds out whether it is we who
// hear nothing (see alarmAt). A question to a speaker (AnswerProbe) goes in the same rows as to a host under suspicion.
// All of it is under the budget of BudgetPerSecond.
package liveness

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Link is one of our interfaces.
type Link struct {
	lb.Interface
	// UpSince is when it came up last. While zero, the first Set that shows it up counts.
	UpSince time.Time
}

// Peer is another speaker, as gossip knows it.
type Peer struct {
	Node       string
	Gossip     lb.Life
	Interfaces []lb.Interface
	// Left says that it said good-bye. Its silence is no riddle then, so that Gossip may be Alive; but nothing vouches for its host.
	Left bool
	// Owns are the addresses that it claims, sorted.
	Owns []netip.Addr
	// Doubted says that another speaker has it among its Lost, or it has us: we then ask at once, rather than when its turn comes.
	Doubted bool
}

// Watch is what one speaker knows of its peers from the LAN. It belongs to one goroutine. Use New.
type Watch struct {
	self   string
	notice time.Duration // how long after a death gossip says so at the latest
	links  []*link       // sorted by name
	peers  []*peer       // sorted by node
	wake   time.Time
	// notBefore is until when silence is not judged, because answers may lie unread.
	notBefore time.Time
}

// New returns a Watch of the named node that knows of nobody. Gossip says within notice that a peer has fallen silent.
func New(self string, notice time.Duration) *Watch { return &Watch{self: self, notice: notice} }

// Set replaces our interfaces and the peers; what is known of those that stay is kept. What was known on an interface that
// went down, or came up anew, is forgotten. The slices are only read, and kept until the next Set.
func (w *Watch) Set(now time.Time, links []Link, peers []Peer) {
	before := w.links
	w.setPeers(now, peers)
	w.links = make([]*link, 0, len(links))
	for _, l := range links {
		w.links = append(w.links, relink(now, before, l))
	}
	slices.SortFunc(w.links, func(a, b *link) int { return cmp.Compare(a.Name, b.Name) })
	for _, l := range w.links {
		w.meet(now, l)
	}
}

// setPeers takes over the peers, with what is known of each.
func (w *Watch) setPeers(now time.Time, peers []Peer) {
	known := w.peers
	w.peers = make([]*peer, 0, len(peers))
	for _, said := range peers {
		if said.Node == w.self {
			continue
		}
		p := &peer{since: now}
		if i, ok := slices.BinarySearchFunc(known, said.Node, byNode); ok {
			p = known[i]
		}
		p.become(now, said)
		p.hosts = nil // meet fills it again
		w.peers = append(w.peers, p)
	}
	slices.SortFunc(w.peers, func(a, b *peer) int { return cmp.Compare(a.Node, b.Node) })
}

func byNode(p *peer, node string) int { return cmp.Compare(p.Node, node) }

// become makes p what gossip says now, and begins or ends its suspicion.
func (p *peer) become(now time.Time, said Peer) {
	was := p.Peer
	p.Peer = said
	if was.Gossip == lb.Alive || said.Gossip == lb.Alive {
		p.alive = now
	}
	p.macs = nil
	for _, itf := range said.Interfaces {
		p.macs = append(p.macs, itf.MACs...)
	}
	switch {
	case p.suspect() && was.Gossip == lb.Alive:
		p.since = now
		p.again(now)
	case !p.suspect() && was.Gossip != lb.Alive:
		p.answer = round{}
		for _, h := range p.hosts {
			h.calm(now)
		}
	case said.Doubted && !was.Doubted:
		for _, h := range p.hosts {
			h.hurry(now)
		}
	}
}

// relink returns l with what is known of it, or as new.
func relink(now time.Time, known []*link, l Link) *link {
	i := slices.IndexFunc(known, func(k *link) bool { return k.Name == l.Name })
	same := i >= 0 && known[i].Up && l.Up && (l.UpSince.IsZero() || l.UpSince.Equal(known[i].UpSince))
	if same {
		l.UpSince = known[i].UpSince
		known[i].Link = l
		return known[i]
	}
	if l.UpSince.IsZero() {
		l.UpSince = now
	}
	return &link{Link: l, quiet: quiet{since: l.UpSince}}
}

// meet finds out who can be asked on l, and keeps what is known of them.
func (w *Watch) meet(now time.Time, l *link) {
	known := l.hosts
	l.hosts = nil
	behind, _ := slices.BinarySearchFunc(w.peers, w.self, byNode)
	for i := range w.peers {
		p := w.peers[(behind+i)%len(w.peers)]
		target, to, ok := reach(l.Interface, p.Peer)
		if !l.Up || !ok {
			continue
		}
		h := &host{peer: p, link: l}
		if k := slices.IndexFunc(known, func(h *host) bool { return h.peer == p }); k >= 0 {
			h = known[k]
		} else if h.watched() {
			h.begin(now)
		}
		h.target, h.to, h.place = target, to, len(l.hosts)
		l.hosts = append(l.hosts, h)
		p.hosts = append(p.hosts, h)
	}
}
