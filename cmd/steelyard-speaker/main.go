// Command steelyard-speaker runs on every node and answers there for the LoadBalancer addresses that the node owns. This file
// is flags and wiring; what a speaker does is in package speaker.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/steelyard-lb/steelyard/internal/daemon"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/speaker"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/speaker/keyfile"
	"github.com/steelyard-lb/steelyard/speaker/kubeproxy"
	"github.com/steelyard-lb/steelyard/speaker/wire"
)

// options are the flags, parsed.
type options struct {
	daemon.Common
	node            string
	bind            netip.AddrPort
	keyFile         string
	gossip          gossip.Timing
	timing          ownership.Timing
	ignoreExcludeLB bool
	exclude         []*regexp.Regexp
	// kubeProxy is where to ask kube-proxy, empty for not at all.
	kubeProxy         string
	kubeProxyPatience time.Duration
}

func main() {
	var o options
	parse := func() error { return o.parse(os.Args[1:], os.Getenv) }
	os.Exit(daemon.Main(parse, func(ctx context.Context) error { return run(ctx, o) }))
}

// parse reads the flags and checks what can be checked without looking at the machine.
func (o *options) parse(args []string, getenv func(string) string) error {
	fs := flag.NewFlagSet("steelyard-speaker", flag.ContinueOnError)
	o.AddTo(fs, ":17947", "127.0.0.1:17948")
	var bind, exclude, profile string
	o.timing = ownership.DefaultTiming()
	fs.StringVar(&o.node, "node-name", "", "name of the Node that this speaker runs on; required")
	fs.StringVar(&bind, "gossip-bind-address", "", "IP:PORT to gossip on, UDP and TCP, as the other speakers reach it; without IP the node's InternalIP,\n"+
		fmt.Sprintf("        without PORT %d; all speakers use one port", speaker.GossipPort))
	fs.StringVar(&o.keyFile, "gossip-key-file", "", "file with the gossip secret, the same for all speakers, any bytes; empty gossips in the clear.\n"+
		"        FILE.next and FILE.previous hold secrets that are accepted too; changes of all three are followed")
	fs.StringVar(&profile, "gossip-profile", "fast", "how fast the silence of a speaker is noticed, and at what price: fast, lan or wan (see above)")
	fs.DurationVar(&o.timing.Hold, "hold", o.timing.Hold, "how long the addresses of a speaker that does not answer wait for it while its host lives; a standby answers for it meanwhile")
	fs.DurationVar(&o.timing.HoldRestart, "hold-restart", o.timing.HoldRestart, "the same for a speaker that was stopped in good order")
	fs.DurationVar(&o.timing.Tail, "drain-tail", o.timing.Tail, "how long a node that handed an address over still answers the new owner for it")
	fs.DurationVar(&o.timing.Rebalance, "rebalance-interval", o.timing.Rebalance, "least time between two addresses that a node with more than 1.25 times its share gives away; 0 never")
	fs.BoolVar(&o.ignoreExcludeLB, "ignore-exclude-lb", false, "let nodes labelled node.kubernetes.io/exclude-from-external-load-balancers announce too")
	fs.StringVar(&exclude, "exclude-interfaces", wire.DefaultExcludeInterfaces, "regular expressions of interfaces to leave alone, separated by commas; each matches\n"+
		"        anywhere in the name unless anchored with ^ and $; what is given replaces the default")
	fs.StringVar(&o.kubeProxy, "kube-proxy-health-url", "", "where kube-proxy on this node tells whether it is well, for example http://127.0.0.1:10256/livez: addresses leave a node\n"+
		"        where it is not for one where it is. Empty does not ask")
	fs.DurationVar(&o.kubeProxyPatience, "kube-proxy-patience", kubeproxy.Patience, "for how long kube-proxy must have been well, or not, before it is believed")
	if err := daemon.Parse(fs, about(), args, getenv); err != nil {
		return err
	}
	if o.node == "" {
		return errors.New("--node-name is missing: set it, or NODE_NAME, to the name of the Node that this speaker runs on")
	}
	var err error
	if o.bind, err = parseBind(bind); err != nil {
		return fmt.Errorf("--gossip-bind-address=%s: %w", bind, err)
	}
	if o.gossip, err = gossip.ParseProfile(profile); err != nil {
		return fmt.Errorf("--gossip-profile=%s: %w", profile, err)
	}
	if o.exclude, err = wire.ParseExclude(exclude); err != nil {
		return fmt.Errorf("--exclude-interfaces=%s: %w", exclude, err)
	}
	if err := kubeproxy.CheckURL(o.kubeProxy); err != nil {
		return fmt.Errorf("--kube-proxy-health-url=%s: %w", o.kubeProxy, err)
	}
	return nil
}

