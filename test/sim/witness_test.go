package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/simnet"
)

const (
	// round is the pause between two questions of the witness about one address; what comes in it is the answer.
	round = 50 * time.Millisecond
	// flowAddresses are so many addresses to which a packet goes every round.
	flowAddresses = 4
)

// answer is one that the witness heard.
type answer struct {
	by      string // the node by its Ethernet source
	payload lb.MAC
	at      time.Time
}

func (a answer) String() string { return fmt.Sprintf("%s with %v", a.by, a.payload) }

// witness asks on the segment and writes down what it hears.
type witness struct {
	cluster *cluster
	client  *simnet.Client
	stop    chan struct{}
	ended   chan struct{}
	names   map[lb.MAC]string

	mu        sync.Mutex
	answers   map[netip.Addr][]answer  // since the last round
	announced map[netip.Addr][]answer  // all announcements
	silent    map[netip.Addr]time.Time // since when nobody answers; not there while somebody does
	double    map[netip.Addr]time.Time // since when two do
	longest   map[netip.Addr]time.Duration
	twice     map[netip.Addr]time.Duration
	sent      uint64
	taken     map[uint64]string // which node got which packet of a flow
	to        map[uint64]netip.Addr
	paused    bool
	pauses    int
}

func newWitness(c *cluster) *witness {
	w := &witness{cluster: c, stop: make(chan struct{}), ended: make(chan struct{}), names: map[lb.MAC]string{}, announced: map[netip.Addr][]answer{},
		silent: map[netip.Addr]time.Time{}, double: map[netip.Addr]time.Time{}}
	w.answers = map[netip.Addr][]answer{}
	w.reset()
	for _, n := range c.nodes {
		w.names[n.mac] = n.name
		n.host.Take(func(p simnet.Parcel) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.taken[p.Number] = p.By
		})
	}
	w.client = simnet.NewClient(c.lan, "client", lb.MAC{2, 0, 0, 0, 1, 0}, w.hear, onLAN(240)...)
	return w
}

// reset forgets what was measured.
func (w *witness) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest, w.twice = map[netip.Addr]time.Duration{}, map[netip.Addr]time.Duration{}
	w.taken, w.to = map[uint64]string{}, map[uint64]netip.Addr{}
	clear(w.silent)
	clear(w.double)
}

func (w *witness) hear(s neighbor.Sighting) {
	if !slices.Contains(w.cluster.vips, s.Addr) {
		return
	}
	a := answer{w.names[s.Source], s.MAC, s.At}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s.Kind {
	case neighbor.SawReply:
		w.answers[s.Addr] = append(w.answers[s.Addr], a)
	case neighbor.SawAnnouncement:
		w.announced[s.Addr] = append(w.announced[s.Addr], a)
	}
}

// patrol begins to ask, until end.
func (w *witness) patrol() {
	go func() {
		defer close(w.ended)
		for {
			select {
			case <-w.stop:
				return
			default:
			}
			pauses, on := w.pausing()
			if on {
				w.ask()
			}
			time.Sleep(round)
			if again, still := w.pausing(); on && still && again == pauses {
				w.judge()
			}
		}
	}()
}

// pausing says how often the patrol was paused, and whether it is on.
func (w *witness) pausing() (pauses int, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pauses, !w.paused
}

func (w *witness) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
		<-w.ended
		w.client.Unplug()
	}
}

func (w *witness) ask() {
	w.take()
	for i, vip := range w.cluster.vips {
		w.client.Ask(vip, lb.MAC{})
		if i < flowAddresses {
			w.mu.Lock()
			w.sent++
			number := w.sent
			w.to[number] = vip
			w.mu.Unlock()
			w.client.Send(vip, number)
		}
	}
}

// take returns what was heard since, and begins anew.
func (w *witness) take() map[netip.Addr][]answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.answers
	w.answers = map[netip.Addr][]answer{}
	return got
}

