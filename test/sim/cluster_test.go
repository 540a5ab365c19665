package sim

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/internal/simnet"
	"github.com/steelyard-lb/steelyard/speaker/core"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/speaker/wire"
)

// shape is what a cluster is made of.
type shape struct {
	seed      uint64
	nodes     int
	addresses int // of each family
	isolated  bool
	keys      map[string]string // the gossip key of nodes that have another one than the rest
	timing    ownership.Timing
}

// cluster is some speakers on one segment, n01, n02, … and a witness.
type cluster struct {
	shape
	t       testing.TB
	begun   time.Time
	lan     *simnet.Switch
	net     *simnet.Network
	nodes   []*node
	vips    []netip.Addr
	witness *witness

	mu    sync.Mutex
	lines []string
	world core.World
}

// node is a host and the lives of its speaker.
type node struct {
	cluster *cluster
	name    string
	host    *simnet.Host
	nic     *simnet.NIC
	addr    netip.AddrPort
	mac     lb.MAC
	life    *life   // the last one
	ended   []*life // those before
}

// life is one process of a speaker.
type life struct {
	process *simnet.Process
	core    *core.Core
	cancel  context.CancelFunc
	done    chan error

	mu   sync.Mutex
	told []told // of its decisions, the last ones
	spin int    // how many at one instant
}

// told is what a decision said.
type told struct {
	at      time.Time
	answers map[netip.Addr]bool
	owned   map[netip.Addr]lb.Claim
	others  string // for whom it stands in, and whom it sees how
}

// inBubble runs a test on a cluster that has come to rest.
func inBubble(t *testing.T, s shape, test func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := build(t, s)
		defer c.end()
		c.start()
		test(c)
	})
}

func build(t testing.TB, s shape) *cluster {
	if s.timing == (ownership.Timing{}) {
		s.timing = ownership.DefaultTiming()
		s.timing.Rebalance = 0
	}
	c := &cluster{shape: s, t: t, begun: time.Now(), lan: simnet.NewSwitch(s.seed), net: simnet.NewNetwork(s.seed)}
	for i := range s.nodes {
		c.nodes = append(c.nodes, c.node(i))
	}
	for i := range s.addresses {
		c.vips = append(c.vips, netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}), v6(0x100+i))
	}
	slices.SortFunc(c.vips, netip.Addr.Compare)
	c.world = c.objects()
	c.witness = newWitness(c)
	return c
}

func v6(last int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(last >> 8), 15: byte(last)})
}

// onLAN are the addresses of station number last.
func onLAN(last byte) []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 24),
		netip.PrefixFrom(v6(int(last)), 64),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0x80, 15: last}), 64),
	}
}

func (c *cluster) node(i int) *node {
	n := &node{cluster: c, name: fmt.Sprintf("n%02d", i+1), mac: lb.MAC{2, 0, 0, 0, 0, byte(i + 1)},
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 7946)}
	n.host = simnet.NewHost(n.name)
	n.nic = n.host.Attach(c.lan, "lan0", n.mac, onLAN(byte(i+1))...)
	n.nic.Port().SetIsolated(c.isolated)
	c.net.Attach(n.host, n.addr.Addr())
	return n
}

