package simnet

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// Host is a machine. Its kernel answers for its own addresses on each NIC while there is power.
type Host struct {
	Name string

	mu       sync.Mutex
	off      bool
	nics     []*NIC
	watchers map[*watcher]bool
	hear     func(*NIC, neighbor.Sighting)
	take     func(Parcel)
}

// Parcel is a packet to a service address that a host got.
type Parcel struct {
	Addr   netip.Addr
	Number uint64
	By     string // which host
}

// Notice says that a NIC changed. LostLink says that it had no carrier for a moment.
type Notice struct {
	Index    int
	LostLink bool
}

// watcher collects notices for one process.
type watcher struct {
	list []Notice
	wake chan struct{}
}

// NewHost returns a machine without network interfaces.
func NewHost(name string) *Host { return &Host{Name: name, watchers: map[*watcher]bool{}} }

// Hear has every frame about neighbours that the kernel sees handed to f, and what it says.
func (h *Host) Hear(f func(*NIC, neighbor.Sighting)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hear = f
}

// Take has the packets to service addresses that come to this host handed to f.
func (h *Host) Take(f func(Parcel)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.take = f
}

// SetPower switches the machine off or on. Without power its ports have no link for the machine itself, and nothing goes in or out.
func (h *Host) SetPower(on bool) {
	h.mu.Lock()
	h.off = !on
	h.mu.Unlock()
}

// Powered says whether the machine is on.
func (h *Host) Powered() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.off
}

// NICs returns the interfaces.
func (h *Host) NICs() []*NIC {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.nics)
}

// NIC returns the interface with an index; nil when there is none.
func (h *Host) NIC(index int) *NIC {
	for _, n := range h.NICs() {
		if n.Index == index {
			return n
		}
	}
	return nil
}

// Watch calls note for every change of an interface until ctx ends. A stopped process learns of them when it runs again.
func (h *Host) Watch(ctx context.Context, p *Process, note func(Notice)) {
	w := &watcher{wake: make(chan struct{}, 1)}
	h.mu.Lock()
	h.watchers[w] = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.watchers, w)
		h.mu.Unlock()
	}()
	note(Notice{})
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		if !p.Wait() {
			<-ctx.Done()
			return
		}
		h.mu.Lock()
		list := w.list
		w.list = nil
		h.mu.Unlock()
		for _, n := range list {
			note(n)
		}
	}
}

func (h *Host) notify(n Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.list = append(w.list, n)
		wake(w.wake)
	}
}

// NIC is one network interface.
type NIC struct {
	Index int
	Name  string
	host  *Host
	port  *Port
	mac   lb.MAC
	addrs []netip.Prefix

	mu      sync.Mutex
	flaps   uint32
	own     *neighbor.Table
	sockets []*Socket
	groups  []*Groups
}

// Attach puts a new interface with these addresses into the host and plugs it in. The name should be unique in the host.
func (h *Host) Attach(s *Switch, name string, mac lb.MAC, addrs ...netip.Prefix) *NIC {
	n := &NIC{Name: name, host: h, mac: mac, addrs: slices.Clone(addrs)}
	own := map[neighbor.Target]neighbor.Entry{}
	for _, a := range addrs {
		own[neighbor.Target{Addr: a.Addr(), Interface: name}] = neighbor.Entry{}
	}
	n.own = neighbor.NewTable(own)
	h.mu.Lock()
	n.Index = len(h.nics) + 2
	h.nics = append(h.nics, n)
	h.mu.Unlock()
	n.port = s.Plug(h.Name, n.receive)
	h.notify(Notice{Index: n.Index})
	return n
}

// Port is where it is plugged in.
func (n *NIC) Port() *Port { return n.port }

// SetLink brings the carrier up or down, for both ends of the cable.
func (n *NIC) SetLink(up bool) {
	n.port.SetLink(up)
	n.mu.Lock()
	n.flaps++
	n.mu.Unlock()
	n.host.notify(Notice{Index: n.Index, LostLink: !up})
}

// MAC is its hardware address.
func (n *NIC) MAC() lb.MAC { return n.mac }

// Addrs are its addresses, with the lengths of their prefixes.
func (n *NIC) Addrs() []netip.Prefix { return slices.Clone(n.addrs) }

// CarrierChanges counts how often the carrier came or went.
func (n *NIC) CarrierChanges() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.flaps
}

// link is the interface as the frame code knows it.
func (n *NIC) link() neighbor.Link { return neighbor.Link{Name: n.Name, MAC: n.MAC()} }

// send puts a frame on the segment, if there is power.
func (n *NIC) send(frame []byte) {
	if n.host.Powered() {
		n.port.Send(frame)
	}
}

// receive is what the kernel does with a frame.
func (n *NIC) receive(frame []byte) {
	if !n.host.Powered() || !n.wants(lb.MAC(frame[0:6])) {
		return
	}
	n.host.mu.Lock()
	hear, take := n.host.hear, n.host.take
	n.host.mu.Unlock()
	var o neighbor.Outcome
	switch etherType(frame) {
	case typeData:
		if addr, number, ok := parseData(frame); ok && take != nil {
			take(Parcel{addr, number, n.host.Name})
		}
		return
	case typeARP:
		o = neighbor.AnswerARP(n.own, n.link(), frame)
	case typeIPv6:
		o = neighbor.AnswerNDP(n.own, n.link(), frame)
	}
	if o.Reply != nil {
		n.send(o.Reply)
	}
	if hear != nil && o.Seen.Kind != 0 {
		hear(n, o.Seen)
	}
	n.mu.Lock()
	sockets := slices.Clone(n.sockets)
	n.mu.Unlock()
	for _, s := range sockets {
		if s.etherType == etherType(frame) && concerns(frame) {
			s.push(frame)
		}
	}
}

// wants says whether the hardware lets a frame through: to itself, to all, or to a group that was joined.
func (n *NIC) wants(dst lb.MAC) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case dst == n.mac, dst == broadcast(), dst == lb.MAC{0x33, 0x33, 0, 0, 0, 1}:
		return true
	case dst.IsUnicast():
		return false
	}
	for _, a := range n.addrs {
		if a.Addr().Is6() && groupMAC(neighbor.SolicitedNode(a.Addr())) == dst {
			return true
		}
	}
	return slices.ContainsFunc(n.groups, func(g *Groups) bool { return g.macs[dst] })
}
