// Package gossip carries what speakers say of themselves to all others, and tells who of them is there; it is the only place that
// imports memberlist. A Ring is made by New and works while Run runs; its other methods may be called at any time, from any
// goroutine. It carries claims and decides nothing by them.
//
//	memberlist   who is a member, who is dead, where everybody is (Timing)
//	ring.go      beats between neighbours: who has fallen silent, within a quarter of a second
//	outbox.go    each speaker's own state, the whole of it, to each peer by stream until the peer confirms it
//	receive.go   what comes in; a state that joins memberlist's own exchange brings former lives and the last words of the dead
//	codec.go     states in bytes, message.go the rest; check.go says what is refused
//
// The book holds all of that as values, with time passed in; gossip.go is the shell that sends, waits and calls memberlist. Of two
// states of one node the one with the greater Boot, then the greater Seq, counts, whoever brought it and in whatever order.
//
// memberlist's node metadata holds nothing but the version of the messages, so that one who speaks another is told apart at once.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// rejoinInterval is how often peers that should be there and are not are tried again. memberlist itself never comes back
	// to a peer that it has lost: without this a healed partition stays split.
	rejoinInterval = 250 * time.Millisecond
	// leaveTimeout bounds how long Leave waits until a peer has taken the news.
	leaveTimeout = 500 * time.Millisecond
)

// Config is what a Ring needs.
type Config struct {
	// Node is the name of this node; it must be unique in the cluster.
	Node string
	// Bind is where to listen, UDP and TCP, and what the peers are told. Port 0 takes a free one (see Addr).
	Bind netip.AddrPort
	// Secret is any shared secret; the key is derived from it (see Key). nil gossips in the clear.
	Secret []byte
	// Accept are other secrets: what is encrypted with one of them is taken too. Rekey replaces them and Secret.
	Accept [][]byte
	// Peers returns where the other speakers should be; this node's own address in it is passed over. It is asked about four
	// times a second and must not block.
	Peers func() []netip.AddrPort
	// Timing says how fast death is noticed; the zero value is Fast.
	Timing Timing
	// Transport carries what is sent; nil opens sockets at Bind. The Ring closes it when Run ends.
	Transport Transport
	Log       logr.Logger
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

// Ring is this node's membership.
type Ring struct {
	cfg     Config
	metrics metrics
	limit   limiter
	changed chan struct{}
	look    chan struct{} // one slot: try the missing peers now
	step    chan struct{} // one slot: the book has something to do

	keys    sync.Mutex // serialises Rekey
	keyring keyring

	life  sync.Mutex     // serialises Leave and Shutdown, of which memberlist wants this order
	tasks sync.WaitGroup // what Run has started

	mu      sync.Mutex
	list    *memberlist.Memberlist // nil before Run and after it
	leaving bool
	addr    netip.AddrPort
	book    *book
	search  search
}

// New checks the configuration. Nothing is opened and nothing runs before Run.
func New(cfg Config) (*Ring, error) {
	if cfg.Node == "" {
		return nil, errors.New("gossip needs a node name")
	}
	if !cfg.Bind.IsValid() || cfg.Bind.Addr().IsUnspecified() {
		return nil, fmt.Errorf("gossip address %s: want the address of this node that its peers reach, not a wildcard", cfg.Bind)
	}
	r := &Ring{cfg: cfg, metrics: newMetrics(cfg.Registerer), changed: make(chan struct{}, 1),
		look: make(chan struct{}, 1), step: make(chan struct{}, 1), addr: cfg.Bind, search: search{busy: map[netip.AddrPort]bool{}}}
	if r.cfg.Timing == (Timing{}) {
		r.cfg.Timing = Fast()
	}
	if r.cfg.Peers == nil {
		r.cfg.Peers = func() []netip.AddrPort { return nil }
	}
	keys, err := derive(cfg.Secret, cfg.Accept)
	if err != nil {
		return nil, err
	}
	if r.keyring, err = newKeyring(keys); err != nil {
		return nil, err
	}
	r.metrics.showKeys(r.keyring.ids)
	r.book = newBook(cfg.Node, r.cfg.Timing, time.Now())
	return r, nil
}

// Run listens, joins the peers and keeps joining those that are missing, until ctx ends. It returns an error only when the
// address cannot be used. memberlist ends its own goroutines a moment after Run has returned; those that Run started have ended.
func (r *Ring) Run(ctx context.Context) error {
	if r.keyring.inner == nil {
		r.cfg.Log.Info("gossip is not encrypted: anybody who reaches the port can join; set --gossip-key-file", "address", r.cfg.Bind.String())
	}
	list, err := r.create()
	if err != nil {
		return fmt.Errorf("listening on %s: %w", r.cfg.Bind, err)
	}
	defer func() {
		r.shutdown(list)
		r.tasks.Wait()
	}()
	rejoin := time.NewTicker(rejoinInterval)
	defer rejoin.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	r.joinMissing(list)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-rejoin.C:
			r.joinMissing(list)
		case <-r.look:
			r.joinMissing(list)
		case <-due.C:
			due.Reset(r.tick(list))
		case <-r.step:
			due.Reset(r.tick(list))
		}
	}
}

