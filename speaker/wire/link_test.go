package wire

import (
	"net"
	"net/netip"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