// parseBind reads "IP:PORT", "[IPv6]:PORT", "IP", ":PORT" or "". What is left out is zero.
func parseBind(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	if port, ok := strings.CutPrefix(s, ":"); ok && !strings.Contains(port, ":") {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return netip.AddrPort{}, fmt.Errorf("%q is not a port from 1 to 65535", port)
		}
		return netip.AddrPortFrom(netip.Addr{}, uint16(n)), nil
	}
	bind, err := netip.ParseAddrPort(s)
	if err != nil {
		addr, addrErr := netip.ParseAddr(s)
		if addrErr != nil {
			return netip.AddrPort{}, errors.New("want IP:PORT, for example 192.0.2.1:17944 or [2001:db8::1]:17944")
		}
		bind = netip.AddrPortFrom(addr, 0)
	}
	if bind.Addr().IsUnspecified() {
		return netip.AddrPort{}, errors.New("want the address at which the other speakers reach this one, not a wildcard")
	}
	return netip.AddrPortFrom(bind.Addr().Unmap(), bind.Port()), nil
}

func run(ctx context.Context, o options) error {
	log, err := o.Logger(os.Stderr)
	if err != nil {
		return err
	}
	if _, err := keyfile.Read(o.keyFile); err != nil { // told at once, not when the API server answers
		return fmt.Errorf("--gossip-key-file: %w", err)
	}
	cfg, err := o.RESTConfig()
	if err != nil {
		return err
	}
	// The servers go on while the speaker says goodbye.
	servers, stop := context.WithCancel(context.WithoutCancel(ctx))
	probes := daemon.NewProbes()
	waitProbes, err := daemon.ServeProbes(servers, o.ProbeAddr, probes)
	if err != nil {
		stop()
		return err
	}
	defer waitProbes()
	defer stop()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer serveMetrics(servers, stop, fail, o.Metrics, cfg, log)()
	registerer := speaker.OnNode(metrics.Registry, o.node)
	w := wire.New(wire.Options{Log: log.WithName("wire"), ExcludeInterfaces: o.exclude, Registerer: registerer})
	err = speaker.Run(ctx, speaker.Options{Node: o.node, Namespace: o.Namespace, Class: o.LBClass, GossipBind: o.bind, KeyFile: o.keyFile,
		Gossip: o.gossip, Timing: o.timing, IgnoreExcludeLB: o.ignoreExcludeLB, KubeProxyURL: o.kubeProxy, KubeProxyPatience: o.kubeProxyPatience, Config: cfg, Wire: w, Probes: probes, Log: log, Registerer: registerer})
	if err == nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		err = context.Cause(ctx) // the metrics server ended us
	}
	return err
}

// serveMetrics serves until servers ends; should that fail, it ends the speaker. The function that it returns stops the servers and
// waits.
func serveMetrics(servers context.Context, stop context.CancelFunc, fail context.CancelCauseFunc, m daemon.Metrics, cfg *rest.Config, log logr.Logger) func() {
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := daemon.ServeMetrics(servers, m, cfg, log); err != nil {
			fail(err)
		}
	})
	return func() { stop(); serving.Wait() }
}

// about is the text above the flags in --help.
func about() string {
	var table strings.Builder
	for _, p := range gossip.Profiles() {
		_, missed := p.Timing.Notice()
		least, most := p.Timing.Detection(3)
		leastMany, mostMany := p.Timing.Detection(100)
		fmt.Fprintf(&table, "    %-5s pings %-6v missed after %-6v by gossip alone %v to %v (3 speakers), %v to %v (100); %.0f packets/s\n", p.Name,
			p.Timing.PingInterval, missed, least, most, leastMany.Round(time.Millisecond), mostMany.Round(time.Millisecond), p.Timing.Packets(3))
	}
	return fmt.Sprintf(`steelyard-speaker makes this node answer ARP and NDP for the LoadBalancer addresses that it owns.

Every speaker looks at the same Services, Nodes, IPAddressPools and L2Advertisements and decides by the same rules which node may own
which address; they find each other through their pods and tell each other what they own. It needs the capability NET_RAW and the
node's own network namespace.

How the death of a node is noticed: each speaker pings its two neighbours in a ring of all. One that is missed is asked on the LAN
for its own address, three times in 80 ms; a host that does not answer is dead within 200 ms, and its addresses go to the standbys
that it named. A host that answers keeps them: a speaker that answers too is cut off from gossip only, and for one that does not a
standby answers in its name, for --hold at most (--hold-restart when it said that it would be back). Where the LAN does not let nodes
ask each other, gossip alone decides, with n speakers after
    probe interval + suspicion multiplier × max(1, log10 n) × probe interval, and up to two probe intervals more.
Profiles (--gossip-profile):
%s
SIGTERM: the speaker says that it will be back and stops; its addresses wait for it, unless its node goes out of service (excluded,
shutting down, or tainted out-of-service): then they go to other nodes first.`, table.String())
}
