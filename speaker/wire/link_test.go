package wire

import (
	"net"
	"net/netip"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

func TestUnusable(t *testing.T) {
	const flags = unix.IFF_UP | unix.IFF_BROADCAST | unix.IFF_RUNNING | unix.IFF_LOWER_UP | unix.IFF_MULTICAST
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	good := netlink.LinkAttrs{Name: "eth0", RawFlags: flags, EncapType: "ether", HardwareAddr: mac}
	with := func(change func(*netlink.LinkAttrs)) netlink.LinkAttrs { a := good; change(&a); return a }
	exclude, err := ParseExclude(DefaultExcludeInterfaces)
	check(t, err)
	for _, c := range []struct {
		name  string
		attrs netlink.LinkAttrs
		want  bool
	}{
		{"an Ethernet interface", good, false},
		{"a VLAN interface, which has a parent", with(func(a *netlink.LinkAttrs) { a.Name, a.ParentIndex = "eth0.100", 2 }), false},
		{"one that is down", with(func(a *netlink.LinkAttrs) { a.RawFlags = unix.IFF_BROADCAST }), false},
		{"a bridge of the user", with(func(a *netlink.LinkAttrs) { a.Name = "br0" }), false},
		{"a slave", with(func(a *netlink.LinkAttrs) { a.MasterIndex = 7 }), true},
		{"a loopback", with(func(a *netlink.LinkAttrs) { a.RawFlags |= unix.IFF_LOOPBACK }), true},
		{"one without ARP", with(func(a *netlink.LinkAttrs) { a.RawFlags |= unix.IFF_NOARP }), true},
		{"a point-to-point link", with(func(a *netlink.LinkAttrs) { a.RawFlags &^= unix.IFF_BROADCAST }), true},
		{"InfiniBand", with(func(a *netlink.LinkAttrs) { a.EncapType, a.HardwareAddr = "infiniband", make([]byte, 20) }), true},
		{"no hardware address", with(func(a *netlink.LinkAttrs) { a.HardwareAddr = nil }), true},
		{"a bridge of a container network", with(func(a *netlink.LinkAttrs) { a.Name = "docker0" }), true},
		{"the host's end of a pod", with(func(a *netlink.LinkAttrs) { a.Name = "veth12ab" }), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := unusable(&c.attrs, exclude); got != c.want {
				t.Errorf("unusable = %v, want %v", got, c.want)
			}
		})
	}
}

func TestHasCarrier(t *testing.T) {
	for name, c := range map[string]struct {
		flags uint32
		want  bool
	}{
		"up, with carrier":     {unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP, true},
		"up, without":          {unix.IFF_UP, false},
		"dormant":              {unix.IFF_UP | unix.IFF_LOWER_UP | unix.IFF_DORMANT, false},
		"down, with a carrier": {unix.IFF_RUNNING | unix.IFF_LOWER_UP, false},
	} {
		if got := hasCarrier(c.flags); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOnLink(t *testing.T) {
	addr := func(s string) netlink.Addr {
		a, err := netlink.ParseAddr(s)
		check(t, err)
		return *a
	}
	toPeer := addr("192.0.2.1/32")
	_, toPeer.Peer, _ = net.ParseCIDR("198.51.100.0/24")
	for _, c := range []struct {
		name  string
		addrs []netlink.Addr
		want  []netip.Prefix
	}{
		{"masked and sorted, each once", []netlink.Addr{addr("2001:db8::1/64"), addr("192.0.2.9/24"), addr("192.0.2.1/24")},
			[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}},
		{"link-local IPv6 left out", []netlink.Addr{addr("fe80::1/64")}, nil},
		{"single addresses left out", []netlink.Addr{addr("192.0.2.1/32"), addr("2001:db8::1/128")}, nil},
		{"the prefix of a peer", []netlink.Addr{toPeer}, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		{"no address", []netlink.Addr{{}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, onLink(c.addrs), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("prefixes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwn(t *testing.T) {
	addr := func(s string, flags int) netlink.Addr {
		a, err := netlink.ParseAddr(s)
		check(t, err)
		a.Flags = flags
		return *a
	}
	toPeer := addr("192.0.2.1/32", 0)
	_, toPeer.Peer, _ = net.ParseCIDR("198.51.100.0/24")
	var got []string
	for _, p := range own([]netlink.Addr{
		addr("192.0.2.9/24", unix.IFA_F_PERMANENT), addr("192.0.2.1/24", unix.IFA_F_PERMANENT|unix.IFA_F_SECONDARY), addr("198.51.100.1/24", 0),
		addr("203.0.113.1/32", 0), toPeer, {}, addr("127.0.0.1/8", 0),
		addr("2001:db8::1/64", unix.IFA_F_TENTATIVE), addr("2001:db8::2/64", unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC),
		addr("2001:db8::3/64", unix.IFA_F_DADFAILED|unix.IFA_F_TENTATIVE), addr("2001:db8::4/64", unix.IFA_F_TEMPORARY),
		addr("2001:db8::5/64", unix.IFA_F_DEPRECATED), addr("2001:db8::6/128", 0), addr("fe80::1/64", unix.IFA_F_PERMANENT),
	}) {
		got = append(got, p.String())
	}
	want := []string{"192.0.2.9/24", "198.51.100.1/24", "2001:db8::5/64", "fe80::1/64"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestMembers(t *testing.T) {
	mac := func(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }
	bond := &netlink.Bond{LinkAttrs: netlink.LinkAttrs{Index: 1, HardwareAddr: mac(1)}}
	vlan := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Index: 2, ParentIndex: 1, HardwareAddr: mac(1)}}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Index: 3, HardwareAddr: mac(3)}}
	member := func(index, master int, now, permanent byte) netlink.Link {
		return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index, MasterIndex: master, HardwareAddr: mac(now), PermHWAddr: mac(permanent)}}
	}
	all := []netlink.Link{bond, vlan, bridge, member(4, 1, 1, 8), member(5, 1, 5, 1), member(6, 3, 6, 6),
		&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 7, MasterIndex: 1, HardwareAddr: make([]byte, 6), PermHWAddr: make([]byte, 20)}}}
	want := []neighbor.MAC{{2, 0, 0, 0, 0, 5}, {2, 0, 0, 0, 0, 8}}
	for _, c := range []struct {
		name string
		of   netlink.Link
		want []neighbor.MAC
	}{
		{"of a bond, sorted, without its own", bond, want},
		{"of the bond below a VLAN interface", vlan, want},
		{"not of a bridge, whose ports lead to others", bridge, nil},
		{"not of a single interface", all[3], nil},
	} {
		if diff := cmp.Diff(c.want, members(c.of.Attrs(), all)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestParseExclude(t *testing.T) {
	all, err := ParseExclude(" ^eth1$ ,, wlan")
	check(t, err)
	matches := func(name string) bool {
		return unusable(&netlink.LinkAttrs{Name: name, RawFlags: unix.IFF_BROADCAST, EncapType: "ether", HardwareAddr: make([]byte, 6)}, all)
	}
	for name, want := range map[string]bool{"eth1": true, "eth10": false, "mywlan0": true, "docker0": false} {
		if matches(name) != want {
			t.Errorf("%s excluded: %v, want %v", name, !want, want)
		}
	}
	if all, err := ParseExclude(""); len(all) != 0 || err != nil {
		t.Errorf("the empty list: %v, %v", all, err)
	}
	if _, err := ParseExclude("^eth0$,eth["); err == nil || !regexp.MustCompile(`"eth\["`).MatchString(err.Error()) {
		t.Errorf("error = %v, want one that names the pattern", err)
	}
}
