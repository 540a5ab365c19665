package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/simnet"
)

// after is what promise 6 gives a cluster to come to rest, and a little for the questions of the witness.
const after = time.Second

func TestAClusterComesToRest(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 50} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			inBubble(t, shape{seed: 1, nodes: n, addresses: 4}, func(c *cluster) {
				c.settled("after the start")
				time.Sleep(10 * time.Second)
				c.settled("ten seconds later")
				if silence, double := c.witness.worst(); silence > 0 || double > 0 {
					c.errorf("nobody answered for %v, two for %v", silence, double)
				}
			})
		})
	}
}

// moving says whose addresses may move.
type moving uint8

const (
	nobodys moving = iota // none at all
	victims               // those of the victim, and they must
	maybe                 // those of the victim, or not
)

// scenario is one fault and what may come of it.
type scenario struct {
	name  string
	fault func(c *cluster, v *node)
	last  time.Duration // from the fault to its end
	heal  func(c *cluster, v *node)
	moves moving
	// silence is the longest time without an answer for an address of the victim, others for one of another node.
	silence, others time.Duration
	// rests says that the cluster is at rest in the last second of the fault.
	rests bool
	// flows says that no packet to any address may be lost, or go to another node.
	flows bool
}

func scenarios() []scenario {
	stopFor := func(d time.Duration) scenario {
		return scenario{name: fmt.Sprintf("a process is stopped for %v", d), fault: stop, last: d, heal: cont,
			silence: time.Second, rests: d >= 2*time.Second, flows: true}
	}
	freezeFor := func(d time.Duration, moves moving) scenario {
		return scenario{name: fmt.Sprintf("a host is paused for %v", d), fault: freeze, last: d, heal: thaw, moves: moves, silence: time.Second,
			rests: d >= 2*time.Second}
	}
	return []scenario{
		{name: "a power cut", fault: cutPower, last: 10 * time.Second, heal: boot, moves: victims, silence: time.Second, rests: true},
		stopFor(100 * time.Millisecond), stopFor(400 * time.Millisecond), stopFor(time.Second), stopFor(2 * time.Second), stopFor(5 * time.Second),
		{name: "a process is stopped for 30s", fault: stop, last: 30 * time.Second, heal: cont, moves: victims, silence: time.Second, rests: true},
		freezeFor(100*time.Millisecond, nobodys), freezeFor(400*time.Millisecond, maybe), freezeFor(time.Second, maybe),
		freezeFor(2*time.Second, victims), freezeFor(5*time.Second, victims), freezeFor(30*time.Second, victims),
		{name: "a process is killed and comes back after 2s", fault: kill, last: 2 * time.Second, heal: boot, silence: time.Second, flows: true},
		{name: "a process is killed and does not come back", fault: kill, last: 15 * time.Second, heal: boot, moves: victims, silence: time.Second, rests: true},
		{name: "a process is restarted", fault: terminate, last: 2 * time.Second, heal: boot, silence: time.Second, flows: true, rests: true},
		{name: "a process is restarted and takes 20s", fault: terminate, last: 20 * time.Second, heal: boot, silence: time.Second, flows: true, rests: true},
		{name: "a process is killed, and back without the API server for 5s", fault: revive(kill), last: 5 * time.Second, heal: world,
			silence: time.Second, flows: true, rests: true},
		{name: "a process is killed, and back without the API server for 30s", fault: revive(kill), last: 30 * time.Second, heal: world,
			moves: victims, silence: time.Second, rests: true},
		{name: "a process is restarted without the API server for 20s", fault: revive(terminate), last: 20 * time.Second, heal: world,
			silence: time.Second, flows: true, rests: true},
		{name: "a process is restarted without the API server for 90s", fault: revive(terminate), last: 90 * time.Second, heal: world,
			moves: victims, silence: time.Second, rests: true},
		{name: "gossip of one is cut", fault: noGossip, last: 60 * time.Second, heal: heal, silence: 0, flows: true, rests: true},
		{name: "gossip of one is cut for a moment", fault: noGossip, last: 500 * time.Millisecond, heal: heal, flows: true},
		{name: "gossip is cut one way, out", fault: gossipBlock(simnet.Out), last: 20 * time.Second, heal: heal, flows: true, rests: true},
		{name: "gossip is cut one way, in", fault: gossipBlock(simnet.In), last: 20 * time.Second, heal: heal, flows: true, rests: true},
		{name: "the cable of one is pulled", fault: unplug, last: 10 * time.Second, heal: plug, moves: victims, silence: time.Second, rests: true},
		{name: "a link flaps", fault: flap, last: 2 * time.Second, heal: func(*cluster, *node) {}, silence: 150 * time.Millisecond, rests: true},
		{name: "a port is deaf and dumb for 30s", fault: deaf, last: 30 * time.Second, heal: heal, moves: victims, silence: time.Second, rests: true},
		{name: "a port hears nothing", fault: lanBlock(simnet.In), last: 20 * time.Second, heal: heal, moves: victims, silence: time.Second, rests: true},
		{name: "a port says nothing", fault: lanBlock(simnet.Out), last: 20 * time.Second, heal: heal, moves: victims, silence: 2 * time.Second, rests: true},
		{name: "a cable carries nothing in, gossip neither", fault: bothBlock(simnet.In), last: 20 * time.Second, heal: heal, moves: victims, silence: time.Second, rests: true},
		{name: "the same for 5s", fault: bothBlock(simnet.In), last: 5 * time.Second, heal: heal, moves: victims, silence: time.Second, rests: true},
		{name: "a cable carries nothing out, gossip neither", fault: bothBlock(simnet.Out), last: 20 * time.Second, heal: heal, moves: victims, silence: time.Second, rests: true},
		{name: "one loses LAN and gossip", fault: island, last: 20 * time.Second, heal: heal, moves: victims, silence: time.Second, rests: true},
		{name: "a tenth of all packets is lost", fault: loss(0.1), last: 30 * time.Second, heal: heal, silence: 500 * time.Millisecond, others: 500 * time.Millisecond},
		{name: "a node is slow", fault: slow(30 * time.Millisecond), last: 20 * time.Second, heal: heal, rests: false, silence: 100 * time.Millisecond},
		{name: "a node is excluded and comes back", fault: exclude(true), last: 10 * time.Second, heal: exclude(false), moves: victims, rests: true},
		{name: "a node goes out of service", fault: taint(true), last: 10 * time.Second, heal: taint(false), moves: victims, rests: true},
	}
}

