package simnet

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// socketFrames is how many frames wait in a packet socket before more are dropped.
const socketFrames = 256

// errDown is what a socket says when its interface has no link; a kernel says ENETDOWN.
var errDown = errors.New("network is down")

// Socket is a packet socket of one EtherType. It does not hear what its own host sends.
type Socket struct {
	nic       *NIC
	process   *Process
	etherType uint16

	mu     sync.Mutex
	queue  []arrival
	wake   chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Listen opens a packet socket.
func (n *NIC) Listen(p *Process, etherType uint16) *Socket {
	s := &Socket{nic: n, process: p, etherType: etherType, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sockets = append(n.sockets, s)
	return s
}

func (s *Socket) push(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) < socketFrames {
		s.queue = append(s.queue, arrival{time.Now(), frame})
		wake(s.wake)
	}
}

// ReadFrame waits for a frame and returns its length and when it came. The error is net.ErrClosed after Close.
func (s *Socket) ReadFrame(buf []byte) (int, time.Time, error) {
	for {
		if !s.process.Wait() {
			<-s.closed
		}
		s.mu.Lock()
		var first arrival
		if len(s.queue) > 0 {
			first, s.queue = s.queue[0], s.queue[1:]
		}
		s.mu.Unlock()
		if first.frame != nil {
			return copy(buf, first.frame), first.at, nil
		}
		select {
		case <-s.wake:
		case <-s.closed:
			return 0, time.Time{}, net.ErrClosed
		}
	}
}

// WriteFrame sends a frame.
func (s *Socket) WriteFrame(frame []byte) error {
	switch {
	case !s.process.Runs():
		return nil // it was never written
	case !s.nic.port.Up():
		return errDown
	}
	s.nic.send(frame)
	return nil
}

// Close ends the reads.
func (s *Socket) Close() error {
	s.once.Do(func() { close(s.closed) })
	s.nic.mu.Lock()
	defer s.nic.mu.Unlock()
	s.nic.sockets = slices.DeleteFunc(s.nic.sockets, func(o *Socket) bool { return o == s })
	return nil
}

// Groups are multicast groups joined on a NIC by one process.
type Groups struct {
	nic  *NIC
	macs map[lb.MAC]bool // guarded by nic.mu
}

// Groups returns a set of groups, empty at first.
func (n *NIC) Groups() *Groups {
	g := &Groups{nic: n}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = append(n.groups, g)
	return g
}

// Reconcile joins and leaves so that the groups are those of want.
func (g *Groups) Reconcile(want map[netip.Addr]bool) error {
	g.nic.mu.Lock()
	defer g.nic.mu.Unlock()
	g.macs = make(map[lb.MAC]bool, len(want))
	for group, on := range want {
		if on {
			g.macs[groupMAC(group)] = true
		}
	}
	return nil
}

// Close leaves all.
func (g *Groups) Close() {
	g.nic.mu.Lock()
	defer g.nic.mu.Unlock()
	g.nic.groups = slices.DeleteFunc(g.nic.groups, func(o *Groups) bool { return o == g })
}
