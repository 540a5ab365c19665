package wire

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestAFrameHasTheTimeWhenItCameNotWhenItWasRead(t *testing.T) {
	l := newLAN(t)
	arps := l.tap("eth0", unix.ETH_P_ARP)
	var late, early Conn
	for _, c := range []*Conn{&late, &early} {
		opened, err := kernel{log: testLog(t)}.Listen(linkNamed(t, &netlink.Handle{}, "lan0").Attrs().Index, unix.ETH_P_ARP)
		check(t, err)
		t.Cleanup(func() { check(t, opened.Close()) })
		*c = opened
	}
	read := func(c Conn) time.Time {
		for buf := make([]byte, frameLen); ; {
			n, received, err := c.ReadFrame(buf)
			check(t, err)
			if s, ok := hear(buf[:n]); ok && s.source == theClient() { // others may ask, too
				return received
			}
		}
	}
	eventually(t, "a frame has the time when it came", func() bool { // the kernel needs a moment before it stamps at all
		sent := time.Now()
		for range 2 { // when the second came, the first is in all sockets
			arps.send(request(t, theClient(), broadcast(), vip4))
			read(early)
		}
		came := time.Now()
		received := read(late)
		read(late) // the second
		return !received.Before(sent.Round(0)) && !received.After(came)
	})
}