func TestOneFault(t *testing.T) {
	for _, s := range scenarios() {
		for _, n := range []int{3, 5} {
			t.Run(fmt.Sprintf("%s/%d", s.name, n), func(t *testing.T) {
				t.Parallel()
				inBubble(t, shape{seed: uint64(n), nodes: n, addresses: 6}, func(c *cluster) { c.try(s) })
			})
		}
	}
}

// try runs a scenario.
func (c *cluster) try(s scenario) {
	c.t.Helper()
	c.settled("before")
	v := c.victim()
	before := c.owners()
	c.witness.reset()
	c.log("FAULT: %s, of %s", s.name, v.name)
	s.fault(c, v)
	if s.rests {
		time.Sleep(s.last - after)
		c.settled("at the end of the fault")
		time.Sleep(after - 100*time.Millisecond)
	} else {
		time.Sleep(s.last)
	}
	c.log("HEAL")
	s.heal(c, v)
	time.Sleep(after)
	c.settled("a second after the end")
	c.judge(s, v, before)
	time.Sleep(20 * time.Second)
	c.settled("long after")
	if late := c.moves(c.owners(), before); s.moves == nobodys && len(late) > 0 {
		c.errorf("promise 4 or 8: moved later: %v", late)
	}
}

// judge checks what a scenario may bring.
func (c *cluster) judge(s scenario, v *node, before map[netip.Addr]string) {
	c.t.Helper()
	now := c.owners()
	for _, vip := range c.moves(before, now) {
		if s.moves == nobodys || before[vip] != v.name {
			c.errorf("promise 4 or 8: %v moved from %s to %s", vip, before[vip], now[vip])
		}
	}
	if s.moves == victims && slices.Contains(values(now), v.name) {
		c.errorf("%s still owns: %v", v.name, now)
	}
	silence, double := c.witness.silence(func(vip netip.Addr) bool { return before[vip] == v.name })
	c.t.Logf("silent %v, two answerers %v", silence, double)
	if silence > s.silence+round {
		c.errorf("promise 3 or 4: an address of %s was silent for %v, limit %v", v.name, silence, s.silence)
	}
	if double > after {
		c.errorf("promise 6: two answered for %v", double)
	}
	others, double := c.witness.silence(func(vip netip.Addr) bool { return before[vip] != v.name })
	if others > s.others+round {
		c.errorf("promise 8: an address of another node was silent for %v", others)
	}
	if double > after {
		c.errorf("promise 6: two answered for %v for an address of another node", double)
	}
	if s.flows {
		c.flows(before)
	}
}

// flows checks that every packet of every flow has come to the node that owned its address all the time.
func (c *cluster) flows(owners map[netip.Addr]string) {
	c.t.Helper()
	w := c.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	lost, astray := 0, 0
	for number, vip := range w.to {
		switch by, ok := w.taken[number]; {
		case !ok && number+3*flowAddresses < w.sent:
			lost++
		case ok && by != owners[vip]:
			astray++
		}
	}
	if lost > 0 || astray > 0 {
		c.errorf("promise 4: of %d packets %d were lost and %d went to another node", len(w.to), lost, astray)
	}
}

// victim is the node that owns the first address.
func (c *cluster) victim() *node {
	if n := c.owner(c.vips[0]); n != nil {
		return n
	}
	c.t.Fatalf("nobody owns %v", c.vips[0])
	return nil
}

// owners says who owns each address; "" where nobody or two do.
func (c *cluster) owners() map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for _, vip := range c.vips {
		if n := c.owner(vip); n != nil {
			out[vip] = n.name
		}
	}
	return out
}

// moves returns the addresses whose owner is not the same, sorted.
func (c *cluster) moves(a, b map[netip.Addr]string) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(c.vips), func(vip netip.Addr) bool { return a[vip] == b[vip] })
}

func values(m map[netip.Addr]string) (out []string) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// silence returns the longest time without an answer, and with two answerers, over some addresses.
func (w *witness) silence(of func(netip.Addr) bool) (none, double time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, vip := range w.cluster.vips {
		if of(vip) {
			none, double = max(none, w.longest[vip]), max(double, w.twice[vip])
		}
	}
	return none, double
}
