package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
	"golang.org/x/sync/errgroup"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/speaker/wire"
)

// asked are the addresses that are asked for, one of each family.
func asked() [2]netip.Addr {
	return [2]netip.Addr{netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("2001:db8::200")}
}

// announced are n addresses, half of each family, those that are asked for among them.
func announced(n int) []netip.Addr {
	all := asked()
	out := all[:]
	for i := range n/2 - 1 {
		hi, lo := byte(i>>8), byte(i)
		out = append(out, netip.AddrFrom4([4]byte{10, 0, hi, lo}), netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 14: hi, 15: lo}))
	}
	return out
}

// asAnswerer is the word by which this program is started as an answerer: bare or not, and for how many addresses.
const asAnswerer = "answerer"

// answerer is a process behind a cable: it answers for the addresses of asked until its standard input ends. The bare one is
// the least that answers, from the same libraries; the other is speaker/wire as the speaker uses it.
func answerer(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s %q: want two arguments", asAnswerer, args)
	}
	bare, err := strconv.ParseBool(args[0])
	if err != nil {
		return fmt.Errorf("%s: bare or not: %w", asAnswerer, err)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("%s: the number of addresses: %w", asAnswerer, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends it
		cancel()
	}()
	if bare {
		return bareAnswerer(ctx, announced(n))
	}
	return wireAnswerer(ctx, announced(n))
}

func wireAnswerer(ctx context.Context, addrs []netip.Addr) error {
	w := wire.New(wire.Options{})
	want := map[neighbor.Target]neighbor.Entry{}
	for _, a := range addrs {
		want[neighbor.Target{Addr: a, Interface: farEnd}] = neighbor.Entry{}
	}
	w.Answer(want)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.Stalled(): // a busy machine stopped us for a moment; nobody else has our addresses
				w.Mute(false)
			}
		}
	}()
	return w.Run(ctx)
}

// bareAnswerer answers with arp.Client and ndp.Conn: read, compare, reply.
func bareAnswerer(ctx context.Context, addrs []netip.Addr) error {
	ifi, err := net.InterfaceByName(farEnd)
	if err != nil {
		return fmt.Errorf("looking for the interface: %w", err)
	}
	set := map[netip.Addr]bool{}
	for _, a := range addrs {
		set[a] = true
	}
	leave, err := joinGroups(ifi, addrs)
	if err != nil {
		return err
	}
	defer leave()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return bareARP(ctx, ifi, set) })
	all.Go(func() error { return bareNDP(ctx, ifi, set) })
	return all.Wait()
}

func bareARP(ctx context.Context, ifi *net.Interface, set map[netip.Addr]bool) error {
	c, err := arp.Dial(ifi)
	if err != nil {
		return fmt.Errorf("opening an ARP client: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })() // the reader hears of it
	for {
		p, _, err := c.Read()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("reading ARP: %w", err)
		case p.Operation != arp.OperationRequest || !set[p.TargetIP]:
			continue
		}
		if err := c.Reply(p, ifi.HardwareAddr, p.TargetIP); err != nil {
			return fmt.Errorf("answering ARP: %w", err)
		}
	}
}

func bareNDP(ctx context.Context, ifi *net.Interface, set map[netip.Addr]bool) error {
	c, err := listenNDP(ctx, ifi)
	if err != nil {
		return fmt.Errorf("opening an NDP connection: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })() // the reader hears of it
	answer := &ndp.NeighborAdvertisement{Solicited: true, Override: true,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: ifi.HardwareAddr}}}
	for {
		m, _, from, err := c.ReadFrom()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("reading NDP: %w", err)
		}
		ns, ok := m.(*ndp.NeighborSolicitation)
		if !ok || !set[ns.TargetAddress] {
			continue
		}
		answer.TargetAddress = ns.TargetAddress
		if err := c.WriteTo(answer, nil, from); err != nil {
			return fmt.Errorf("answering NDP: %w", err)
		}
	}
}

// listenNDP waits until the link-local address can be used.
func listenNDP(ctx context.Context, ifi *net.Interface) (*ndp.Conn, error) {
	c, _, err := ndp.Listen(ifi, ndp.LinkLocal)
	for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline) && ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond)
		c, _, err = ndp.Listen(ifi, ndp.LinkLocal)
	}
	if err != nil {
		return nil, err
	}
	var only ipv6.ICMPFilter
	only.SetAll(true)
	only.Accept(ipv6.ICMPTypeNeighborSolicitation)
	if err := c.SetICMPFilter(&only); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// groupsPerSocket is how many memberships the kernel allows a socket at least (net.core.optmem_max).
const groupsPerSocket = 200

// joinGroups joins the groups at which the IPv6 addresses are asked for.
func joinGroups(ifi *net.Interface, addrs []netip.Addr) (leave func(), err error) {
	var sockets []net.PacketConn
	leave = func() {
		for _, s := range sockets {
			_ = s.Close()
		}
	}
	var p *ipv6.PacketConn
	joined := 0
	for _, a := range addrs {
		if !a.Is6() {
			continue
		}
		if joined%groupsPerSocket == 0 {
			s, err := net.ListenPacket("udp6", "[::]:0")
			if err != nil {
				leave()
				return nil, fmt.Errorf("opening a socket for groups: %w", err)
			}
			sockets, p = append(sockets, s), ipv6.NewPacketConn(s)
		}
		group, err := ndp.SolicitedNodeMulticast(a)
		if err == nil {
			err = p.JoinGroup(ifi, &net.UDPAddr{IP: group.AsSlice()})
		}
		if err != nil {
			leave()
			return nil, fmt.Errorf("joining the group of %s: %w", a, err)
		}
		joined++
	}
	return leave, nil
}
