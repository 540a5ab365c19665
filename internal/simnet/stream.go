package simnet

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// retransmit is how long a segment that was lost, or met a cut, waits before it is sent again.
	retransmit = 200 * time.Millisecond
	// giveUp is how often it is sent before the stream is given up.
	giveUp = 75
)

var (
	errRefused = errors.New("connection refused")
	errTimeout = errors.New("i/o timeout")
)

// Dial opens a stream. It is refused where nobody listens, and takes the whole timeout where packets do not pass both ways.
// A stopped process accepts, as its kernel does, and then does not read.
func (e *Endpoint) Dial(to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	if !e.process.Wait() {
		return nil, errTimeout
	}
	n := e.network
	n.mu.Lock()
	host := n.hosts[to.Addr()]
	n.mu.Unlock()
	for end := time.Now().Add(timeout); ; {
		if host != nil && n.open(e.host, host) {
			break
		}
		if !time.Now().Before(end) {
			return nil, errTimeout
		}
		time.Sleep(min(retransmit, time.Until(end)))
	}
	out, _ := n.fate(e.host.Name, host.Name)
	back, _ := n.fate(host.Name, e.host.Name)
	time.Sleep(out + back)
	peer := n.at(to)
	if peer == nil || !peer.process.alive() {
		return nil, errRefused
	}
	there, here := newPipe(n, e, peer), newPipe(n, peer, e)
	select {
	case peer.accept <- &conn{end: peer, peer: e, in: there, out: here}:
		return &conn{end: e, peer: peer, in: here, out: there}, nil
	default:
		return nil, errTimeout // the backlog is full
	}
}

func (p *Process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead
}

// pipe is one direction of a stream.
type pipe struct {
	network  *Network
	from, to *Endpoint

	mu      sync.Mutex
	flight  [][]byte // sent and not arrived; the first is on its way
	tries   int      // of the first
	arrived []byte
	ended   bool          // nothing more will be sent
	change  chan struct{} // closed and replaced when something changes for the reader
}

func newPipe(n *Network, from, to *Endpoint) *pipe {
	return &pipe{network: n, from: from, to: to, change: make(chan struct{})}
}

// send puts bytes on their way; nil ends the stream.
func (p *pipe) send(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flight = append(p.flight, slices.Clone(b))
	if len(p.flight) == 1 {
		p.advanceLocked()
	}
}

// advanceLocked moves the first segment: it arrives after the delay, or is tried again later.
func (p *pipe) advanceLocked() {
	if p.tries++; p.tries > giveUp {
		p.ended, p.flight = true, nil
		p.changedLocked()
		return
	}
	delay, passes := p.network.fate(p.from.host.Name, p.to.host.Name)
	if !passes || !p.from.host.Powered() || !p.to.host.Powered() {
		time.AfterFunc(retransmit, p.again)
		return
	}
	time.AfterFunc(delay, p.arrive)
}

func (p *pipe) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || len(p.flight) == 0 {
		return
	}
	p.advanceLocked()
}

func (p *pipe) arrive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.flight) == 0 {
		return
	}
	if b := p.flight[0]; b == nil {
		p.ended = true
	} else {
		p.arrived = append(p.arrived, b...)
	}
	p.flight, p.tries = p.flight[1:], 0
	p.changedLocked()
	if len(p.flight) > 0 {
		p.advanceLocked()
	}
}

// abort ends both reading and what is on its way.
func (p *pipe) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended, p.flight = true, nil
	p.changedLocked()
}

func (p *pipe) changedLocked() {
	close(p.change)
	p.change = make(chan struct{})
}

// conn is one end of a stream.
type conn struct {
	end, peer *Endpoint
	in, out   *pipe

	mu       sync.Mutex
	deadline time.Time
	closed   bool
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		if !c.end.process.Wait() {
			return 0, net.ErrClosed
		}
		c.mu.Lock()
		deadline, closed := c.deadline, c.closed
		c.mu.Unlock()
		c.in.mu.Lock()
		n := copy(b, c.in.arrived)
		c.in.arrived = c.in.arrived[n:]
		ended, change := c.in.ended, c.in.change
		c.in.mu.Unlock()
		switch {
		case closed:
			return 0, net.ErrClosed
		case n > 0:
			return n, nil
		case ended:
			return 0, io.EOF
		case !deadline.IsZero() && !time.Now().Before(deadline):
			return 0, os.ErrDeadlineExceeded
		}
		wait := time.NewTimer(time.Hour)
		if !deadline.IsZero() {
			wait.Reset(time.Until(deadline))
		}
		select {
		case <-change:
		case <-wait.C:
		case <-c.end.process.died:
		}
		wait.Stop()
	}
}

func (c *conn) Write(b []byte) (int, error) {
	if !c.end.process.Wait() {
		return 0, net.ErrClosed
	}
	c.mu.Lock()
	deadline, closed := c.deadline, c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return 0, net.ErrClosed
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return 0, os.ErrDeadlineExceeded
	}
	if len(b) > 0 {
		c.out.send(b)
	}
	return len(b), nil
}

// Close ends our writing, and our reading at once.
func (c *conn) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return net.ErrClosed
	}
	c.in.abort()
	if c.end.process.Runs() {
		c.out.send(nil)
	}
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.end.addr) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer.addr) }

func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}
func (c *conn) SetReadDeadline(t time.Time) error  { return c.SetDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }
