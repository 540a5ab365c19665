package witness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// socket is a raw packet socket bound to one interface. It hears ARP and ICMPv6 only, everything that is not its own host's.
type socket struct {
	file *os.File
}

const receiveBuffer = 8 << 20 // bytes; a burst of announcements must not be lost while this process waits for a CPU

// listen opens the socket in the namespace of p.
func listen(p Place, iface string) (*socket, error) {
	var s *socket
	err := p.Do(func() error {
		ifi, err := net.InterfaceByName(iface)
		if err != nil {
			return fmt.Errorf("interface %s: %w", iface, err)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("opening a packet socket (this needs root): %w", err)
		}
		if err := prepare(fd, ifi.Index); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		s = &socket{file: os.NewFile(uintptr(fd), "packet socket on "+iface)}
		return nil
	})
	return s, err
}

// prepare sets the options first and binds last, so that no unfiltered frame gets in between.
func prepare(fd, ifindex int) error {
	if err := attachFilter(fd); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
		return fmt.Errorf("setting the receive buffer: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return fmt.Errorf("asking for time stamps: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return fmt.Errorf("leaving out our own frames: %w", err)
	}
	promiscuous := unix.PacketMreq{Ifindex: int32(ifindex), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &promiscuous); err != nil {
		return fmt.Errorf("listening to every frame: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: hostToNetwork(unix.ETH_P_ALL), Ifindex: ifindex}); err != nil {
		return fmt.Errorf("binding the packet socket: %w", err)
	}
	return nil
}

func hostToNetwork(v uint16) uint16 { return v<<8 | v>>8 } // little endian machines only, as is everything the lab builds

// attachFilter lets ARP and ICMPv6 through: the connector's own traffic would only fill the buffer.
func attachFilter(fd int) error {
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeARP, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherTypeIPv6, SkipTrue: 3},
		bpf.LoadAbsolute{Off: etherLen + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: icmpv6, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return fmt.Errorf("assembling the packet filter: %w", err)
	}
	raw := make([]unix.SockFilter, len(program))
	for i, ins := range program {
		raw[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	prog := unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attaching the packet filter: %w", err)
	}
	return nil
}

// receive waits for a frame and returns it with the time at which the kernel got it. After close it returns os.ErrClosed.
func (s *socket) receive(buf []byte) (frame []byte, at time.Time, err error) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return nil, time.Time{}, err
	}
	oob := make([]byte, unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{}))))
	var n, oobn int
	var callErr error
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, callErr = unix.Recvmsg(int(fd), buf, oob, 0)
		return callErr != unix.EAGAIN && callErr != unix.EINTR
	})
	if err = errors.Join(err, callErr); err != nil {
		return nil, time.Time{}, err
	}
	return buf[:n], stamp(oob[:oobn]), nil
}

// stamp reads the kernel's time stamp out of the control messages; the present stands in for a missing one.
func stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
				ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
				return time.Unix(ts.Unix())
			}
		}
	}
	return time.Now()
}

// send puts a frame on the wire as it is.
func (s *socket) send(frame []byte) error {
	if _, err := s.file.Write(frame); err != nil {
		return fmt.Errorf("sending a frame: %w", err)
	}
	return nil
}

// lost returns how many frames the kernel dropped since the last call because the buffer was full.
func (s *socket) lost() (int, error) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var stats *unix.TpacketStats
	var callErr error
	if err := raw.Control(func(fd uintptr) {
		stats, callErr = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	}); err != nil {
		return 0, err
	}
	if callErr != nil {
		return 0, callErr
	}
	return int(stats.Drops), nil
}

func (s *socket) close() error { return s.file.Close() }
