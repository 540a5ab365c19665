package wire

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// solicitedHeld returns the solicited-node groups of the addresses in 2001:db8:1::/64, as manyIPv6 makes them, that the
// kernel holds on the interface.
func solicitedHeld(t testing.TB, name string) map[netip.Addr]bool {
	t.Helper()
	held, err := heldGroups()
	check(t, err)
	ours := map[netip.Addr]bool{}
	for group := range held[linkNamed(t, &netlink.Handle{}, name).Attrs().Index] {
		if a := group.As16(); a[11] == 1 && a[13] == 0xab {
			ours[group] = true
		}
	}
	return ours
}

// manyIPv6 returns n addresses, each with a solicited-node group of its own, and the groups.
func manyIPv6(n int) (want map[neighbor.Target]neighbor.Entry, groups map[netip.Addr]bool) {
	want, groups = map[neighbor.Target]neighbor.Entry{}, map[netip.Addr]bool{}
	for i := range n {
		addr := netip.MustParseAddr(fmt.Sprintf("2001:db8:1::ab:%x", i))
		want[neighbor.Target{Addr: addr, Interface: "lan0"}] = neighbor.Entry{}
		groups[neighbor.SolicitedNode(addr)] = true
	}
	return want, groups
}

func TestSolicitedNodeGroupsAreReallyJoined(t *testing.T) {
	newLAN(t)
	w, _ := start(t)
	for _, n := range []int{1, 300, 2000, 260, 0} { // more and fewer than one socket takes
		want, groups := manyIPv6(n)
		w.Answer(want)
		eventually(t, fmt.Sprintf("the kernel is in the groups of %d addresses", n), func() bool {
			return maps.Equal(groups, solicitedHeld(t, "lan0"))
		})
	}
}

func TestAGroupIsKeptWhileAnAddressNeedsIt(t *testing.T) {
	newLAN(t)
	w, _ := start(t)
	const one, two = "2001:db8:1::ab:1", "2001:db8:2::ab:1"
	group := neighbor.SolicitedNode(netip.MustParseAddr(one))
	w.Answer(wantOn("lan0", one, two))
	eventually(t, "joined", func() bool { return solicitedHeld(t, "lan0")[group] })
	other := neighbor.SolicitedNode(netip.MustParseAddr("2001:db8:1::ab:2"))
	w.Answer(wantOn("lan0", two, "2001:db8:1::ab:2"))
	eventually(t, "the new group is joined", func() bool { return solicitedHeld(t, "lan0")[other] })
	if !solicitedHeld(t, "lan0")[group] {
		t.Error("the group was left though another address needs it")
	}
	w.Answer(nil)
	eventually(t, "left", func() bool { return len(solicitedHeld(t, "lan0")) == 0 })
}

func TestGroupsAreJoinedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(l *lan)
	}{
		{"when the interface was made anew", func(l *lan) {
			check(l.t, netlink.LinkDel(linkNamed(l.t, &netlink.Handle{}, "lan0")))
			l.plug("lan0")
		}},
		{"when the interface was down", func(l *lan) {
			setUp(l.t, &netlink.Handle{}, "lan0", false)
			setUp(l.t, &netlink.Handle{}, "lan0", true)
		}},
		{"when its IPv6 was off, and the memberships went with it", func(l *lan) {
			// An MTU below 1280 bytes turns IPv6 off (RFC 8200 §5); unlike disable_ipv6, it takes the groups away.
			lan0 := linkNamed(l.t, &netlink.Handle{}, "lan0")
			check(l.t, netlink.LinkSetMTU(lan0, 1000))
			eventually(l.t, "the groups are gone", func() bool { return len(solicitedHeld(l.t, "lan0")) == 0 })
			check(l.t, netlink.LinkSetMTU(lan0, 1500))
		}},
		{"when its IPv6 was disabled", func(l *lan) {
			const knob = "/proc/sys/net/ipv6/conf/lan0/disable_ipv6"
			check(l.t, os.WriteFile(knob, []byte("1"), 0))
			check(l.t, os.WriteFile(knob, []byte("0"), 0))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLAN(t)
			w, _ := start(t)
			want, groups := manyIPv6(300)
			w.Answer(want)
			joined := func() bool { return maps.Equal(groups, solicitedHeld(t, "lan0")) }
			eventually(t, "joined", joined)
			c.lose(l)
			eventually(t, "joined again", joined)
		})
	}
}

// Every one of many addresses is answered, asked by unicast (as a kernel probes a neighbour that it knows) and by its group.
func TestTwoThousandIPv6AddressesAreAnswered(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t)
	want, groups := manyIPv6(2000)
	w.Answer(want)
	eventually(t, "joined", func() bool { return maps.Equal(groups, solicitedHeld(t, "lan0")) })
	ndps := l.tap("eth0", unix.ETH_P_IPV6)
	asker := theClient()
	slla := &ndp.LinkLayerAddress{Direction: ndp.Source, Addr: asker[:]}
	for target := range want {
		group := neighbor.SolicitedNode(target.Addr).As16()
		for _, to := range []neighbor.MAC{l.mac(), {0x33, 0x33, group[12], group[13], group[14], group[15]}} {
			eventually(t, fmt.Sprintf("%v is answered, asked at %v", target.Addr, to), func() bool {
				ndps.send(solicitation(t, asker, to, target.Addr.String(), slla))
				s, ok := hear(ndps.next(soon, answerFor(target.Addr.String(), asker)))
				return ok && s.mac == l.mac()
			})
		}
	}
	addAddr(t, l.nl, "eth0", "2001:db8:1::100/64")
	if got := l.resolve(netip.MustParseAddr("2001:db8:1::ab:7cf"), patience); got != l.mac() {
		t.Errorf("the client's kernel finds the last address at %v, want %v", got, l.mac())
	}
	if got := l.resolve(netip.MustParseAddr("2001:db8:1::ab:7d0"), soon); got != (neighbor.MAC{}) {
		t.Errorf("an address that is not ours is at %v", got)
	}
}

func TestParseGroups(t *testing.T) {
	got := parseGroups([]byte(`1    lo              ff020000000000000000000000000001     1 0000000C 0
3    eth0            ff0200000000000000000001ff00ab01     2 00000004 0
3    eth0            ff020000000000000000000000000001     1 0000000C 0
x    eth0            ff020000000000000000000000000001     1 0000000C 0
4    eth1            ff02zz00000000000000000000000001     1 0000000C 0
4    eth1            ff02
5
`))
	all := netip.MustParseAddr("ff02::1")
	want := map[int]map[netip.Addr]bool{1: {all: true}, 3: {all: true, netip.MustParseAddr("ff02::1:ff00:ab01"): true}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestGroupsAreThoseOfTheInterfacesIPv6Addresses(t *testing.T) {
	want := wantOn("lan0", vip4, vip6)
	want[neighbor.Target{Addr: netip.MustParseAddr("2001:db8::99"), Interface: "lan1"}] = neighbor.Entry{}
	got, group := solicitedNodes(want, "lan0"), neighbor.SolicitedNode(netip.MustParseAddr(vip6))
	if len(got) != 1 || !got[group] {
		t.Errorf("groups %v, want %v alone", got, group)
	}
}
