package e2e

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// stray is a kind of packet from the client to an address, which no node's kernel knows what to do with. Its number stands in the
// IPv4 identification or the IPv6 flow label: nobody changes these on the way.
type stray struct {
	name  string
	frame func(number uint16) []byte
}

// strays are all kinds, sent to one station.
func (s *scenario) strays(addrs []netip.Addr, to witness.MAC) []stray {
	var all []stray
	for _, addr := range addrs {
		family := "IPv4"
		if addr.Is6() {
			family = "IPv6"
			all = append(all, stray{"IPv6 neighbour probe to one station", func(number uint16) []byte {
				frame := s.Question(addr, to)
				frame[atFlowLabel], frame[atFlowLabel+1] = byte(number>>8), byte(number) // which no checksum covers
				return frame
			}})
		}
		all = append(all,
			stray{family + " ping", func(number uint16) []byte { return s.packet(addr, to, number, ping(addr)...) }},
			stray{family + " TCP segment of no connection", func(number uint16) []byte {
				return s.packet(addr, to, number, &layers.TCP{SrcPort: layers.TCPPort(number), DstPort: 80, Seq: 1, Ack: 1, ACK: true, Window: 1024})
			}})
	}
	return all
}

func ping(to netip.Addr) []gopacket.SerializableLayer {
	if to.Is4() {
		return []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 1}}
	}
	return []gopacket.SerializableLayer{
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0)}, &layers.ICMPv6Echo{Identifier: 1},
	}
}

// packet is a frame from the client to one station, with an IP packet for addr.
func (s *scenario) packet(addr netip.Addr, to witness.MAC, number uint16, content ...gopacket.SerializableLayer) []byte {
	s.Helper()
	c := s.Lab.Client()
	eth := &layers.Ethernet{SrcMAC: c.MAC, DstMAC: net.HardwareAddr(to[:]), EthernetType: layers.EthernetTypeIPv4}
	v4 := &layers.IPv4{Version: 4, TTL: 64, Id: number, SrcIP: c.IPv4.AsSlice(), DstIP: addr.AsSlice()}
	v6 := &layers.IPv6{Version: 6, HopLimit: 64, FlowLabel: uint32(number), SrcIP: c.IPv6.AsSlice(), DstIP: addr.AsSlice()}
	ip, network := gopacket.SerializableLayer(v4), gopacket.NetworkLayer(v4)
	if addr.Is6() {
		eth.EthernetType, ip, network = layers.EthernetTypeIPv6, v6, v6
	}
	var err error
	switch l := content[0].(type) {
	case *layers.ICMPv4:
		v4.Protocol = layers.IPProtocolICMPv4
	case *layers.ICMPv6:
		v6.NextHeader, err = layers.IPProtocolICMPv6, l.SetNetworkLayerForChecksum(network)
	case *layers.TCP:
		v4.Protocol, v6.NextHeader, err = layers.IPProtocolTCP, layers.IPProtocolTCP, l.SetNetworkLayerForChecksum(network)
	}
	buf, fix := gopacket.NewSerializeBuffer(), gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err = errors.Join(err, gopacket.SerializeLayers(buf, fix, append([]gopacket.SerializableLayer{eth, ip}, content...)...)); err != nil {
		s.Fatalf("making a packet for %s: %v", addr, err)
	}
	return buf.Bytes()
}

// Offsets into a frame, in bytes (RFC 791 §3.1, RFC 8200 §3).
const (
	atIdentification = 14 + 4
	atFlowLabel      = 14 + 2 // its low 16 bits
)

// crossings counts how often each packet came to each node by the LAN.
type crossings struct {
	mu    sync.Mutex
	count map[uint16]map[string]int // number of the packet → node
}

// watchCrossings counts packets from the client to addrs from now to the end of the test.
func (s *scenario) watchCrossings(addrs []netip.Addr) *crossings {
	s.Helper()
	c := &crossings{count: map[uint16]map[string]int{}}
	ofClient := map[string]bool{} // source and destination
	for _, addr := range addrs {
		source := s.Lab.Client().IPv4
		if addr.Is6() {
			source = s.Lab.Client().IPv6
		}
		ofClient[string(append(source.AsSlice(), addr.AsSlice()...))] = true
	}
	var readers sync.WaitGroup
	s.Cleanup(readers.Wait)
	for _, n := range s.Lab.Nodes() {
		var port *pcapgo.EthernetHandle
		err := n.Do(func() (err error) {
			port, err = pcapgo.NewEthernetHandle(n.Interface)
			return err
		})
		if err != nil {
			s.Fatalf("opening the LAN port of %s: %v", n.Name, err)
		}
		s.Cleanup(func() { _ = port.Close() }) // which ends the reader
		readers.Go(func() {
			if err := c.read(port, n, ofClient); s.ctx.Err() == nil { // it ends before what is cleaned up
				s.Errorf("reading the LAN port of %s: %v", n.Name, err)
			}
		})
	}
	return c
}

// read counts what others sent to a node, until its port is closed or breaks, and returns why.
func (c *crossings) read(port *pcapgo.EthernetHandle, at lab.Host, wanted map[string]bool) error {
	self := witness.MACOf(at.MAC)
	for {
		frame, _, err := port.ZeroCopyReadPacketData()
		if err != nil {
			return err
		}
		number, ok := numberIn(frame, wanted)
		if ok && witness.MAC(frame[:6]) == self && witness.MAC(frame[6:12]) != self {
			c.add(at.Name, number)
		}
	}
}

// numberIn returns the number of a packet whose source and destination are wanted.
func numberIn(frame []byte, wanted map[string]bool) (number uint16, ok bool) {
	at := atIdentification
	switch {
	case len(frame) >= 14+20 && frame[14]>>4 == 4:
		ok = wanted[string(frame[14+12:14+20])]
	case len(frame) >= 14+40 && frame[14]>>4 == 6:
		at, ok = atFlowLabel, wanted[string(frame[14+8:14+40])]
	}
	if !ok {
		return 0, false
	}
	return uint16(frame[at])<<8 | uint16(frame[at+1]), true
}

func (c *crossings) add(node string, number uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[number] == nil {
		c.count[number] = map[string]int{}
	}
	c.count[number][node]++
}

// of returns how often a packet came to a node.
func (c *crossings) of(node string, number uint16) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[number][node]
}

// total returns how often it came to any.
func (c *crossings) total(number uint16) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := 0
	for _, n := range c.count[number] {
		sum += n
	}
	return sum
}