// objects are what the API server says.
func (c *cluster) objects() core.World {
	w := core.World{
		Pools: []lb.Pool{{Name: "pool", Ranges: []netipx.IPRange{
			netipx.IPRangeFrom(netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.239")), netipx.IPRangeFrom(v6(0x100), v6(0x4ff)),
		}}},
		Advertisements: []lb.Advertisement{{Name: "all"}}, Expected: len(c.nodes), MACs: map[lb.MAC]string{},
	}
	endpoints := map[string]lb.Endpoints{}
	for _, n := range c.nodes {
		w.Nodes = append(w.Nodes, lb.Node{Name: n.name})
		w.MACs[n.mac] = n.name
		endpoints[n.name] = lb.Endpoints{Ready: 1, Serving: 1}
	}
	for i, vip := range c.vips {
		w.Services = append(w.Services, lb.Service{Name: lb.Name{Namespace: "default", Name: fmt.Sprintf("s%03d", i)}, UID: fmt.Sprint(i), Managed: true,
			Families: []lb.Family{lb.FamilyOf(vip)}, Held: []netip.Addr{vip}, Ports: []lb.Port{{Protocol: "TCP", Number: 80}}, Endpoints: endpoints})
	}
	return w
}

// change lets the API server say something else, to every speaker.
func (c *cluster) change(f func(*core.World)) {
	c.mu.Lock()
	w := c.world
	w.Nodes, w.Services, w.Advertisements = slices.Clone(w.Nodes), slices.Clone(w.Services), slices.Clone(w.Advertisements)
	f(&w)
	c.world = w
	c.mu.Unlock()
	for _, n := range c.nodes {
		if n.life != nil {
			n.life.core.Set(w)
		}
	}
}

// start starts all speakers and waits until all is settled.
func (c *cluster) start() {
	for _, n := range c.nodes {
		n.run()
	}
	c.witness.patrol()
	time.Sleep(6 * time.Second)
	c.log("all started")
	c.witness.reset()
}

// run begins a life of the speaker.
func (n *node) run() {
	c := n.cluster
	l := &life{process: simnet.NewProcess(), done: make(chan error, 1)}
	log := funcr.New(func(prefix, args string) { c.log("%s: %s %s", n.name, prefix, args) }, funcr.Options{})
	key := "secret"
	if k, ok := c.keys[n.name]; ok {
		key = k
	}
	ring, err := gossip.New(gossip.Config{Node: n.name, Bind: n.addr, Secret: []byte(key), Peers: c.peers, Log: log.WithName("gossip"),
		Transport: newTransport(c.net, n.host, l.process, n.addr)})
	if err != nil {
		c.t.Fatal(err)
	}
	w := wire.New(wire.Options{Log: log.WithName("wire"), Host: machine{n.host, l.process}, Beats: l.process.Beats(50 * time.Millisecond)})
	l.core = core.New(core.Options{Node: n.name, Ring: ring, Wire: w, Timing: c.timing, Log: log.WithName("core"),
		Tell: func(v ownership.View, d ownership.Decision) {
			if l.tell(n, v, d) {
				c.errorf("%s decides again and again, at last on %v", n.name, d.Claims)
				time.Sleep(time.Second) // or time would stand still
			}
			l.process.Wait()
		}})
	c.mu.Lock()
	world := c.world
	c.mu.Unlock()
	l.core.Set(world)
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	if n.life != nil {
		n.ended = append(n.ended, n.life)
	}
	n.life = l
	go func() { l.done <- l.core.Run(ctx) }()
}

// tell takes down what a decision said, and who owns what. It returns true for the last of far too many decisions at one instant.
func (l *life) tell(n *node, v ownership.View, d ownership.Decision) bool {
	const tooMany = 200
	now := told{at: time.Now(), answers: map[netip.Addr]bool{}, owned: map[netip.Addr]lb.Claim{}}
	standIn := map[string]int{}
	for _, a := range d.Answers {
		now.answers[a.Addr] = true
		if a.Kind == neighbor.StandIn {
			standIn[a.Node]++
		}
	}
	now.others = fmt.Sprintf("stands in for %v, %s", standIn, witnesses(v))
	for _, claim := range d.Claims {
		now.owned[claim.Addr] = claim
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := told{}
	if k := len(l.told); k > 0 {
		before = l.told[k-1]
	}
	if now.others != before.others {
		n.cluster.log("%s %s", n.name, now.others)
	}
	for addr, claim := range now.owned {
		if _, had := before.owned[addr]; !had {
			n.cluster.log("%s claims %v (%v, from %q, standby %q, evidence %d)", n.name, addr, claim.Cause, claim.From, claim.Standby, claim.Evidence)
		}
	}
	for addr := range before.owned {
		if _, has := now.owned[addr]; !has {
			n.cluster.log("%s claims %v no more", n.name, addr)
		}
	}
	l.spin++
	if !now.at.Equal(before.at) {
		l.spin = 0
	}
	l.told = append(l.told, now)
	if len(l.told) > 64 {
		l.told = slices.Clone(l.told[32:])
	}
	return l.spin == tooMany
}

// witnesses says in short how a speaker sees the others: gossip, hosts and answer of those that are not just alive.
func witnesses(v ownership.View) string {
	letter := func(l lb.Life) string { return [...]string{"?", "+", "-"}[l] }
	var out []string
	for _, p := range v.Peers {
		s := letter(p.Gossip) + "/"
		for _, h := range p.Hosts {
			s += letter(h.Life)
		}
		if s += "/" + letter(p.Answer); s != "+/+/?" {
			out = append(out, p.Node+" "+s)
		}
	}
	for _, s := range v.Speakers {
		if s.Node == v.Self && len(s.Interfaces) > 0 && s.Interfaces[0].Deaf {
			out = append(out, "deaf")
		}
	}
	if v.Stalled {
		out = append(out, "stalled")
	}
	return "sees [" + strings.Join(out, ", ") + "]"
}

// said says whether the life had decided to answer for addr at some time from about then on.
func (l *life) said(addr netip.Addr, at time.Time) bool {
	const about = 20 * time.Millisecond
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, d := range l.told {
		over := i+1 < len(l.told) && l.told[i+1].at.Before(at.Add(-about))
		if !over && d.at.Before(at.Add(about)) && d.answers[addr] {
			return true
		}
	}
	return false
}

// said is the same for all lives.
func (n *node) said(addr netip.Addr, at time.Time) bool {
	return n.life.said(addr, at) || slices.ContainsFunc(n.ended, func(l *life) bool { return l.said(addr, at) })
}

func (l *life) owns(addr netip.Addr) (lb.Claim, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.told) == 0 {
		return lb.Claim{}, false
	}
	claim, ok := l.told[len(l.told)-1].owned[addr]
	return claim, ok
}

func (c *cluster) peers() []netip.AddrPort {
	var out []netip.AddrPort
	for _, n := range c.nodes {
		out = append(out, n.addr)
	}
	return out
}

// stop is SIGSTOP. A new word of the API server has the core reach the barrier at once.
func (n *node) stop() {
	c := n.cluster
	n.life.process.Stop()
	c.mu.Lock()
	w := c.world
	c.mu.Unlock()
	n.life.core.Set(w)
	c.log("%s stopped", n.name)
}

func (n *node) cont() {
	n.life.process.Continue()
	n.cluster.log("%s continued", n.name)
}

// kill is SIGKILL.
func (n *node) kill() {
	n.life.process.Kill()
	n.life.process.Continue()
	n.life.cancel()
	n.cluster.log("%s killed", n.name)
}

// terminate is SIGTERM, and waits for the end.
func (n *node) terminate() {
	n.cluster.log("%s terminated", n.name)
	n.life.cancel()
	if err := <-n.life.done; err != nil {
		n.cluster.t.Errorf("%s: %v", n.name, err)
	}
	n.life.done <- nil
	n.life.process.Kill()
	n.cluster.log("%s ended", n.name)
}

// cutPower kills the host and all on it.
func (n *node) cutPower() {
	n.host.SetPower(false)
	n.cluster.log("%s has no power", n.name)
	n.kill()
}

// boot begins anew after kill, terminate or cutPower.
func (n *node) boot() {
	n.host.SetPower(true)
	n.run()
	n.cluster.log("%s starts", n.name)
}

// freeze stops the host and all on it, as a hypervisor does.
func (n *node) freeze() { n.host.SetPower(false); n.stop() }

func (n *node) thaw() { n.host.SetPower(true); n.cont() }

// up says whether the host and the process are there, stopped or not.
func (n *node) up() bool {
	select {
	case err := <-n.life.done:
		n.life.done <- err
		return false
	default:
	}
	return n.host.Powered()
}

// end ends all and waits for every goroutine.
func (c *cluster) end() {
	c.witness.end()
	var lives []*life
	for _, n := range c.nodes {
		n.kill()
		lives = append(append(lives, n.ended...), n.life)
	}
	for _, l := range lives {
		<-l.done
	}
	for _, n := range c.nodes {
		n.nic.Port().Unplug()
	}
	time.Sleep(time.Minute) // memberlist's own goroutines end when what they wait for is over
	if c.t.Failed() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Logf("seed %d, %d nodes:\n%s", c.seed, len(c.nodes), strings.Join(c.lines, "\n"))
	}
}

// log takes down an event.
func (c *cluster) log(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf("%8.3f  ", time.Since(c.begun).Seconds())+fmt.Sprintf(format, args...))
}

// errorf reports a broken promise, and puts it among the events.
func (c *cluster) errorf(format string, args ...any) {
	c.t.Helper()
	c.log("BROKEN: "+format, args...)
	c.t.Errorf("%.3f: %s", time.Since(c.begun).Seconds(), fmt.Sprintf(format, args...))
}

// owner returns the node that claims addr; nil when none or two do.
func (c *cluster) owner(addr netip.Addr) *node {
	var out *node
	for _, n := range c.nodes {
		if _, ok := n.life.owns(addr); ok && n.up() {
			if out != nil {
				return nil
			}
			out = n
		}
	}
	return out
}
