package wire

import (
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/mdlayher/ndp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

const (
	vip4 = "192.0.2.10"
	vip6 = "2001:db8::10"
	// soon is long enough for an answer that comes at all.
	soon = 400 * time.Millisecond
)

func testLog(t testing.TB) logr.Logger { return testr.NewWithInterface(t, testr.Options{}) }

func wantForDaemon() map[neighbor.Target]neighbor.Entry { return wantOn("lan0", vip4, vip6) }

// mustResolve fails unless the client's kernel finds our MAC for both addresses.
func (l *lan) mustResolve(want neighbor.MAC) {
	l.t.Helper()
	for _, vip := range []string{vip4, vip6} {
		if got := l.resolve(netip.MustParseAddr(vip), patience); got != want {
			l.t.Fatalf("%s is at %v, want %v", vip, got, want)
		}
	}
}

// mustNotResolve fails when anybody answers.
func (l *lan) mustNotResolve() {
	l.t.Helper()
	for _, vip := range []string{vip4, vip6} {
		if got := l.resolve(netip.MustParseAddr(vip), soon); got != (neighbor.MAC{}) {
			l.t.Fatalf("%s is answered by %v", vip, got)
		}
	}
}

func TestTheKernelOfAClientResolvesOurAddresses(t *testing.T) {
	l := newLAN(t)
	start(t, vip4, vip6)
	l.mustResolve(l.mac())
}

func TestAKernelsUnicastProbesAreAnswered(t *testing.T) {
	l := newLAN(t)
	start(t, vip4, vip6)
	eventually(t, "the client has the address that its kernel asks from", func() bool { return l.clientHas(netip.MustParseAddr(clientLL)) })
	l.mustResolve(l.mac())
	for _, vip := range []string{vip4, vip6} {
		n, ok := l.neighbour(netip.MustParseAddr(vip))
		if !ok {
			t.Fatalf("the client has no entry for %s", vip)
		}
		n.State = netlink.NUD_PROBE // as 30 s after the last use: the kernel asks the MAC that it knows, by unicast
		check(t, l.nl.NeighSet(&n))
		eventually(t, vip+" is confirmed", func() bool {
			n, ok := l.neighbour(netip.MustParseAddr(vip))
			return ok && n.State == netlink.NUD_REACHABLE
		})
	}
}

func TestUnicastQuestionsAreAnsweredByUnicast(t *testing.T) {
	l := newLAN(t)
	start(t, vip4, vip6)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	us, slla := l.mac(), &ndp.LinkLayerAddress{Direction: ndp.Source, Addr: arps.mac[:]}
	for _, c := range []struct {
		name, vip string
		tap       *tap
		question  []byte
	}{
		{"an ARP request", vip4, arps, request(t, arps.mac, us, vip4)},
		{"a solicitation", vip6, ndps, solicitation(t, ndps.mac, us, vip6, slla)},
		{"a solicitation without a link-layer option", vip6, ndps, solicitation(t, ndps.mac, us, vip6)},
	} {
		c.tap.send(c.question)
		frame := c.tap.next(patience, answerFor(c.vip, c.tap.mac))
		if s, ok := hear(frame); !ok || s.mac != us || s.source != us {
			t.Errorf("%s: the answer is %+v", c.name, s)
		}
	}
}

func TestNothingIsAnsweredAfterItWasTakenAway(t *testing.T) {
	l := newLAN(t)
	w, registry := start(t, vip4, vip6)
	l.mustResolve(l.mac())
	w.Answer(nil)
	l.mustNotResolve()
	for _, family := range []string{"IPv4", "IPv6"} {
		if n := counted(t, registry, "steelyard_wire_frames_received_total", family, "answered"); n < 1 {
			t.Errorf("%s: %d frames counted as answered, want those before", family, n)
		}
	}
	if n := counted(t, registry, "steelyard_wire_frames_received_total", "IPv4", "not_ours"); n < 1 {
		t.Errorf("%d requests counted as not ours, want those after", n)
	}
}

func TestAddressesOfAnotherInterfaceAreNotAnswered(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	w.Answer(wantOn("lan1", vip4, vip6))
	l.mustNotResolve()
}

// tag puts an 802.1Q tag into a frame.
func tag(frame []byte, vlan byte) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0, 0, vlan}, frame[12:])
}