// judge looks at one round.
func (w *witness) judge() {
	got, now := w.take(), time.Now()
	w.mu.Lock()
	for _, vip := range w.cluster.vips {
		who := distinct(got[vip])
		mark(w.silent, w.longest, vip, len(who) == 0, now)
		mark(w.double, w.twice, vip, len(who) > 1, now)
	}
	w.mu.Unlock()
	w.entitled(got)
}

// mark keeps since when something is so, and how long it was at most.
func mark(since map[netip.Addr]time.Time, most map[netip.Addr]time.Duration, addr netip.Addr, is bool, now time.Time) {
	if !is {
		delete(since, addr)
		return
	}
	if since[addr].IsZero() {
		since[addr] = now.Add(-round)
	}
	most[addr] = max(most[addr], now.Sub(since[addr]))
}

// entitled checks promise 2: nobody answers but who owns, stands in or trails.
func (w *witness) entitled(got map[netip.Addr][]answer) {
	for vip, list := range got {
		for _, a := range list {
			n := w.cluster.named(a.by)
			if n == nil {
				w.cluster.errorf("promise 2: %v answered by a station that is no node", vip)
			} else if !n.said(vip, a.at) {
				w.cluster.errorf("promise 2: %s answered for %v, which it neither owns nor stands in for nor trails", a.by, vip)
			}
		}
	}
}

func (c *cluster) named(name string) *node {
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// distinct returns the different answers, by who gave them and what they say.
func distinct(list []answer) []answer {
	var out []answer
	for _, a := range list {
		if !slices.ContainsFunc(out, func(o answer) bool { return o.by == a.by && o.payload == a.payload }) {
			out = append(out, a)
		}
	}
	return out
}

// settled checks promise 1: exactly one answerer for every address, asked by broadcast and of each node alone. Where an owner is
// stopped, the one who stands in answers with the owner's MAC. It takes a tenth of a second.
func (c *cluster) settled(when string) {
	c.t.Helper()
	w := c.witness
	w.mu.Lock()
	w.paused, w.pauses = true, w.pauses+1
	w.mu.Unlock()
	time.Sleep(round + 10*time.Millisecond)
	w.take()
	for _, vip := range c.vips {
		w.client.Ask(vip, lb.MAC{})
	}
	time.Sleep(20 * time.Millisecond)
	synctest.Wait()
	toAll := w.take()
	for _, vip := range c.vips {
		for _, n := range c.nodes {
			w.client.Ask(vip, n.mac)
		}
	}
	time.Sleep(20 * time.Millisecond)
	synctest.Wait()
	toEach := w.take()
	for _, vip := range c.vips {
		all, each := distinct(toAll[vip]), distinct(toEach[vip])
		same := len(all) == 1 && len(each) == 1 && all[0].by == each[0].by && all[0].payload == each[0].payload
		if !same {
			c.errorf("promise 1, %s: %v answered by [%v] asked of all, by [%v] asked of each; %s", when, vip, join(all), join(each), c.claims(vip))
		}
	}
	w.mu.Lock()
	w.paused = false
	clear(w.silent)
	clear(w.double)
	w.mu.Unlock()
}

func join(list []answer) string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}

// claims says who claims an address, for a message.
func (c *cluster) claims(vip netip.Addr) string {
	var out []string
	for _, n := range c.nodes {
		if claim, ok := n.life.owns(vip); ok && n.up() {
			out = append(out, fmt.Sprintf("%s (%v, evidence %d, to %q)", n.name, claim.Cause, claim.Evidence, claim.HandTo))
		}
	}
	return "claimed by [" + strings.Join(out, ", ") + "]"
}

// worst returns the longest time without an answer, and with two answerers, since reset.
func (w *witness) worst() (silence, double time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.longest {
		silence = max(silence, d)
	}
	for _, d := range w.twice {
		double = max(double, d)
	}
	return silence, double
}

// announcedAfter returns when addr was first announced by another than a given node.
func (w *witness) announcedAfter(addr netip.Addr, at time.Time, not string) (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.announced[addr] {
		if a.at.After(at) && a.by != not {
			return a.at.Sub(at), true
		}
	}
	return 0, false
}