// create begins to listen.
func (r *Ring) create() (*memberlist.Memberlist, error) {
	cfg, err := r.memberlistConfig()
	if err != nil {
		return nil, err
	}
	list, err := memberlist.Create(cfg)
	if err != nil {
		return nil, errors.Join(err, cfg.Transport.Shutdown())
	}
	port := list.LocalNode().Port // takes a lock of memberlist's, under which it calls us: not while we hold ours
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = list
	r.addr = netip.AddrPortFrom(r.cfg.Bind.Addr(), port)
	return list, nil
}

// do runs a task that Run waits for; not any more once it is ending.
func (r *Ring) do(task func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.list != nil {
		r.tasks.Go(task)
	}
}

// tick does what is due and returns how long until something is again.
func (r *Ring) tick(list *memberlist.Memberlist) time.Duration {
	r.mu.Lock()
	if r.leaving { // no beat says that we are here any more
		r.mu.Unlock()
		return rejoinInterval
	}
	w := r.book.tick(time.Now())
	r.metrics.tell(r.book)
	r.mu.Unlock()
	r.post(list, w.packets)
	for _, e := range w.errands {
		r.do(func() { r.carry(list, e) })
	}
	if w.changed {
		wake(r.changed)
	}
	return time.Until(w.next)
}

// post sends datagrams. One that cannot be sent is as good as lost on the way.
func (r *Ring) post(list *memberlist.Memberlist, packets []packet) {
	for _, p := range packets {
		if err := list.SendBestEffort(&p.to, p.raw); err != nil {
			r.cfg.Log.V(1).Info("sending a packet", "peer", p.to.Name, "reason", err.Error())
		}
	}
}

// carry sends by stream. What fails is sent again if it matters (see outbox).
func (r *Ring) carry(list *memberlist.Memberlist, e errand) {
	for _, raw := range e.raw {
		if err := list.SendReliable(&e.to, raw); err != nil {
			r.cfg.Log.V(1).Info("sending a message", "peer", e.peer, "reason", err.Error())
			break
		}
	}
	r.mu.Lock()
	r.book.carried(e.peer)
	r.mu.Unlock()
	wake(r.step)
}

func (r *Ring) memberlistConfig() (*memberlist.Config, error) {
	c := memberlist.DefaultLANConfig()
	c.Name = r.cfg.Node
	c.BindAddr, c.BindPort = r.cfg.Bind.Addr().String(), int(r.cfg.Bind.Port())
	c.AdvertiseAddr, c.AdvertisePort = c.BindAddr, c.BindPort
	c.Keyring = r.keyring.inner
	c.Logger = log.New(&logWriter{r}, "", 0)
	c.Delegate, c.Events, c.Conflict, c.Ping = delegate{r}, delegate{r}, delegate{r}, delegate{r}
	c.EnableCompression = false // packets are small
	r.cfg.Timing.apply(c)
	transport := r.cfg.Transport
	if transport == nil {
		s, err := openSockets(r.cfg.Bind, c.Logger)
		if err != nil {
			return nil, err
		}
		c.BindPort, c.AdvertisePort = s.port(), s.port()
		transport = s
	}
	c.Transport = timely{transport, 2 * r.cfg.Timing.StreamTimeout}
	return c, nil
}

// shutdown ends the membership without a word to the peers.
func (r *Ring) shutdown(list *memberlist.Memberlist) {
	r.life.Lock()
	defer r.life.Unlock()
	r.mu.Lock()
	r.list, r.leaving = nil, true
	r.mu.Unlock()
	if err := list.Shutdown(); err != nil {
		r.cfg.Log.V(1).Info("closing the gossip sockets", "reason", err.Error())
	}
}

// Leave says good-bye, so that the peers know at once what they would otherwise find out when they miss this node. It returns when
// a peer has heard it, or after half a second. The Ring answers its peers until Run ends, but joins nobody any more.
func (r *Ring) Leave() {
	r.life.Lock()
	defer r.life.Unlock()
	r.mu.Lock()
	list, again := r.list, r.leaving
	r.leaving = true
	var packets []packet
	if !again {
		packets = r.book.toAll(encodeMessage(r.book.header(bye, time.Now())), false)
	}
	r.mu.Unlock()
	if list == nil {
		return
	}
	r.post(list, packets)
	var told sync.WaitGroup
	for _, p := range packets {
		told.Go(func() { r.carry(list, errand{peer: p.to.Name, to: p.to, raw: [][]byte{p.raw}}) })
	}
	if err := list.Leave(leaveTimeout); err != nil {
		r.cfg.Log.V(1).Info("leaving unheard", "reason", err.Error())
	}
	told.Wait()
}
