// Package gossip tells a speaker which other speakers live, and what network interfaces they have; it is the only place that
// imports memberlist. A Ring is made by New and works while Run runs; its other methods may be called at any time, from any
// goroutine. It knows nothing of Services or addresses.
//
// What a node tells of itself (its interfaces) travels in memberlist's node metadata, so that "it lives" and "it has eth0" arrive
// together (docs/adr/0004). Everybody, the node itself included, judges it by the decoded metadata.
package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	// rejoinInterval is how often peers that should be there and are not are tried again. memberlist itself never comes back
	// to a peer that it has lost: without this a healed partition stays split.
	rejoinInterval = time.Second
	// leaveTimeout bounds how long Leave waits until a peer has taken the news.
	leaveTimeout = 500 * time.Millisecond
	// updateTimeout bounds how long an interface change waits for its first broadcast; it is queued in any case.
	updateTimeout = 200 * time.Millisecond
)

// Config is what a Ring needs.
type Config struct {
	// Node is the name of this node; it must be unique in the cluster.
	Node string
	// Bind is where to listen, UDP and TCP, and what the peers are told. Port 0 takes a free one (see Addr).
	Bind netip.AddrPort
	// Secret is any shared secret; the key is derived from it (see Key). nil gossips in the clear.
	Secret []byte
	// Peers returns where the other speakers should be; this node's own address in it is passed over. It is asked about once
	// a second and must not block.
	Peers func() []netip.AddrPort
	// Timing says how fast death is noticed; the zero value is Fast.
	Timing Timing
	Log    logr.Logger
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

// Ring is this node's membership.
type Ring struct {
	cfg     Config
	key     []byte
	metrics metrics
	limit   limiter
	changed chan struct{}
	publish chan struct{} // one slot: our own facts changed
	look    chan struct{} // one slot: try the missing peers now

	life sync.Mutex // serialises Leave and Shutdown, of which memberlist wants this order

	mu      sync.Mutex
	list    *memberlist.Memberlist // nil before Run and after it
	leaving bool
	addr    netip.AddrPort
	self    []lb.Interface
	meta    []byte
	roster  map[string]member // the others that are alive
	joining map[netip.AddrPort]bool
}

// New checks the configuration. Nothing is opened and nothing runs before Run.
func New(cfg Config) (*Ring, error) {
	if cfg.Node == "" {
		return nil, errors.New("gossip needs a node name")
	}
	if !cfg.Bind.IsValid() || cfg.Bind.Addr().IsUnspecified() {
		return nil, fmt.Errorf("gossip address %s: want the address of this node that its peers reach, not a wildcard", cfg.Bind)
	}
	r := &Ring{cfg: cfg, metrics: newMetrics(cfg.Registerer), changed: make(chan struct{}, 1), publish: make(chan struct{}, 1),
		look: make(chan struct{}, 1), addr: cfg.Bind, roster: map[string]member{}, joining: map[netip.AddrPort]bool{}}
	if r.cfg.Timing == (Timing{}) {
		r.cfg.Timing = Fast()
	}
	if r.cfg.Peers == nil {
		r.cfg.Peers = func() []netip.AddrPort { return nil }
	}
	if cfg.Secret != nil {
		key, err := Key(cfg.Secret)
		if err != nil {
			return nil, err
		}
		r.key = key
	}
	r.meta = encodeFacts(nil)
	return r, nil
}

// Run listens, joins the peers and keeps joining those that are missing, until ctx ends. It returns an error only when the
// address cannot be used. memberlist ends its own goroutines a moment after Run has returned; those that Run started have ended.
func (r *Ring) Run(ctx context.Context) error {
	if r.key == nil {
		r.cfg.Log.Info("gossip is not encrypted: anybody who reaches the port can join; set --gossip-key-file", "address", r.cfg.Bind.String())
	}
	list, err := memberlist.Create(r.memberlistConfig())
	if err != nil {
		return fmt.Errorf("listening on %s: %w", r.cfg.Bind, err)
	}
	r.mu.Lock()
	r.list = list
	r.addr = netip.AddrPortFrom(r.cfg.Bind.Addr(), list.LocalNode().Port)
	r.mu.Unlock()
	wake(r.publish) // facts may have changed since Create read them

	var joins sync.WaitGroup
	defer func() {
		r.shutdown(list)
		joins.Wait()
	}()
	tick := time.NewTicker(rejoinInterval)
	defer tick.Stop()
	r.joinMissing(list, &joins)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.joinMissing(list, &joins)
		case <-r.look:
			r.joinMissing(list, &joins)
		case <-r.publish:
			if err := list.UpdateNode(updateTimeout); err != nil {
				r.cfg.Log.V(1).Info("interface facts wait for their broadcast", "reason", err.Error())
			}
		}
	}
}

func (r *Ring) memberlistConfig() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = r.cfg.Node
	c.BindAddr, c.BindPort = r.cfg.Bind.Addr().String(), int(r.cfg.Bind.Port())
	c.AdvertiseAddr, c.AdvertisePort = c.BindAddr, c.BindPort
	c.SecretKey = r.key
	c.Logger = log.New(&logWriter{r}, "", 0)
	c.Delegate, c.Events, c.Conflict = delegate{r}, delegate{r}, delegate{r}
	c.EnableCompression = false // packets are small
	r.cfg.Timing.apply(c)
	return c
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

// Leave tells the peers that this node goes, so that others take over at once instead of when they miss it. It returns when a
// peer has heard it, or after half a second. The Ring answers its peers until Run ends, but joins nobody any more.
func (r *Ring) Leave() {
	r.life.Lock()
	defer r.life.Unlock()
	r.mu.Lock()
	list := r.list
	r.leaving = true
	r.mu.Unlock()
	if list == nil {
		return
	}
	if err := list.Leave(leaveTimeout); err != nil {
		r.cfg.Log.V(1).Info("leaving unheard", "reason", err.Error())
	}
}

// Members returns the speakers that are alive or only suspected of not being so, this node included, sorted by name.
func (r *Ring) Members() []lb.Speaker {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []lb.Speaker{{Node: r.cfg.Node, Interfaces: r.self}}
	for name, m := range r.roster {
		out = append(out, lb.Speaker{Node: name, Interfaces: m.interfaces})
	}
	slices.SortFunc(out, func(a, b lb.Speaker) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

// SetInterfaces publishes what this node has. What does not fit into the metadata is left out for everybody, this node
// included, and logged.
func (r *Ring) SetInterfaces(list []lb.Interface) {
	meta := encodeFacts(list)
	told, err := decodeFacts(meta)
	if err != nil {
		panic("gossip: our own facts do not decode: " + err.Error())
	}
	r.mu.Lock()
	same := slices.Equal(meta, r.meta)
	r.meta, r.self = meta, told
	r.mu.Unlock()
	if same {
		return
	}
	if left := leftOut(list, told); len(left) > 0 {
		r.cfg.Log.Info("too many interfaces for gossip, some are left out: narrow them with --exclude-interfaces", "interfaces", left)
	}
	wake(r.publish)
	wake(r.changed)
}

// Changed is woken when Members has changed.
func (r *Ring) Changed() <-chan struct{} { return r.changed }

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
