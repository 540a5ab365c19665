package wire

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// quiet waits until the announcements that follow a start are over, so that what is heard next is new. Refreshes may come at
// any time: they are single, and what the tests wait for is two within the first second.
func (p *tap) quiet(addr string) {
	p.t.Helper()
	for p.next(1500*time.Millisecond, about(addr)) != nil {
		continue
	}
}

// mustAnnounceAgain fails unless addr is announced from the beginning: twice within a second, which no refresh does.
func (p *tap) mustAnnounceAgain(addr string, mac neighbor.MAC) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		first := p.next(time.Until(deadline), about(addr))
		if s, _ := hear(first); first == nil || s.mac != mac {
			continue
		}
		for again := time.Now().Add(time.Second); time.Now().Before(again); {
			if s, ok := hear(p.next(time.Until(again), about(addr))); ok && s.mac == mac && s.request == isARP(first) {
				return
			}
		}
	}
	p.t.Errorf("%s is not announced at %v", addr, mac)
}

// isARP says whether the first frame of an announcement, which is a request when it is ARP, came by ARP.
func isARP(frame []byte) bool { return frame[12] == 0x08 && frame[13] == 0x06 }

func TestAnInterfaceThatIsMadeAnewIsUsedAgain(t *testing.T) {
	l := newLAN(t)
	w, registry := start(t, vip4, vip6)
	l.mustResolve(l.mac())
	check(t, netlink.LinkDel(linkNamed(t, &netlink.Handle{}, "lan0")))
	eventually(t, "the interface is gone", func() bool { return len(w.Interfaces()) == 0 })
	if n := counted(t, registry, "steelyard_wire_frames_sent_total", "IPv4", "answer"); n != -1 {
		t.Errorf("%d answers are still counted for an interface that is gone", n)
	}
	l.plug("lan0")
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	arps.mustAnnounceAgain(vip4, l.mac())
	ndps.mustAnnounceAgain(vip6, l.mac())
	addAddr(t, l.nl, "eth0", "192.0.2.100/24")
	addAddr(t, l.nl, "eth0", "2001:db8::100/64")
	l.mustResolve(l.mac())
}

func TestAnInterfaceThatComesLaterIsUsed(t *testing.T) {
	l := newLAN(t)
	check(t, netlink.LinkDel(linkNamed(t, &netlink.Handle{}, "lan0")))
	w := New(Options{Log: testLog(t)})
	w.Answer(wantOn("lan0", vip4, vip6))
	run(t, w)
	l.plug("lan0")
	addAddr(t, l.nl, "eth0", "192.0.2.100/24")
	addAddr(t, l.nl, "eth0", "2001:db8::100/64")
	l.mustResolve(l.mac())
}

func TestANewMACIsAnnouncedAndAnswered(t *testing.T) {
	l := newLAN(t)
	start(t, vip4, vip6)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	l.mustResolve(l.mac())
	mac := neighbor.MAC{2, 0, 0x5e, 0, 0, 0x77}
	check(t, netlink.LinkSetHardwareAddr(linkNamed(t, &netlink.Handle{}, "lan0"), net.HardwareAddr(mac[:])))
	arps.mustAnnounceAgain(vip4, mac)
	ndps.mustAnnounceAgain(vip6, mac)
	l.mustResolve(mac)
}

func TestALinkThatFlapsIsAnnouncedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		flap func(l *lan, up bool)
	}{
		{"the carrier", func(l *lan, up bool) { setUp(l.t, l.nl, "eth0", up) }},
		{"the interface", func(l *lan, up bool) { setUp(l.t, &netlink.Handle{}, "lan0", up) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLAN(t)
			start(t, vip4, vip6)
			l.mustResolve(l.mac())
			arps := l.tap("eth0", unix.ETH_P_ARP)
			arps.quiet(vip4)
			c.flap(l, false)
			c.flap(l, true)
			arps.mustAnnounceAgain(vip4, l.mac())
			if c.name == "the carrier" { // which took the client's IPv6 address with it
				addAddr(t, l.nl, "eth0", "2001:db8::100/64")
			}
			l.mustResolve(l.mac())
		})
	}
}

func setUp(t testing.TB, h *netlink.Handle, name string, up bool) {
	t.Helper()
	set := h.LinkSetDown
	if up {
		set = h.LinkSetUp
	}
	check(t, set(linkNamed(t, h, name)))
}

func TestALostCarrierIsPublished(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t, vip4)
	setUp(t, l.nl, "eth0", false)
	eventually(t, "lan0 is published as down", func() bool { return len(w.Interfaces()) == 1 && !upOn(w, "lan0") })
	setUp(t, l.nl, "eth0", true)
	eventually(t, "lan0 is published as up", func() bool { return upOn(w, "lan0") })
}

