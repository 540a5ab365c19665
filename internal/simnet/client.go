package simnet

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// The times and counts of Linux's neighbour cache, by default (net.ipv4.neigh.*). The time for which an entry counts as confirmed
// is drawn from 15 to 45 s there; here it is the mean.
const (
	reachableTime = 30 * time.Second
	delayTime     = 5 * time.Second
	retransTime   = time.Second
	solicits      = 3   // by unicast to an entry that is in doubt, then by broadcast or multicast
	waiting       = 100 // packets for an entry that is not resolved
)

// state is what the cache thinks of an entry (RFC 4861 §7.3.2).
type state uint8

const (
	failed state = iota
	incomplete
	reachable
	stale
	delay
	probe
)

// neighbour is one entry of the cache.
type neighbour struct {
	state     state
	mac       lb.MAC
	confirmed time.Time
	asked     int
	timer     *time.Timer
	queue     []uint64
}

// Client is a station on the segment that talks to service addresses: a Host with a neighbour cache that acts like Linux's, but for
// locktime, which is ignored: announcements count at once.
type Client struct {
	*Host
	nic *NIC

	mu    sync.Mutex
	cache map[netip.Addr]*neighbour
	lost  int
	heard func(neighbor.Sighting)
}

// NewClient plugs a client in. heard is given all that it hears about neighbours, with the time; it must not block.
func NewClient(s *Switch, name string, mac lb.MAC, heard func(neighbor.Sighting), addrs ...netip.Prefix) *Client {
	c := &Client{Host: NewHost(name), cache: map[netip.Addr]*neighbour{}, heard: heard}
	c.Hear(func(_ *NIC, seen neighbor.Sighting) { c.learn(seen) })
	c.nic = c.Attach(s, "eth0", mac, addrs...)
	return c
}

// Unplug ends the client.
func (c *Client) Unplug() { c.nic.port.Unplug() }

// Ask asks everybody (to is zero) or one station who has addr. It does not touch the cache.
func (c *Client) Ask(addr netip.Addr, to lb.MAC) {
	if from := c.source(addr); from.IsValid() {
		c.nic.send(question(c.nic.MAC(), from, to, addr))
	}
}

func (c *Client) source(addr netip.Addr) netip.Addr { return neighbor.Source(c.nic.addrs, addr) }

// Send sends a numbered packet to a service address, when the cache knows or finds out where that is.
func (c *Client) Send(addr netip.Addr, number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.cache[addr]
	if n == nil {
		n = &neighbour{}
		c.cache[addr] = n
	}
	switch {
	case n.state == failed:
		n.state, n.asked = incomplete, 0
		c.askLocked(addr, n)
		fallthrough
	case n.state == incomplete:
		n.queue = append(n.queue, number)
		if len(n.queue) > waiting {
			c.lost++
			n.queue = n.queue[1:]
		}
		return
	case n.state == reachable && time.Since(n.confirmed) > reachableTime, n.state == stale:
		n.state = delay
		c.laterLocked(addr, n, delayTime)
	}
	c.nic.send(data(n.mac, c.nic.MAC(), addr, number))
}

// Lost counts the packets that were never sent, because nobody answered in time.
func (c *Client) Lost() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// Knows returns the hardware address that packets to addr would be sent to.
func (c *Client) Knows(addr netip.Addr) (lb.MAC, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.cache[addr]
	if n == nil || n.state == failed || n.state == incomplete {
		return lb.MAC{}, false
	}
	return n.mac, true
}

// Doubt makes the entry one that must be confirmed: the next packet starts a unicast probe at once.
func (c *Client) Doubt(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.cache[addr]; n != nil && n.state != failed && n.state != incomplete {
		n.state, n.asked = probe, 0
		c.askLocked(addr, n)
	}
}

// askLocked asks for an entry, by unicast where we know a MAC.
func (c *Client) askLocked(addr netip.Addr, n *neighbour) {
	n.asked++
	to := lb.MAC{}
	if n.state == probe {
		to = n.mac
	}
	if from := c.source(addr); from.IsValid() {
		c.nic.send(question(c.nic.MAC(), from, to, addr))
	}
	c.laterLocked(addr, n, retransTime)
}

func (c *Client) laterLocked(addr netip.Addr, n *neighbour, d time.Duration) {
	if n.timer != nil {
		n.timer.Stop()
	}
	n.timer = time.AfterFunc(d, func() { c.due(addr) })
}

// due is what happens when nobody has answered.
func (c *Client) due(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.cache[addr]
	switch {
	case n.state == delay:
		n.state, n.asked = probe, 0
		c.askLocked(addr, n)
	case n.state != probe && n.state != incomplete:
	case n.asked < solicits:
		c.askLocked(addr, n)
	default:
		c.lost += len(n.queue)
		n.state, n.queue = failed, nil
	}
}

// learn takes over what a frame says of a neighbour that is in the cache.
func (c *Client) learn(seen neighbor.Sighting) {
	seen.At = time.Now()
	if c.heard != nil {
		c.heard(seen)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.cache[seen.Addr]
	if n == nil || seen.Kind != neighbor.SawReply && seen.Kind != neighbor.SawAnnouncement || n.state == failed {
		return
	}
	switch {
	case seen.Kind == neighbor.SawReply:
		n.state, n.confirmed = reachable, seen.At
	case n.mac != seen.MAC || n.state == incomplete:
		n.state = stale
	default:
		return
	}
	n.mac = seen.MAC
	if n.timer != nil {
		n.timer.Stop()
	}
	queue := n.queue
	n.queue = nil
	for _, number := range slices.Clone(queue) {
		c.nic.send(data(n.mac, c.nic.MAC(), seen.Addr, number))
	}
}
