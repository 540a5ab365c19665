package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/internal/simnet"
	"github.com/steelyard-lb/steelyard/speaker/core"
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
		Advertisements: []lb.Advertisement{{Name: "all"}}, MACs: map[lb.MAC]string{},
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

func (c *cluster) peers() []netip.AddrPort {
	var out []netip.AddrPort
	for _, n := range c.nodes {
		out = append(out, n.addr)
	}
	return out
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
