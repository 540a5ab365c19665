package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// namespace is a network namespace of our own, with no way out. It ends when it is closed and no process is left in it.
type namespace struct{ netns.NsHandle }

func newNamespace() (namespace, error) {
	var n namespace
	err := onOwnThread(func() (err error) {
		n.NsHandle, err = netns.New()
		return err
	})
	if err != nil {
		return n, fmt.Errorf("making a network namespace: %w", err)
	}
	return n, nil
}

// Do runs fn on a thread in the namespace. Sockets and processes made by fn stay there.
func (n namespace) Do(fn func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(n.NsHandle); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return fn()
	})
}

// onOwnThread runs fn on a thread that ends with it, so that fn may leave it in any namespace.
func onOwnThread(fn func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- fn()
	}()
	return <-result
}

const (
	nearEnd, farEnd = "near0", "far0"
)

// nearStation is what asks at the near end. Its addresses exist there: the kernel at the far end may look for them.
func nearStation() witness.Station {
	return witness.Station{MAC: witness.MAC{2, 0, 0, 0, 0, 1}, IPv4: netip.MustParseAddr("192.0.2.1"), IPv6: netip.MustParseAddr("2001:db8::1")}
}

// farMAC is the hardware address of the far end.
func farMAC() witness.MAC { return witness.MAC{2, 0, 0, 0, 0, 2} }

// cable is a veth pair between two namespaces: we ask at the near end, an answerer is behind the far one.
type cable struct{ near, far namespace }

func newCable() (c cable, err error) {
	if c.near, err = newNamespace(); err != nil {
		return c, err
	}
	if c.far, err = newNamespace(); err != nil {
		return c, errors.Join(err, c.near.Close())
	}
	if err := c.plug(); err != nil {
		return c, errors.Join(fmt.Errorf("making a cable: %w", err), c.close())
	}
	return c, nil
}

func (c cable) close() error { return errors.Join(c.near.Close(), c.far.Close()) }

func (c cable) plug() error {
	near, err := netlink.NewHandleAt(c.near.NsHandle, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer near.Close()
	far, err := netlink.NewHandleAt(c.far.NsHandle, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer far.Close()
	self, other := nearStation(), farMAC()
	err = near.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: nearEnd, HardwareAddr: net.HardwareAddr(self.MAC[:])},
		PeerName:  farEnd, PeerNamespace: netlink.NsFd(c.far.NsHandle), PeerHardwareAddr: net.HardwareAddr(other[:]),
	})
	if err != nil {
		return err
	}
	return errors.Join(
		equip(near, nearEnd, netip.PrefixFrom(self.IPv4, 24), netip.PrefixFrom(self.IPv6, 64)),
		equip(far, farEnd, netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("2001:db8::2/64")),
	)
}

// equip gives an interface addresses that are usable at once, and takes it up.
func equip(h *netlink.Handle, name string, addrs ...netip.Prefix) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	for _, p := range addrs {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		if err := h.AddrAdd(link, a); err != nil {
			return fmt.Errorf("giving %s the address %s: %w", name, p, err)
		}
	}
	return h.LinkSetUp(link)
}

// child starts this program again inside the namespace, as what its arguments say. It ends when stop is called, or when this
// process ends: then its standard input does.
func (n namespace) child(ctx context.Context, args ...string) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Stderr = os.Stderr
	var leash io.WriteCloser
	err = n.Do(func() error {
		if leash, err = cmd.StdinPipe(); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		return nil, fmt.Errorf("starting %v: %w", args, err)
	}
	return func() error {
		err := errors.Join(leash.Close(), cmd.Wait())
		if ctx.Err() != nil {
			return nil // it was killed
		}
		return err
	}, nil
}
