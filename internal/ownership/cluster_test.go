package ownership

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// A cluster for scenario scripts: nodes that decide by Decide, tell each other their states with a delay, and have witnesses that
// are never wrong, only late. Time is a number. What real gossip and real frames do with it is tried elsewhere.
const (
	step = 20 * time.Millisecond
	// How late the witnesses are, from the moment that something breaks or heals.
	pingsMissed  = 250 * time.Millisecond
	gossipDecide = 1200 * time.Millisecond
	probesMissed = 400 * time.Millisecond
	deafAfter    = 1500 * time.Millisecond
	checkTakes   = 200 * time.Millisecond
)

type cluster struct {
	now      time.Time
	nodes    []*member
	services []lb.Service
	ads      []lb.Advertisement
	timing   Timing
	proxy    bool                  // a router answers for everything
	stranger map[netip.Addr]lb.MAC // who answers though nobody asked it to
	moves    []string
	owner    map[netip.Addr]string
	naps     map[string]nap
	// overslept are decisions that changed by themselves before the one before asked to be woken.
	overslept []string
}

type member struct {
	name    string
	object  lb.Node
	mac     lb.MAC
	boot    uint64
	seq     uint64
	up      bool // the host has power
	running bool // the speaker process runs
	stopped bool // it is held by SIGSTOP
	linkUp  bool
	cable   bool            // frames pass (false with linkUp: a deaf port)
	mute    bool            // frames come in, and none go out
	proxy   lb.Life         // what its kube-proxy says; Unknown: it is not asked
	restart bool            // it has said that it will be back
	left    bool            // it has said good-bye
	gossip  map[string]bool // with whom gossip is cut
	wire    map[string]bool // whom it cannot reach on the wire though both cables are fine
	mem     Memory
	told    lb.Speaker
	heard   map[string]lb.Speaker
	answers []Answer
	checks  map[netip.Addr]time.Time
	probed  map[netip.Addr]Probed
	broken  map[string]time.Time // since when gossip with a peer is broken
	silent  map[string]time.Time // since when a peer's host is
	met     map[string]bool      // peers whose host was ever heard on the wire
	alone   time.Time            // since when nobody is heard on the wire
	woken   bool
}

func newCluster(n int) *cluster {
	c := &cluster{now: day, naps: map[string]nap{}, stranger: map[netip.Addr]lb.MAC{}, owner: map[netip.Addr]string{}, ads: []lb.Advertisement{{Name: "ad"}}, timing: DefaultTiming()}
	for i := range n {
		m := &member{name: fmt.Sprintf("n%d", i+1), mac: lb.MAC{2, 0, 0, 0, 0, byte(i + 1)}, up: true, linkUp: true, cable: true,
			gossip: map[string]bool{}, wire: map[string]bool{}}
		m.object = lb.Node{Name: m.name, Labels: map[string]string{"name": m.name}}
		c.nodes = append(c.nodes, m)
		c.start(m, nil)
	}
	return c
}

// start begins a life of the speaker. What the peers remember of the one before is taken up.
func (c *cluster) start(m *member, _ []string) {
	m.boot, m.seq = uint64(c.now.UnixNano()), 0
	m.running, m.stopped, m.left, m.restart, m.woken = true, false, false, false, false
	m.heard, m.answers, m.checks = map[string]lb.Speaker{}, nil, map[netip.Addr]time.Time{}
	m.broken, m.silent, m.met, m.alone = map[string]time.Time{}, map[string]time.Time{}, map[string]bool{}, time.Time{}
	m.mem, m.told = Memory{}, lb.Speaker{}
	for _, o := range c.nodes {
		if o == m || !c.talks(m, o) {
			continue
		}
		m.heard[o.name] = o.told
		if former, ok := o.heard[m.name]; ok {
			m.mem = Resume(former.Claims)
		}
	}
}

func (c *cluster) node(name string) *member {
	for _, m := range c.nodes {
		if m.name == name {
			return m
		}
	}
	panic("no node " + name)
}

// talks says whether gossip passes between two speakers.
func (c *cluster) talks(a, b *member) bool {
	lan := a.linkUp && b.linkUp && a.cable && b.cable
	return a.up && b.up && a.running && b.running && !a.stopped && !b.stopped && lan && !a.gossip[b.name] && !b.gossip[a.name] && !a.left && !b.left
}

// reaches says whether frames from a arrive at b's kernel.
func (c *cluster) reaches(a, b *member) bool {
	return a.up && b.up && a.linkUp && b.linkUp && a.cable && b.cable && !a.mute && !a.wire[b.name]
}

