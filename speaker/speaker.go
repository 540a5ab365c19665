// Package speaker runs on every node and makes the node answer on the LAN for the addresses that it owns. It carries the world to
// ownership.Decide and the result to the wire, and decides nothing itself:
//
//	Service, EndpointSlice, Node, IPAddressPool, L2Advertisement ┐
//	gossip: who lives, with which interfaces                     ├─ wake ─▶ View ─▶ ownership.Decide ─▶ Wire.Set
//	wire: our own interfaces ─▶ gossip                           ┘                        └─▶ log · Events · metrics · ServiceL2Status
//
// An event only says "look again": it puts a token into a one-slot channel, so bursts become one pass and a missed event costs
// nothing. The loop never waits for the API server: it reads caches, which stay as they are while the server is away, and what it
// has to tell is written by goroutines of their own.
package speaker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/daemon"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

// Everything the speaker may do in the cluster. Pods, pools, advertisements and status objects only in its own namespace; the
// gossip key is a file, so Secrets are none of its business.
//
// +kubebuilder:rbac:groups="",resources=services;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",namespace=metallb-system,resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=metallb.io,namespace=metallb-system,resources=ipaddresspools;l2advertisements,verbs=get;list;watch
// +kubebuilder:rbac:groups=metallb.io,namespace=metallb-system,resources=servicel2statuses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=metallb.io,namespace=metallb-system,resources=servicel2statuses/status;ipaddresspools/status,verbs=patch

// Wire is the LAN as the loop sees it; speaker/wire is the real one.
type Wire interface {
	// Run answers until ctx ends. It returns when nothing is answered any more.
	Run(ctx context.Context) error
	// Set replaces what is answered: for each address, on which interfaces. It does not block.
	Set(want map[netip.Addr][]string)
	// Interfaces are those that may be used, sorted by name.
	Interfaces() []lb.Interface
	// Changed is woken when Interfaces has changed.
	Changed() <-chan struct{}
}

const (
	// firstClaimDelay bounds how long a speaker that starts waits for its peers before it claims addresses. Without the wait
	// it would see itself alone and take everything, once per restart.
	firstClaimDelay = 2 * time.Second
	// publishDelay bounds how long a speaker that starts waits for the interface facts of others that start at the same time.
	// Without the wait the first of them would own everything for a moment.
	publishDelay = 300 * time.Millisecond
	// takeoverGrace is how long a speaker that leaves goes on answering after a peer has heard of it: the time in which the
	// others decide and announce. Both answer for a moment, and nobody asks in vain.
	takeoverGrace = 300 * time.Millisecond
)

// Options are what Run needs; all but those marked optional.
type Options struct {
	Node      string // name of the Node object we run on
	Namespace string // of pools, advertisements, status objects and speaker Pods
	Class     string // --lb-class; empty serves Services without a class
	PodName   string // optional, not used any more
	// GossipBind is where to gossip. Without an address it is the node's InternalIP, without a port GossipPort.
	GossipBind      netip.AddrPort
	Secret          []byte // optional: gossip is in the clear without it
	IgnoreExcludeLB bool
	Config          *rest.Config
	Wire            Wire
	Probes          *daemon.Probes
	Log             logr.Logger
	Registerer      prometheus.Registerer // optional
}

// Speaker is one running speaker.
type Speaker struct {
	Options
	reader  client.Reader
	ring    *gossip.Ring
	status  *statusWriter
	events  recorder
	metrics metrics
	wake    chan struct{} // one slot: decide again
	pods    chan struct{} // one slot: the speaker Pods changed
	// announced are the Services that our status objects named when we started: nothing new about those.
	announced map[lb.Name]bool
	seen      ownership.View // what the caches said last; the Speakers in it are not used
	last      map[netip.Addr]ownership.Address
	uids      map[lb.Name]types.UID // of the Services in the last View, for Events
	mistakes  map[string]bool       // in advertisements, that were told
}

