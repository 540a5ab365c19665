package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// captured is how many bytes of a frame a Capture keeps: the headers, and the whole of an ARP or neighbour discovery message.
const captured = 160

// Capture writes what an interface hears and sends to a file that Wireshark and tcpdump read, for people who want to judge by
// themselves.
type Capture struct {
	handle *pcapgo.EthernetHandle
	out    *pcapgo.NgWriter
}

// NewCapture opens a capture on an interface of a place. It writes pcapng, with the kernel's time stamps in nanoseconds.
func NewCapture(p Place, iface string, to io.Writer) (*Capture, error) {
	var c Capture
	err := p.Do(func() (err error) {
		c.handle, err = pcapgo.NewEthernetHandle(iface)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening a capture: %w", err)
	}
	named := pcapgo.NgInterface{Name: iface, LinkType: layers.LinkTypeEthernet, SnapLength: captured, TimestampResolution: 9}
	c.out, err = pcapgo.NewNgWriterInterface(to, named, pcapgo.DefaultNgWriterOptions)
	if err = errors.Join(err, c.handle.SetPromiscuous(true), c.handle.SetCaptureLength(captured)); err != nil {
		return nil, errors.Join(fmt.Errorf("beginning a capture: %w", err), c.handle.Close())
	}
	return &c, nil
}

// Run writes until ctx ends, and then closes the socket, but not the file.
func (c *Capture) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.handle.Close() }) // only ever "already closed"
	defer stop()
	for {
		frame, info, err := c.handle.ZeroCopyReadPacketData()
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return c.out.Flush()
		}
		if err == nil {
			info.InterfaceIndex = 0 // of those in the file
			err = c.out.WritePacket(info, frame)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("capturing: %w", err), c.out.Flush(), c.handle.Close())
		}
	}
}
