package gossip

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// maxDatagram is the longest that UDP carries, rounded up.
	maxDatagram = 1 << 16
	// receiveBuffer is what we ask the kernel to keep of datagrams that we have not read yet, in bytes; it may allow less.
	receiveBuffer = 2 << 20
	// acceptPause is the pause after a connection that could not be accepted: most often there are too many open files.
	acceptPause = 100 * time.Millisecond
)

// sockets is the Transport of a true network: one UDP socket and one TCP listener at the same address. memberlist has one too, which
// takes 64 KiB of fresh memory for each datagram; ours are some 60 bytes long.
type sockets struct {
	udp     *net.UDPConn
	tcp     *net.TCPListener
	packets chan *Packet
	streams chan net.Conn
	log     *log.Logger
	once    sync.Once
	closed  chan struct{}
	loops   sync.WaitGroup
}

// openSockets listens by UDP and TCP. With port 0 it takes one port that is free for both; another program may take the UDP port
// between the two calls, so it tries a few times.
func openSockets(bind netip.AddrPort, logger *log.Logger) (*sockets, error) {
	tries := 1
	if bind.Port() == 0 {
		tries = 10
	}
	var err error
	for range tries {
		var s *sockets
		if s, err = tryOpen(bind); err == nil {
			s.log = logger
			s.loops.Go(s.receive)
			s.loops.Go(s.accept)
			return s, nil
		}
	}
	return nil, err
}

func tryOpen(bind netip.AddrPort) (*sockets, error) {
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(bind))
	if err != nil {
		return nil, err // names the address itself
	}
	port := tcp.Addr().(*net.TCPAddr).AddrPort().Port()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind.Addr(), port)))
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	if err := udp.SetReadBuffer(receiveBuffer); err != nil {
		return nil, errors.Join(fmt.Errorf("setting the receive buffer: %w", err), udp.Close(), tcp.Close())
	}
	return &sockets{udp: udp, tcp: tcp, packets: make(chan *Packet), streams: make(chan net.Conn), closed: make(chan struct{})}, nil
}

// port is where both listen.
func (s *sockets) port() int { return s.tcp.Addr().(*net.TCPAddr).Port }

// receive hands datagrams on, each in memory of its own: memberlist keeps parts of them.
func (s *sockets) receive() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		now := time.Now()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.Printf("[ERR] memberlist: reading a datagram: %v", err)
			continue
		case n == 0:
			continue
		}
		select {
		case s.packets <- &Packet{Buf: slices.Clone(buf[:n]), From: net.UDPAddrFromAddrPort(from), Timestamp: now}:
		case <-s.closed:
			return
		}
	}
}

// accept hands streams on.
func (s *sockets) accept() {
	for {
		conn, err := s.tcp.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Printf("[ERR] memberlist: accepting a connection: %v", err)
			select {
			case <-time.After(acceptPause):
			case <-s.closed:
			}
			continue
		}
		select {
		case s.streams <- conn:
		case <-s.closed:
			_ = conn.Close()
		}
	}
}

// FinalAdvertiseAddr returns what the configuration says, and has always been told: New insists on an address, and the port is known
// once the sockets are open.
func (s *sockets) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, 0, fmt.Errorf("address to advertise: %w", err)
	}
	return addr.Unmap().AsSlice(), port, nil
}

// PacketCh delivers the datagrams.
func (s *sockets) PacketCh() <-chan *Packet { return s.packets }

// StreamCh delivers the streams that peers open.
func (s *sockets) StreamCh() <-chan net.Conn { return s.streams }

// WriteTo sends a datagram to "IP:port" and returns when.
func (s *sockets) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("sending a datagram: %w", err)
	}
	_, err = s.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

// WriteToAddress sends a datagram and returns when.
func (s *sockets) WriteToAddress(b []byte, a Address) (time.Time, error) { return s.WriteTo(b, a.Addr) }

// DialTimeout opens a stream.
func (s *sockets) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return (&net.Dialer{Timeout: timeout}).Dial("tcp", addr)
}

// DialAddressTimeout opens a stream.
func (s *sockets) DialAddressTimeout(a Address, timeout time.Duration) (net.Conn, error) {
	return s.DialTimeout(a.Addr, timeout)
}

// Shutdown closes both and waits for those who read them.
func (s *sockets) Shutdown() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		err = errors.Join(s.udp.Close(), s.tcp.Close())
	})
	s.loops.Wait()
	return err
}
