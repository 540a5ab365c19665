package sim

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/simnet"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/speaker/wire"
)

// machine shows a virtual host to a Wire.
type machine struct {
	host    *simnet.Host
	process *simnet.Process
}

func (m machine) Links() ([]wire.Link, error) {
	var out []wire.Link
	for _, n := range m.host.NICs() {
		addrs := n.Addrs()
		var prefixes []netip.Prefix
		for _, a := range addrs {
			if !a.Addr().IsLinkLocalUnicast() {
				prefixes = append(prefixes, a.Masked())
			}
		}
		slices.SortFunc(prefixes, netip.Prefix.Compare)
		out = append(out, wire.Link{Index: n.Index, Name: n.Name, MAC: n.MAC(), Up: n.Port().Up(), Addrs: addrs, Prefixes: prefixes,
			CarrierChanges: n.CarrierChanges()})
	}
	return out, nil
}

func (m machine) Watch(ctx context.Context, note func(wire.Change)) {
	m.host.Watch(ctx, m.process, func(n simnet.Notice) { note(wire.Change{Index: n.Index, LostLink: n.LostLink}) })
}

func (m machine) Listen(ifindex int, etherType uint16) (wire.Conn, error) {
	if n := m.host.NIC(ifindex); n != nil {
		return n.Listen(m.process, etherType), nil
	}
	return nil, fmt.Errorf("no interface %d", ifindex)
}

func (m machine) Groups(ifindex int) wire.Groups { return m.host.NIC(ifindex).Groups() }

// transport shows the virtual network to a Ring.
type transport struct {
	end     *simnet.Endpoint
	packets chan *gossip.Packet
}

func newTransport(n *simnet.Network, h *simnet.Host, p *simnet.Process, at netip.AddrPort) *transport {
	t := &transport{packets: make(chan *gossip.Packet, 1024)}
	t.end = n.Listen(h, p, at, func(d simnet.Datagram) {
		select {
		case t.packets <- &gossip.Packet{Buf: d.Data, From: net.UDPAddrFromAddrPort(d.From), Timestamp: d.At}:
		default:
		}
	})
	return t
}

func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return net.ParseIP(ip), port, nil
}
func (t *transport) PacketCh() <-chan *gossip.Packet { return t.packets }
func (t *transport) StreamCh() <-chan net.Conn       { return t.end.Accept() }
func (t *transport) Shutdown() error                 { t.end.Close(); return nil }
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, gossip.Address{Addr: addr})
}
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(gossip.Address{Addr: addr}, timeout)
}

func (t *transport) WriteToAddress(b []byte, a gossip.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return time.Time{}, err
	}
	t.end.Send(b, to)
	return time.Now(), nil
}

func (t *transport) DialAddressTimeout(a gossip.Address, timeout time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return nil, err
	}
	return t.end.Dial(to, timeout)
}
