package witness

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
)

// Impostor answers for addresses that are not its own, as a machine with a wrong address does, or a router with proxy ARP.
type Impostor struct {
	sock *socket
	mac  MAC
	has  func(netip.Addr) bool
}

// NewImpostor opens an impostor on an interface of a place; mac is what it says, and has which addresses it answers for.
func NewImpostor(p Place, iface string, mac MAC, has func(netip.Addr) bool) (*Impostor, error) {
	sock, err := listen(p, iface)
	if err != nil {
		return nil, fmt.Errorf("opening the impostor: %w", err)
	}
	return &Impostor{sock: sock, mac: mac, has: has}, nil
}

// Run answers until ctx ends and then closes the socket.
func (i *Impostor) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = i.sock.close() }) // only ever "already closed"
	defer stop()
	buf := make([]byte, 1<<16)
	for {
		frame, _, err := i.sock.receive(buf)
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err == nil {
			if q, ok := decodeQuestion(frame); ok && i.has(q.addr) && q.from.MAC != i.mac {
				err = i.sock.send(q.answer(i.mac))
			}
		}
		if err != nil && ctx.Err() == nil {
			return errors.Join(fmt.Errorf("answering: %w", err), i.sock.close())
		}
	}
}

// question is an ARP request or a neighbour solicitation.
type question struct {
	addr netip.Addr // who has it?
	from Station    // who asks
}

// decodeQuestion reads a frame that asks; a probe of an address (RFC 5227 §2.1.1, RFC 4862 §5.4.2) is a question too.
func decodeQuestion(frame []byte) (question, bool) {
	if len(frame) < etherLen {
		return question{}, false
	}
	p := frame[etherLen:]
	q := question{from: Station{MAC: MAC(frame[6:12])}}
	switch binary.BigEndian.Uint16(frame[12:14]) {
	case etherTypeARP:
		if len(p) < arpLen || string(p[:8]) != "\x00\x01\x08\x00\x06\x04\x00\x01" {
			return q, false
		}
		q.from.MAC, q.from.IPv4 = MAC(p[8:14]), netip.AddrFrom4([4]byte(p[14:18]))
		q.addr = netip.AddrFrom4([4]byte(p[24:28]))
		return q, q.addr != q.from.IPv4
	case etherTypeIPv6:
		if len(p) < ipv6Len+24 || p[6] != icmpv6 || p[7] != 255 || p[ipv6Len] != typeNS {
			return q, false
		}
		q.from.IPv6, q.addr = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[ipv6Len+8:ipv6Len+24]))
		return q, true
	}
	return q, false
}

// answer is the frame with which a host that has the address answers.
func (q question) answer(mac MAC) []byte {
	f := append(q.from.MAC[:], mac[:]...)
	if q.addr.Is4() {
		f = binary.BigEndian.AppendUint16(f, etherTypeARP)
		f = append(append(append(f, 0, 1, 8, 0, 6, 4, 0, 2), mac[:]...), q.addr.AsSlice()...)
		return pad(append(append(f, q.from.MAC[:]...), q.from.IPv4.AsSlice()...))
	}
	target, to, flags := q.addr.As16(), q.from.IPv6.As16(), byte(0x60)
	if q.from.IPv6.IsUnspecified() { // a probe: the answer is for all nodes (RFC 4861 §7.2.4)
		to, flags = [16]byte{0xff, 0x02, 15: 1}, 0x20
		copy(f, []byte{0x33, 0x33, 0, 0, 0, 1})
	}
	body := append([]byte{typeNA, 0, 0, 0, flags, 0, 0, 0}, target[:]...)
	body = append(append(body, optTargetLL, 1), mac[:]...)
	binary.BigEndian.PutUint16(body[2:4], checksum(target[:], to[:], body))
	f = binary.BigEndian.AppendUint16(f, etherTypeIPv6)
	f = append(f, 0x60, 0, 0, 0, 0, byte(len(body)), icmpv6, 255)
	return append(append(append(f, target[:]...), to[:]...), body...)
}
