package wire

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// patience bounds every wait for something that should happen soon. It is long because the machine may be busy; a test that
// passes does not wait for it.
const patience = 15 * time.Second

// lan is one Ethernet segment with two ends: lan0 in the namespace of the test, where Wire is, and eth0 of a client host in
// a namespace of its own.
type lan struct {
	t      testing.TB
	client netns.NsHandle
	nl     *netlink.Handle // in the client's namespace
}

// newLAN makes the segment: 192.0.2.1/24 and 2001:db8::1/64 on lan0 here, .100 and ::100 at the client.
func newLAN(t testing.TB) *lan {
	t.Helper()
	return newLANNamed(t, "lan0")
}

// newLANNamed is newLAN with another name for our end.
func newLANNamed(t testing.TB, name string) *lan {
	t.Helper()
	l := &lan{t: t}
	l.onOwnThread(func() error {
		ns, err := netns.New()
		l.client = ns
		return err
	})
	t.Cleanup(func() { l.client.Close() })
	var err error
	l.nl, err = netlink.NewHandleAt(l.client, unix.NETLINK_ROUTE)
	check(t, err)
	t.Cleanup(l.nl.Close)
	l.plug(name)
	addAddr(t, &netlink.Handle{}, name, "192.0.2.1/24")
	addAddr(t, &netlink.Handle{}, name, "2001:db8::1/64")
	addAddr(t, l.nl, "eth0", "192.0.2.100/24")
	addAddr(t, l.nl, "eth0", "2001:db8::100/64")
	return l
}

// plug makes the cable: a veth pair whose far end is the client's eth0. Cleanup removes it. The MACs are not random, since the
// solicited-node group of a link-local address made from one could then be, once in a while, one that a test counts.
func (l *lan) plug(name string) {
	l.t.Helper()
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 1, 1}},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(l.client), PeerHardwareAddr: net.HardwareAddr{2, 0, 0, 0, 2, 2},
	}
	check(l.t, netlink.LinkAdd(veth))
	l.t.Cleanup(func() {
		if near, err := netlink.LinkByName(name); err == nil {
			_ = netlink.LinkDel(near)
		}
	})
	check(l.t, netlink.LinkSetUp(linkNamed(l.t, &netlink.Handle{}, name)))
	check(l.t, l.nl.LinkSetUp(linkNamed(l.t, l.nl, "eth0")))
}

func linkNamed(t testing.TB, h *netlink.Handle, name string) netlink.Link {
	t.Helper()
	link, err := h.LinkByName(name)
	check(t, err)
	return link
}

// addAddr adds an address that is usable at once: without duplicate address detection.
func addAddr(t testing.TB, h *netlink.Handle, name, addr string) {
	t.Helper()
	a, err := netlink.ParseAddr(addr)
	check(t, err)
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	check(t, h.AddrAdd(linkNamed(t, h, name), a))
}

// onOwnThread runs fn on a thread that ends with it, so that fn may leave it in any namespace.
func (l *lan) onOwnThread(fn func() error) {
	l.t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- fn()
	}()
	check(l.t, <-result)
}

// inClient runs fn on a thread in the client's namespace. Sockets made there stay there.
func (l *lan) inClient(fn func() error) {
	l.t.Helper()
	l.onOwnThread(func() error {
		if err := netns.Set(l.client); err != nil {
			return err
		}
		return fn()
	})
}

// mac returns the MAC of the near end.
func (l *lan) mac() neighbor.MAC {
	return neighbor.MAC(linkNamed(l.t, &netlink.Handle{}, "lan0").Attrs().HardwareAddr)
}

// resolve has the client's kernel send a datagram to addr, and returns the MAC that it found out, or the zero MAC when it
// found none within the patience given.
func (l *lan) resolve(addr netip.Addr, patience time.Duration) neighbor.MAC {
	l.t.Helper()
	l.forget(addr)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if n, ok := l.neighbour(addr); ok && n.State&(netlink.NUD_REACHABLE|netlink.NUD_STALE|netlink.NUD_DELAY|netlink.NUD_PROBE) != 0 {
			return neighbor.MAC(n.HardwareAddr)
		} else if !ok || n.State&netlink.NUD_FAILED != 0 {
			l.poke(addr)
		}
	}
	return neighbor.MAC{}
}

// poke sends one datagram to addr from the client.
func (l *lan) poke(addr netip.Addr) {
	l.t.Helper()
	l.inClient(func() error {
		c, err := net.Dial("udp", netip.AddrPortFrom(addr, 9).String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, _ = c.Write([]byte("x")) // an earlier datagram's "unreachable" may be reported here
		return nil
	})
}

// neighbour returns the client's neighbour entry for addr.
func (l *lan) neighbour(addr netip.Addr) (netlink.Neigh, bool) {
	l.t.Helper()
	all, err := l.nl.NeighList(linkNamed(l.t, l.nl, "eth0").Attrs().Index, familyNumber(addr))
	check(l.t, err)
	i := slices.IndexFunc(all, func(n netlink.Neigh) bool { return n.IP.Equal(addr.AsSlice()) })
	if i < 0 {
		return netlink.Neigh{}, false
	}
	return all[i], true
}

// forget removes the client's neighbour entry for addr.
func (l *lan) forget(addr netip.Addr) {
	l.t.Helper()
	if n, ok := l.neighbour(addr); ok {
		check(l.t, l.nl.NeighDel(&n))
	}
}

func familyNumber(addr netip.Addr) int {
	if addr.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// start runs a Wire with these addresses on lan0 until the test ends, and waits until it uses lan0.
func start(t testing.TB, addrs ...string) (*Wire, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	w := New(Options{Log: testLog(t), Registerer: registry})
	w.Answer(wantOn("lan0", addrs...))
	run(t, w)
	eventually(t, "lan0 is used", func() bool { return upOn(w, "lan0") })
	return w, registry
}

// run runs w until the test ends. When a busy machine has stopped it for a moment, it goes on at once.
func run(t testing.TB, w *Wire) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.Stalled():
				w.Mute(false)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			check(t, err)
		case <-time.After(patience):
			buf := make([]byte, 1<<20)
			t.Errorf("Run does not end:\n%s", buf[:runtime.Stack(buf, true)])
		}
	})
}

func upOn(w *Wire, name string) bool {
	for _, i := range w.Interfaces() {
		if i.Name == name {
			return i.Up
		}
	}
	return false
}

func wantOn(name string, addrs ...string) map[neighbor.Target]neighbor.Entry {
	return entriesOn(name, neighbor.Entry{}, addrs...)
}

func entriesOn(name string, e neighbor.Entry, addrs ...string) map[neighbor.Target]neighbor.Entry {
	want := map[neighbor.Target]neighbor.Entry{}
	for _, a := range addrs {
		want[neighbor.Target{Addr: netip.MustParseAddr(a), Interface: name}] = e
	}
	return want
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counted returns the value of a counter of lan0, or -1 when there is none.
func counted(t testing.TB, r *prometheus.Registry, name, family, last string) int {
	t.Helper()
	families, err := r.Gather()
	check(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() { // sorted by name: family, interface, and what differs
				labels += l.GetValue() + " "
			}
			if labels == fmt.Sprintf("%s lan0 %s ", family, last) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return -1
}