func TestARenamedInterfaceIsAnotherOne(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t, vip4, vip6)
	l.mustResolve(l.mac())
	mac := l.mac()
	lan0 := linkNamed(t, &netlink.Handle{}, "lan0")
	check(t, netlink.LinkSetDown(lan0))
	check(t, netlink.LinkSetName(lan0, "lan1"))
	t.Cleanup(func() { check(t, netlink.LinkDel(lan0)) })
	check(t, netlink.LinkSetUp(lan0))
	eventually(t, "lan1 is used", func() bool { return upOn(w, "lan1") && !upOn(w, "lan0") })
	l.mustNotResolve()
	w.Answer(wantOn("lan1", vip4, vip6))
	addAddr(t, &netlink.Handle{}, "lan1", "2001:db8::1/64") // went when the interface was down
	l.mustResolve(mac)
}

func TestAnEnslavedInterfaceIsLeftToItsMaster(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t, vip4, vip6)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	check(t, netlink.LinkAdd(bridge))
	t.Cleanup(func() { check(t, netlink.LinkDel(bridge)) })
	check(t, netlink.LinkSetUp(bridge))
	check(t, netlink.LinkSetMaster(linkNamed(t, &netlink.Handle{}, "lan0"), bridge))
	w.Answer(wantOn("br0", vip4, vip6))
	eventually(t, "only br0 is used", func() bool { return upOn(w, "br0") && len(w.Interfaces()) == 1 })
	l.mustResolve(neighbor.MAC(linkNamed(t, &netlink.Handle{}, "br0").Attrs().HardwareAddr))
}

func TestInterfacesAndTheirPrefixesArePublished(t *testing.T) {
	newLAN(t)
	exclude, err := ParseExclude("^lan0$")
	check(t, err)
	w := New(Options{Log: testLog(t), ExcludeInterfaces: exclude})
	run(t, w)
	second := newLANNamed(t, "lan2")
	want := []lb.Interface{{
		Name: "lan2", Up: true, MACs: []lb.MAC{{2, 0, 0, 0, 1, 1}},
		Addrs:    []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::ff:fe00:101")},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")},
	}}
	same := cmp.Options{cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
	eventually(t, "lan2 with all its addresses is published, and nothing else", func() bool { return cmp.Equal(want, w.Interfaces(), same) })
	select {
	case <-w.Changed():
	case <-time.After(patience):
		t.Error("the change was not told")
	}
	addAddr(t, &netlink.Handle{}, "lan2", "198.51.100.1/24")
	select {
	case <-w.Changed():
	case <-time.After(patience):
		t.Error("a new address was not told")
	}
	second.mustNotResolve()
}

// The kernel throws messages away when nobody reads them. Then the subscription is made anew, and nothing is missed for long.
func TestABrokenSubscriptionIsMadeAnew(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t, vip4, vip6)
	arps := l.tap("eth0", unix.ETH_P_ARP)
	arps.quiet(vip4)
	lan0 := linkNamed(t, &netlink.Handle{}, "lan0")
	w.mu.Lock() // the reader of messages takes it for each: it stands still
	for i := range 2000 {
		check(t, netlink.LinkSetMTU(lan0, 1400+i%2))
	}
	w.mu.Unlock()
	arps.mustAnnounceAgain(vip4, l.mac()) // as after every gap in what we know
	check(t, netlink.LinkSetDown(lan0))
	eventually(t, "messages are followed again", func() bool { return !upOn(w, "lan0") })
}

// A flap of the carrier moves no address: the interface stays published as up for 100 ms.
func TestCarrierGrace(t *testing.T) {
	w := New(Options{Log: testLog(t)})
	p := &port{facts: Link{Index: 2, Name: "lan0"}}
	p.link.Store(&neighbor.Link{Name: "lan0"})
	w.ports["lan0"] = p
	began := time.Now()
	for i, c := range []struct {
		ms        int
		carrier   bool
		published bool
		again     time.Duration // when the grace ends, counted from this look
		since     int           // of the publication, in ms; 0 for none
	}{
		{0, false, false, lookEvery, 0}, // never had a carrier
		{10, true, true, lookEvery, 10},
		{1000, false, true, carrierGrace, 10},
		{1060, false, true, carrierGrace - 60*time.Millisecond, 10},
		{1099, true, true, lookEvery, 10}, // back in time
		{2000, false, true, carrierGrace, 10},
		{2100, false, false, lookEvery, 0},
		{2200, true, true, lookEvery, 2200},
	} {
		again := w.update(map[string]Link{"lan0": {Index: 2, Name: "lan0", Up: c.carrier}}, news{}, began.Add(time.Duration(c.ms)*time.Millisecond))
		if got := upOn(w, "lan0"); got != c.published || again != c.again {
			t.Errorf("step %d at %d ms: up = %v, look again in %v; want %v, %v", i, c.ms, got, again, c.published, c.again)
		}
		want := map[string]time.Time{}
		if c.since > 0 {
			want["lan0"] = began.Add(time.Duration(c.since) * time.Millisecond)
		}
		if diff := cmp.Diff(want, w.UpSince()); diff != "" {
			t.Errorf("step %d at %d ms: up since (-want +got):\n%s", i, c.ms, diff)
		}
	}
}
