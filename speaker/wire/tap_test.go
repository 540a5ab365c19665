package wire

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// tap is the client's raw view of the segment.
type tap struct {
	t    testing.TB
	conn *packet.Conn
	mac  neighbor.MAC
}

// tap opens a packet socket for one EtherType on an interface of the client.
func (l *lan) tap(name string, etherType int) *tap {
	l.t.Helper()
	attrs := linkNamed(l.t, l.nl, name).Attrs()
	p := &tap{t: l.t, mac: neighbor.MAC(attrs.HardwareAddr)}
	l.inClient(func() (err error) {
		p.conn, err = packet.Listen(&net.Interface{Index: attrs.Index, HardwareAddr: attrs.HardwareAddr}, packet.Raw, etherType, nil)
		return err
	})
	l.t.Cleanup(func() { p.conn.Close() })
	return p
}

// send puts a frame on the wire.
func (p *tap) send(frame []byte) {
	p.t.Helper()
	_, err := p.conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[0:6]})
	check(p.t, err)
}

// next returns the next frame that wanted accepts, or nil when none came in time.
func (p *tap) next(patience time.Duration, wanted func([]byte) bool) []byte {
	p.t.Helper()
	check(p.t, p.conn.SetReadDeadline(time.Now().Add(patience)))
	for buf := make([]byte, 2048); ; {
		n, _, err := p.conn.ReadFrom(buf)
		if errors.Is(err, unix.ENETDOWN) { // said once when the interface goes down; the socket works again with it
			continue
		}
		if err != nil {
			return nil
		}
		if wanted(buf[:n]) {
			return slices.Clone(buf[:n])
		}
	}
}
