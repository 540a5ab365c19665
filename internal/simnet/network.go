package simnet

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// datagramsAhead is how many datagrams wait for a process before more are dropped.
const datagramsAhead = 4096

// Network carries datagrams and streams between hosts by IP.
type Network struct {
	*Fabric
	mu        sync.Mutex
	hosts     map[netip.Addr]*Host
	endpoints map[netip.AddrPort]*Endpoint
	sent      map[string]int // datagrams, by host
}

// NewNetwork returns a network without hosts.
func NewNetwork(seed uint64) *Network {
	return &Network{Fabric: NewFabric(seed), hosts: map[netip.Addr]*Host{}, endpoints: map[netip.AddrPort]*Endpoint{}, sent: map[string]int{}}
}

// Attach gives a host an address.
func (n *Network) Attach(h *Host, addr netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[addr] = h
}

// Sent counts the datagrams that each host has sent so far.
func (n *Network) Sent(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent[host]
}

// Datagram is a packet that came.
type Datagram struct {
	From netip.AddrPort
	Data []byte
	At   time.Time
}

// Endpoint is one address and port of a process, by datagrams and streams.
type Endpoint struct {
	network *Network
	host    *Host
	process *Process
	addr    netip.AddrPort
	accept  chan net.Conn

	mu     sync.Mutex
	queue  []Datagram
	wake   chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Listen opens an endpoint; one that a process before had there is replaced. Datagrams are handed to receive, one after the other,
// until Close.
func (n *Network) Listen(h *Host, p *Process, addr netip.AddrPort, receive func(Datagram)) *Endpoint {
	e := &Endpoint{network: n, host: h, process: p, addr: addr, accept: make(chan net.Conn, 128), wake: make(chan struct{}, 1), closed: make(chan struct{})}
	n.mu.Lock()
	n.endpoints[addr] = e
	n.mu.Unlock()
	go e.pump(receive)
	return e
}

// Accept delivers the streams that others open.
func (e *Endpoint) Accept() <-chan net.Conn { return e.accept }

// Close gives the address back.
func (e *Endpoint) Close() {
	e.once.Do(func() { close(e.closed) })
	n := e.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.endpoints[e.addr] == e {
		delete(n.endpoints, e.addr)
	}
}

// pump hands datagrams over while the process runs.
func (e *Endpoint) pump(receive func(Datagram)) {
	for {
		select {
		case <-e.closed:
			return
		case <-e.wake:
		}
		for e.process.Wait() {
			e.mu.Lock()
			var d Datagram
			if len(e.queue) > 0 {
				d, e.queue = e.queue[0], e.queue[1:]
			}
			e.mu.Unlock()
			if d.Data == nil {
				break
			}
			receive(d)
		}
	}
}

// Send sends a datagram, which may be lost. A stopped process waits here.
func (e *Endpoint) Send(b []byte, to netip.AddrPort) {
	if !e.process.Wait() || !e.host.Powered() {
		return
	}
	n := e.network
	n.mu.Lock()
	host := n.hosts[to.Addr()]
	n.sent[e.host.Name]++
	n.mu.Unlock()
	if host == nil {
		return
	}
	delay, arrives := n.fate(e.host.Name, host.Name)
	if !arrives {
		return
	}
	d := Datagram{From: e.addr, Data: slices.Clone(b)}
	time.AfterFunc(delay, func() {
		if o := n.at(to); o != nil && host.Powered() {
			o.push(d)
		}
	})
}

func (e *Endpoint) push(d Datagram) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) < datagramsAhead {
		d.At = time.Now()
		e.queue = append(e.queue, d)
		wake(e.wake)
	}
}

func (n *Network) at(addr netip.AddrPort) *Endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.endpoints[addr]
}

// open says whether packets pass both ways between two machines that are on.
func (n *Network) open(a, b *Host) bool {
	return a.Powered() && b.Powered() && n.passes(a.Name, b.Name) && n.passes(b.Name, a.Name)
}