// A frame of VLAN 100 comes to the parent's sockets without its tag. It must not be answered: it is from another segment.
func TestFramesOfAVLANAreNotAnswered(t *testing.T) {
	l := newLAN(t)
	_, registry := start(t, vip4, vip6)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	for _, to := range []neighbor.MAC{broadcast(), l.mac()} {
		arps.send(tag(request(t, arps.mac, to, vip4), 100))
	}
	ndps.send(tag(solicitation(t, ndps.mac, l.mac(), vip6), 100))
	if frame := arps.next(soon, answerFor(vip4, arps.mac)); frame != nil {
		t.Errorf("a tagged request was answered: %x", frame)
	}
	if frame := ndps.next(soon, answerFor(vip6, ndps.mac)); frame != nil {
		t.Errorf("a tagged solicitation was answered: %x", frame)
	}
	for _, family := range []string{"IPv4", "IPv6"} {
		if n := counted(t, registry, "steelyard_wire_frames_sent_total", family, "answer"); n != 0 {
			t.Errorf("%s: %d answers sent", family, n)
		}
	}
	for _, question := range [][]byte{ // the same without a tag; and VLAN 0, which is no VLAN but a priority
		request(t, arps.mac, broadcast(), vip4), tag(request(t, arps.mac, broadcast(), vip4), 0),
	} {
		arps.send(question)
		if arps.next(patience, answerFor(vip4, arps.mac)) == nil {
			t.Errorf("not answered: %x", question)
		}
	}
}

func TestTheRestOfTheHostsTrafficStaysInTheKernel(t *testing.T) {
	l := newLAN(t)
	_, registry := start(t, vip4, vip6)
	arps, ndps := l.tap("eth0", unix.ETH_P_ARP), l.tap("eth0", unix.ETH_P_IPV6)
	question, solicit := request(t, arps.mac, broadcast(), vip4), solicitation(t, ndps.mac, l.mac(), vip6)
	change := func(frame []byte, at int, to byte) []byte {
		frame = slices.Clone(frame)
		frame[at] = to
		return frame
	}
	const operation, nextHeader, icmpType = 21, 20, 54
	for _, op := range []byte{4, 8, 9, 0xff} { // reverse and inverse ARP (RFC 903, RFC 2390), and nothing
		arps.send(change(question, operation, op))
	}
	for _, frame := range [][]byte{
		change(solicit, nextHeader, unix.IPPROTO_TCP), change(solicit, nextHeader, unix.IPPROTO_UDP),
		change(solicit, icmpType, 128), change(solicit, icmpType, 134), change(solicit, icmpType, 137),
	} {
		ndps.send(frame)
	}
	arps.send(question) // when these are answered, those before them have been read
	ndps.send(solicit)
	if arps.next(patience, answerFor(vip4, arps.mac)) == nil || ndps.next(patience, answerFor(vip6, ndps.mac)) == nil {
		t.Fatal("no answer")
	}
	for _, family := range []string{"IPv4", "IPv6"} {
		for _, verdict := range []string{"other_protocol", "malformed"} {
			if n := counted(t, registry, "steelyard_wire_frames_received_total", family, verdict); n != 0 {
				t.Errorf("%d frames of %s came to us and were %s", n, family, verdict)
			}
		}
	}
}

func TestIPv6WorksWithoutALinkLocalAddress(t *testing.T) {
	l := newLAN(t)
	start(t, vip4, vip6)
	lan0 := linkNamed(t, &netlink.Handle{}, "lan0")
	addrs, err := netlink.AddrList(lan0, netlink.FAMILY_V6)
	check(t, err)
	for _, a := range addrs {
		check(t, netlink.AddrDel(lan0, &a))
	}
	l.mustResolve(l.mac())
}

func TestRunEndsEverythingThatItStarted(t *testing.T) {
	newLAN(t)
	t.Run("running", func(t *testing.T) {
		w, _ := start(t, vip4, vip6)
		w.Answer(wantOn("lan0", vip4))
	})
	eventually(t, "no goroutine is left", func() bool {
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		return !strings.Contains(stacks, "wire.(*Wire)") && !strings.Contains(stacks, "netlink.linkSubscribeAt") &&
			!strings.Contains(stacks, "netlink.addrSubscribeAt")
	})
}
