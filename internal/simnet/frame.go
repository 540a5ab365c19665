package simnet

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

const (
	headerLen     = 14 // bytes of an Ethernet header
	ipv6HeaderLen = 40
	typeARP       = 0x0806
	typeIPv6      = 0x86dd
	// typeData carries what clients send to service addresses: the address in 16 bytes, and a number. IEEE 802 has it for experiments.
	typeData = 0x88b5
)

func broadcast() lb.MAC { return lb.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// ethernetFrame puts a header before the payload.
func ethernetFrame(dst, src lb.MAC, etherType uint16, payload []byte) []byte {
	b := make([]byte, 0, headerLen+len(payload))
	b = append(append(b, dst[:]...), src[:]...)
	return append(binary.BigEndian.AppendUint16(b, etherType), payload...)
}

func etherType(frame []byte) uint16 { return binary.BigEndian.Uint16(frame[12:14]) }

// question returns the request or solicitation by which a kernel looks for addr: to all when to is zero, else a probe by unicast.
func question(src lb.MAC, from netip.Addr, to lb.MAC, addr netip.Addr) []byte {
	if addr.Is4() {
		if to == (lb.MAC{}) {
			to = broadcast()
		}
		p, err := arp.NewPacket(arp.OperationRequest, src[:], from, make([]byte, 6), addr)
		if err != nil {
			panic("simnet: an ARP request: " + err.Error())
		}
		b, err := p.MarshalBinary()
		if err != nil {
			panic("simnet: an ARP request: " + err.Error())
		}
		return ethernetFrame(to, src, typeARP, b)
	}
	dst := addr
	if to == (lb.MAC{}) {
		dst = neighbor.SolicitedNode(addr)
		to = groupMAC(dst)
	}
	icmp, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{
		TargetAddress: addr, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: src[:]}},
	}, from, dst)
	if err != nil {
		panic("simnet: a solicitation: " + err.Error())
	}
	b := make([]byte, ipv6HeaderLen, ipv6HeaderLen+len(icmp))
	b[0], b[6], b[7] = 6<<4, 58, 255
	binary.BigEndian.PutUint16(b[4:6], uint16(len(icmp)))
	s, d := from.As16(), dst.As16()
	copy(b[8:24], s[:])
	copy(b[24:40], d[:])
	return ethernetFrame(to, src, typeIPv6, append(b, icmp...))
}

// groupMAC is where an IPv6 group is sent (RFC 2464 §7).
func groupMAC(group netip.Addr) lb.MAC {
	a := group.As16()
	return lb.MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// data is a packet of a client to a service address.
func data(dst, src lb.MAC, addr netip.Addr, number uint64) []byte {
	a := addr.As16()
	return ethernetFrame(dst, src, typeData, binary.BigEndian.AppendUint64(a[:], number))
}

func parseData(frame []byte) (addr netip.Addr, number uint64, ok bool) {
	if len(frame) < headerLen+24 {
		return addr, 0, false
	}
	b := frame[headerLen:]
	return netip.AddrFrom16([16]byte(b[:16])).Unmap(), binary.BigEndian.Uint64(b[16:24]), true
}

// concerns says whether a packet socket for ARP or IPv6 delivers a frame, as the filters of package wire have it: questions and
// answers only.
func concerns(frame []byte) bool {
	switch ethernet.EtherType(etherType(frame)) {
	case typeARP:
		return true
	case typeIPv6:
		const next, icmp = headerLen + 6, headerLen + ipv6HeaderLen
		return len(frame) > icmp && frame[next] == 58 && (frame[icmp] == 135 || frame[icmp] == 136)
	}
	return false
}
