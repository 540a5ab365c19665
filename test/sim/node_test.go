package sim

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/internal/simnet"
	"github.com/steelyard-lb/steelyard/speaker/core"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/speaker/wire"
)

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

// run begins a life of the speaker.
func (n *node) run() {
	n.await()
	c := n.cluster
	c.mu.Lock()
	world := c.world
	c.mu.Unlock()
	n.life.core.Set(world)
}

// await begins a life to which the API server has said nothing yet.
func (n *node) await() {
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