// Run is the whole life of a speaker. It returns nil after a graceful stop, when ctx ends; an error is for what waiting does
// not mend (an address in use, no right to open sockets).
func Run(ctx context.Context, o Options) error {
	kinds := []string{"IPAddressPool", "L2Advertisement", "ServiceL2Status"}
	if err := daemon.WaitForAPI(ctx, o.Config, v1beta1.GroupVersion.String(), kinds, o.Probes, o.Log); err != nil {
		return stopped(ctx, err)
	}
	// What outlives ctx does so to say goodbye.
	life, die := context.WithCancelCause(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	defer parts.Wait()
	defer die(nil)
	start := func(what string, run func(context.Context) error) {
		parts.Go(func() {
			if err := run(life); err != nil && life.Err() == nil {
				die(fmt.Errorf("%s: %w", what, err))
			}
		})
	}

	cl, err := newCluster(o)
	if err != nil {
		return err
	}
	s := &Speaker{Options: o, reader: cl.GetClient(), events: cl.GetEventRecorder("steelyard-speaker"),
		metrics: newMetrics(o.Registerer), wake: make(chan struct{}, 1), pods: make(chan struct{}, 1)}
	s.status = newStatusWriter(cl.GetClient(), o, s.metrics.statusErrors)
	if err := s.watch(ctx, cl); err != nil {
		return stopped(ctx, err)
	}
	start("watching the API server", cl.Start)
	if err := s.prepare(ctx, life, cl); err != nil {
		return stopped(ctx, err)
	}
	wireCtx, silence := context.WithCancel(life)
	defer silence()
	quiet := make(chan struct{})
	start("answering on the LAN", func(context.Context) error { defer close(quiet); return o.Wire.Run(wireCtx) })
	start("gossip", s.ring.Run)
	start("writing status", s.status.Run)

	until, done := either(ctx, life)
	defer done()
	s.awaitPeers(until)
	s.loop(until)
	if life.Err() == nil {
		s.leave(silence, quiet)
	}
	return context.Cause(life)
}

// stopped tells an end that was asked for from a failure.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// either returns a context that ends with the first of the two.
func either(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}

// prepare waits for the caches and for our Node, and makes the ring.
func (s *Speaker) prepare(ctx, life context.Context, cl cluster.Cluster) error {
	s.Probes.NotReady("reading Services, nodes and pools from the API server")
	until, done := either(ctx, life)
	defer done()
	if !cl.GetCache().WaitForCacheSync(until) {
		if err := context.Cause(life); err != nil {
			return err
		}
		return until.Err()
	}
	bind, err := s.gossipAddress(until)
	if err != nil {
		return err
	}
	ring, err := gossip.New(gossip.Config{Node: s.Node, Bind: bind, Secret: s.Secret, Log: s.Log.WithName("gossip"),
		Registerer: s.Registerer, Peers: func() []netip.AddrPort { return s.peers(life, bind) }})
	if err != nil {
		return err
	}
	s.ring = ring
	s.Log.Info("gossiping", "node", s.Node, "address", bind.String())
	s.announced, err = s.status.announced(ctx)
	return err
}

// awaitPeers gives the other speakers a moment to answer, and the wire one to look at our interfaces, before the first claim. Until
// it publishes the interfaces this node is nobody's candidate, so the others keep what they have while we wait.
func (s *Speaker) awaitPeers(ctx context.Context) {
	s.Probes.NotReady("joining the other speakers")
	missing := func() bool { return len(s.ring.Missing()) > 0 || len(s.Wire.Interfaces()) == 0 }
	if !s.poll(ctx, firstClaimDelay, missing) {
		s.Log.Info("deciding without waiting any longer", "missing", len(s.ring.Missing()), "interfaces", len(s.Wire.Interfaces()))
	}
	s.refresh(ctx) // now, because others let go of what will be ours as soon as they hear of our interfaces
	s.ring.SetInterfaces(s.Wire.Interfaces())
	silent := func() bool {
		return slices.ContainsFunc(s.ring.Members(), func(m lb.Speaker) bool { return len(m.Interfaces) == 0 })
	}
	s.poll(ctx, publishDelay, silent)
}

// poll waits while waiting is true, but no longer than limit. It says whether waiting has become false.
func (s *Speaker) poll(ctx context.Context, limit time.Duration, waiting func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for waiting() {
		select {
		case <-ctx.Done():
			return false
		case <-s.pods:
			s.ring.Look()
		case <-tick.C:
		}
	}
	return true
}

// leave hands the addresses over: peers hear that we go and take them while we still answer, then we fall silent. The status
// objects stay: whoever has the addresses then writes over them.
func (s *Speaker) leave(silence context.CancelFunc, quiet <-chan struct{}) {
	s.Log.Info("leaving")
	s.Probes.NotReady("stopping")
	s.status.rest()
	others := len(s.ring.Members()) > 1
	s.ring.Leave()
	if others {
		time.Sleep(takeoverGrace)
	}
	silence()
	<-quiet
}
