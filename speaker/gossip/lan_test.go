package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
)

// lan is a network in memory for rings in a synctest bubble. Each packet takes a tenth of a millisecond.
type lan struct {
	mu    sync.Mutex
	hosts map[string]*host
	lost  func(from, to string) bool // by address; nil loses nothing
	sent  map[string]int             // packets, by sender
	dead  map[string]bool            // hosts without power
	still map[string]chan struct{}   // hosts whose process is stopped, until it is closed

	bytes int                  // of all streams
	idle  map[string]time.Time // when the line of a host has carried what its streams have for it so far
}

// host is the Transport of one ring.
type host struct {
	lan     *lan
	addr    string
	packets chan *Packet
	streams chan net.Conn
	down    chan struct{}
}

func newLAN() *lan {
	return &lan{hosts: map[string]*host{}, sent: map[string]int{}, dead: map[string]bool{}, still: map[string]chan struct{}{}, idle: map[string]time.Time{}}
}

// plug attaches a host; one that had the address before is not reached any more.
func (l *lan) plug(addr string) *host {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &host{l, addr, make(chan *Packet, 4096), make(chan net.Conn, 256), make(chan struct{})}
	l.hosts[addr] = h
	delete(l.dead, addr)
	return h
}

// lose replaces what is lost.
func (l *lan) lose(lost func(from, to string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = lost
}

// reach returns the host with an address; lost says that what is sent there vanishes.
func (l *lan) reach(from *host, to string) (h *host, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hosts[to], l.hosts[from.addr] != from || l.dead[from.addr] || l.dead[to] || l.lost != nil && l.lost(from.addr, to)
}

func (h *host) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return net.ParseIP(ip), port, nil
}
func (h *host) PacketCh() <-chan *Packet  { return h.packets }
func (h *host) StreamCh() <-chan net.Conn { return h.streams }
func (h *host) WriteTo(b []byte, addr string) (time.Time, error) {
	return h.WriteToAddress(b, Address{Addr: addr})
}
func (h *host) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return h.DialAddressTimeout(Address{Addr: addr}, timeout)
}

func (h *host) Shutdown() error {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if h.lan.hosts[h.addr] == h {
		delete(h.lan.hosts, h.addr)
	}
	close(h.down)
	return nil
}

func (h *host) WriteToAddress(b []byte, a Address) (time.Time, error) {
	h.lan.wait(h.addr)
	now := time.Now()
	h.lan.mu.Lock()
	h.lan.sent[h.addr]++
	h.lan.mu.Unlock()
	to, lost := h.lan.reach(h, a.Addr)
	if to == nil || lost {
		return now, nil
	}
	from := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(h.addr))
	time.AfterFunc(100*time.Microsecond, func() {
		h.lan.wait(to.addr)
		select {
		case to.packets <- &Packet{Buf: b, From: from, Timestamp: time.Now()}:
		default:
		}
	})
	return now, nil
}

func (h *host) DialAddressTimeout(a Address, timeout time.Duration) (net.Conn, error) {
	h.lan.wait(h.addr)
	to, lost := h.lan.reach(h, a.Addr)
	if lost {
		time.Sleep(timeout)
		return nil, errors.New("timeout")
	}
	if to == nil {
		return nil, errors.New("connection refused")
	}
	if _, lost := h.lan.reach(to, h.addr); lost {
		time.Sleep(timeout)
		return nil, errors.New("timeout")
	}
	time.Sleep(200 * time.Microsecond) // there and back
	ours, theirs := net.Pipe()
	select {
	case to.streams <- &stream{theirs, to, h}:
	case <-to.down:
		return nil, errors.New("connection refused")
	}
	return &stream{ours, h, to}, nil
}

// stream is one end of a connection.
type stream struct {
	net.Conn
	from, to *host
}

func (s *stream) Write(b []byte) (int, error) {
	if _, lost := s.from.lan.reach(s.from, s.to.addr); lost {
		return len(b), nil
	}
	s.from.lan.carry(s.from.addr, s.to.addr, len(b))
	return s.Conn.Write(b)
}

func (s *stream) Read(b []byte) (int, error) {
	s.from.lan.wait(s.from.addr)
	return s.Conn.Read(b)
}
func (s *stream) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s.to.addr))
}

// cluster is some rings on one lan, named n01, n02, … in the order of their addresses.
type cluster struct {
	t      *testing.T
	lan    *lan
	rings  []*running
	peers  *peerList
	timing Timing
}

// inBubble runs a test with n rings that all see each other.
func inBubble(t *testing.T, n int, test func(t *testing.T, c *cluster)) {
	t.Helper()
	inBubbleWith(t, n, Fast(), test)
}

func inBubbleWith(t *testing.T, n int, timing Timing, test func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, lan: newLAN(), peers: &peerList{}, timing: timing}
		defer c.end()
		for i := range n {
			c.peers.add(addrOf(i))
		}
		for i := range n {
			c.rings = append(c.rings, c.launch(i, []byte("secret")))
		}
		time.Sleep(5 * time.Second)
		for _, r := range c.rings {
			if got := len(members(r.Ring)); got != n {
				t.Fatalf("after 5 s %s sees %d of %d", r.cfg.Node, got, n)
			}
		}
		test(t, c)
	})
}

func addrOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i + 1)}), 7946)
}

func nameOf(i int) string { return fmt.Sprintf("n%02d", i+1) }

// launch starts ring number i, a new life if there was one before.
func (c *cluster) launch(i int, secret []byte) *running {
	c.t.Helper()
	ring, err := New(Config{Node: nameOf(i), Bind: addrOf(i), Secret: secret, Peers: c.peers.list, Log: logr.Discard(),
		Timing: c.timing, Transport: c.lan.plug(addrOf(i).String())})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.run(ring)
}

func (c *cluster) run(ring *Ring) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Ring: ring, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- ring.Run(ctx); close(r.done) }()
	return r
}

// crash ends ring number i, and nothing that it has sent lately or will send arrives.
func (c *cluster) crash(i int) {
	c.lan.mu.Lock()
	c.lan.dead[addrOf(i).String()] = true
	c.lan.mu.Unlock()
	c.rings[i].stop(c.t)
}

func (c *cluster) end() {
	for _, r := range c.rings {
		r.cancel()
	}
	for _, r := range c.rings {
		<-r.done
	}
	time.Sleep(time.Minute) // memberlist's own goroutines end when what they wait for is over
}

// peer returns what ring number i says of number j.
func (c *cluster) peer(i, j int) Peer {
	for _, p := range c.rings[i].Peers() {
		if p.Node == nameOf(j) {
			return p
		}
	}
	return Peer{}
}

// within waits until all rings but those left out agree, and returns how long that took.
func (c *cluster) within(limit time.Duration, what string, ok func(i int) bool, without ...int) time.Duration {
	c.t.Helper()
	begin := time.Now()
	for {
		var missing []string
		for i := range c.rings {
			left := false
			for _, w := range without {
				left = left || w == i
			}
			if !left && !ok(i) {
				missing = append(missing, nameOf(i))
			}
		}
		if len(missing) == 0 {
			return time.Since(begin)
		}
		if time.Since(begin) > limit {
			c.t.Fatalf("not within %v: %s (%v)", limit, what, missing)
		}
		time.Sleep(time.Millisecond)
	}
}
