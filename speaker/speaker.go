// Package speaker runs on every node and makes the node answer on the LAN for the addresses that it owns. It carries the world to
// ownership.Decide and the result to the wire, and decides nothing itself:
//
//	Service, EndpointSlice, Node, IPAddressPool, L2Advertisement ─ wake ─▶ core.World ─▶ core ─▶ log · Events · metrics · ServiceL2Status
//
// An event only says "look again": it puts a token into a one-slot channel, so bursts become one reading and a missed event costs
// nothing. The core never waits for the API server: the caches stay as they are while the server is away, and what there is to
// tell is written by goroutines of their own.
package speaker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/daemon"
	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker/core"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/speaker/keyfile"
	"github.com/steelyard-lb/steelyard/speaker/kubeproxy"
	"github.com/steelyard-lb/steelyard/speaker/wire"
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

// Options are what Run needs; all but those marked optional.
type Options struct {
	Node      string // name of the Node object we run on
	Namespace string // of pools, advertisements, status objects and speaker Pods
	Class     string // --lb-class; empty serves Services without a class
	// GossipBind is where to gossip. Without an address it is the node's InternalIP, without a port GossipPort.
	GossipBind      netip.AddrPort
	KeyFile         string // optional: gossip is in the clear without it; see keyfile
	IgnoreExcludeLB bool
	Config          *rest.Config
	Wire            *wire.Wire
	Gossip          gossip.Timing
	Timing          ownership.Timing
	// KubeProxyURL is where the node's kube-proxy tells how it is, and KubeProxyPatience for how long it must have been so; see
	// kubeproxy. Optional: without the URL it is not asked.
	KubeProxyURL      string
	KubeProxyPatience time.Duration
	Probes            *daemon.Probes
	Log               logr.Logger
	Registerer        prometheus.Registerer // optional
}

// Speaker is one running speaker.
type Speaker struct {
	Options
	reader    client.Reader
	ring      *gossip.Ring
	core      *core.Core
	status    *statusWriter
	conflicts *conflictWriter
	events    recorder
	metrics   Metrics
	wake      chan struct{} // one slot: read the caches again
	pods      chan struct{} // one slot: the speaker Pods changed
	lastWord  lastWord      // for whoever asks
	secrets   keyfile.Secrets

	teller // what the core's goroutine remembers between two decisions
}

// Run is the whole life of a speaker. It returns nil after a graceful stop, when ctx ends; an error is for what waiting does
// not mend (an address in use, no right to open sockets).
func Run(ctx context.Context, o Options) error {
	kinds := []string{"IPAddressPool", "L2Advertisement", "ServiceL2Status"}
	if err := daemon.WaitForAPI(ctx, o.Config, v1beta1.GroupVersion.String(), kinds, o.Probes, o.Log); err != nil {
		return stopped(ctx, err)
	}
	// What the core needs outlives ctx, so that it can say good-bye.
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
		metrics: NewMetrics(o.Registerer), wake: make(chan struct{}, 1), pods: make(chan struct{}, 1), lastWord: lastWord{class: o.Class}}
	o.Probes.Tell(live.Path, &s.lastWord)
	s.status = newStatusWriter(cl.GetClient(), o, s.metrics.statusErrors)
	s.status.news = s.wake
	s.conflicts = newConflictWriter(cl.GetClient(), o, s.metrics.statusErrors)
	if err := s.watch(ctx, cl); err != nil {
		return stopped(ctx, err)
	}
	start("watching the API server", cl.Start)
	if err := s.prepare(ctx, life, cl); err != nil {
		return stopped(ctx, err)
	}
	start("reading the caches", s.follow)
	start("following the gossip keys", s.followKeys)
	start("asking kube-proxy", s.followKubeProxy)
	start("writing status", s.status.Run)
	start("writing conflicts", s.conflicts.Run)

	until, done := either(ctx, life)
	defer done()
	context.AfterFunc(ctx, s.status.rest) // the objects stay for whoever has the addresses next
	if err := s.core.Run(until); err != nil {
		return err
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

// prepare waits for the caches and for our Node, and makes the ring and the core.
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
	if err := s.status.look(until); err != nil {
		return err
	}
	bind, err := s.gossipAddress(until)
	if err != nil {
		return err
	}
	if s.secrets, err = keyfile.Read(s.KeyFile); err != nil {
		return fmt.Errorf("reading the gossip keys: %w", err)
	}
	s.ring, err = gossip.New(gossip.Config{Node: s.Node, Bind: bind, Secret: s.secrets.Send, Accept: s.secrets.Accept, Timing: s.Gossip,
		Log: s.Log.WithName("gossip"), Registerer: s.Registerer, Peers: func() []netip.AddrPort { return s.peers(life, bind) }})
	if err != nil {
		return err
	}
	s.core = core.New(core.Options{Node: s.Node, Ring: s.ring, Wire: s.Wire, Timing: s.Timing, IgnoreExcludeLB: s.IgnoreExcludeLB,
		Log: s.Log, Tell: s.tell, Waiting: s.waiting})
	s.Log.Info("gossiping", "node", s.Node, "address", bind.String())
	return nil
}

// followKeys gives the ring the keys of the files whenever they change.
func (s *Speaker) followKeys(ctx context.Context) error {
	rekey := func(k keyfile.Secrets) error { return s.ring.Rekey(k.Send, k.Accept...) }
	keyfile.Follow(ctx, s.KeyFile, s.secrets, rekey, s.Log.WithName("gossip"))
	return nil
}

// followKubeProxy tells the core how the node's kube-proxy is.
func (s *Speaker) followKubeProxy(ctx context.Context) error {
	kubeproxy.Follow(ctx, kubeproxy.Options{URL: s.KubeProxyURL, Patience: s.KubeProxyPatience, Tell: s.core.SetKubeProxy, Log: s.Log})
	return nil
}

// waiting shows what the core waits for.
func (s *Speaker) waiting(what string) {
	if what == "" {
		s.Probes.Ready()
		return
	}
	s.Probes.NotReady(what)
}