func (c *cluster) run(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(step) {
		for _, m := range c.nodes {
			c.deliver(m)
		}
		for _, m := range c.nodes {
			if m.up && m.running && !m.stopped {
				c.decide(m)
			}
		}
		c.note()
	}
}

// deliver tells everybody who can be told what a node said in the step before.
func (c *cluster) deliver(m *member) {
	for _, o := range c.nodes {
		if o != m && m.told.Boot != 0 && c.talks(m, o) && !m.told.Restarting || o != m && m.restart && !m.left && c.talks(m, o) {
			o.heard[m.name] = m.told
		}
	}
}

// since keeps the time at which something became true.
func since(at map[string]time.Time, key string, is bool, now time.Time) (time.Duration, bool) {
	if !is {
		delete(at, key)
		return 0, false
	}
	if _, ok := at[key]; !ok {
		at[key] = now
	}
	return now.Sub(at[key]), true
}

func (c *cluster) peers(m *member) []lb.Peer {
	var out []lb.Peer
	for _, o := range c.nodes {
		if _, known := m.heard[o.name]; o == m || !known {
			continue
		}
		p := lb.Peer{Node: o.name, Gossip: lb.Alive}
		if quiet, cut := since(m.broken, o.name, !c.talks(m, o) || m.heard[o.name].Boot != o.boot, c.now); cut && quiet >= pingsMissed || o.left {
			p.Gossip, p.Silent, p.Left = lb.Unknown, m.broken[o.name], o.left
			if quiet >= gossipDecide || o.left {
				p.Gossip = lb.Dead
			}
		}
		both := c.reaches(m, o) && c.reaches(o, m)
		m.met[o.name] = m.met[o.name] || both
		host := lb.Unknown
		if m.met[o.name] {
			host = lb.Alive
			if quiet, dead := since(m.silent, o.name, !both, c.now); dead && quiet >= probesMissed {
				host = lb.Dead
			}
		}
		p.Hosts = []lb.HostLife{{Interface: "eth0", Life: host}}
		if p.Gossip != lb.Alive && host == lb.Alive {
			p.Answer = lb.Dead
			if o.running && !o.stopped {
				p.Answer = lb.Alive
			}
		}
		out = append(out, p)
	}
	return out
}

func (c *cluster) decide(m *member) {
	peers := c.peers(m)
	self := lb.Speaker{Node: m.name, Boot: m.boot, Restarting: m.restart, KubeProxy: m.proxy, Interfaces: []lb.Interface{{Name: "eth0", Up: m.linkUp, MACs: []lb.MAC{m.mac},
		Prefixes: []netip.Prefix{onLAN}}}}
	hears := len(c.nodes) == 1
	for _, p := range peers {
		o := c.node(p.Node)
		hears = hears || c.reaches(o, m)
		if p.Hosts[0].Life == lb.Dead {
			self.Lost = append(self.Lost, lb.Loss{Node: p.Node, Interface: "eth0"})
		}
	}
	if hears {
		m.alone = time.Time{}
	} else if m.alone.IsZero() {
		m.alone = c.now
	}
	self.Interfaces[0].Deaf = !m.alone.IsZero() && slices.Contains(slices.Collect(maps.Values(m.met)), true) && c.now.Sub(m.alone) >= deafAfter
	v := View{Now: c.now, Self: m.name, Peers: peers, Services: c.services, Pools: []lb.Pool{{Name: "p", Ranges: ranges("192.168.1.10-192.168.1.250")}},
		Advertisements: c.ads, Mine: m.mem, Stalled: m.woken, Timing: c.timing, Probed: c.probed(m), Foreign: c.foreign(m)}
	for _, o := range c.nodes {
		v.Nodes = append(v.Nodes, o.object)
		if s, ok := m.heard[o.name]; ok {
			v.Speakers = append(v.Speakers, s)
		}
	}
	v.Speakers = append(v.Speakers, self)
	slices.SortFunc(v.Speakers, func(a, b lb.Speaker) int { return strings.Compare(a.Node, b.Node) })
	d := Decide(v)
	c.doze(v, d)
	m.mem, m.answers = d.Memory, d.Answers
	self.Claims = d.Claims
	m.seq++
	self.Seq = m.seq
	m.told = self
	checks := map[netip.Addr]time.Time{}
	for _, k := range d.Check {
		checks[k.Addr] = m.checks[k.Addr]
		if checks[k.Addr].IsZero() {
			checks[k.Addr] = c.now
		}
	}
	m.checks = checks
	if m.woken && (slices.ContainsFunc(peers, func(p lb.Peer) bool { return p.Gossip == lb.Alive }) || len(c.nodes) == 1) {
		m.woken = false
	}
}
