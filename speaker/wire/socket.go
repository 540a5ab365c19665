package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// packetConn is a packet socket bound to one interface and one EtherType. A socket bound to an EtherType, unlike one for
// all of them, does not hear the frames that this host sends.
type packetConn struct {
	conn *packet.Conn
	raw  syscall.RawConn
	to   unix.SockaddrLinklayer // the interface; packet sockets of type raw take the addresses from the frame
}

// Listen implements Host.
func (kernel) Listen(ifindex int, etherType uint16) (Conn, error) {
	program, err := filter(etherType)
	if err != nil {
		return nil, err
	}
	// Only the index is used, and an address for a family of hardware that we know.
	c, err := packet.Listen(&net.Interface{Index: ifindex}, packet.Raw, int(etherType), &packet.Config{Filter: program})
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	p := &packetConn{conn: c, to: unix.SockaddrLinklayer{Ifindex: ifindex, Protocol: networkOrder(etherType)}}
	if p.raw, err = c.SyscallConn(); err == nil {
		err = p.stampFrames()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing a packet socket: %w", err), c.Close())
	}
	return p, nil
}

// stampFrames has the kernel deliver with each frame when it was received, by the wall clock.
func (p *packetConn) stampFrames() error {
	var failed error
	err := p.raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
	})
	return errors.Join(err, failed)
}

// ReadFrame implements Conn.
func (p *packetConn) ReadFrame(buf []byte) (n int, received time.Time, err error) {
	var control [64]byte // one message with a timespec needs 32 bytes
	var controlLen int
	var failed error
	err = p.raw.Read(func(fd uintptr) bool {
		n, controlLen, _, _, failed = unix.Recvmsg(int(fd), buf, control[:], unix.MSG_DONTWAIT)
		return !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("reading a frame: %w", closedOr(err))
	}
	return n, stampIn(control[:controlLen]), nil
}

// WriteFrame implements Conn. The callback never asks to be called again, so a full queue is an error and not a wait.
func (p *packetConn) WriteFrame(frame []byte) error {
	var failed error
	err := p.raw.Write(func(fd uintptr) bool {
		failed = unix.Sendto(int(fd), frame, unix.MSG_DONTWAIT, &p.to)
		return true
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("sending a frame: %w", closedOr(err))
	}
	return nil
}

// Close implements Conn.
func (p *packetConn) Close() error { return p.conn.Close() }

// closedOr gives the error of a closed file the name that the rest of the package knows.
func closedOr(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

// stampIn finds the time stamp in the control messages of a frame: a timespec of the machine's word size. The zero time says
// that there is none.
func stampIn(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_TIMESTAMPNS {
			continue
		}
		switch len(m.Data) {
		case 16:
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		case 8:
			return time.Unix(int64(binary.NativeEndian.Uint32(m.Data)), int64(binary.NativeEndian.Uint32(m.Data[4:])))
		}
	}
	return time.Time{}
}

// networkOrder returns v with its bytes as they go over the network (htons).
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}
