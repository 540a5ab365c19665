package speaker

import (
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/live"
)

func TestTheSettingsOfTheNodeAreTold(t *testing.T) {
	one, zero := 1, 0
	held, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.96.0.1")
	view := live.View{Node: "a", Addresses: []live.Address{{Address: held}},
		Speakers: []live.Speaker{{Node: "a", Interfaces: []live.Interface{{Name: "eth0"}, {Name: "bond0.7"}, {Name: "gone"}}}, {Node: "b", Interfaces: []live.Interface{{Name: "eth9"}}}}}
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for _, c := range []struct {
		name    string
		sysctls fstest.MapFS
		ipvs    []netip.Addr
		want    live.Host
	}{
		{"the greater arp_ignore counts", fstest.MapFS{"ipv4/conf/all/arp_ignore": file("1\n"), "ipv4/conf/eth0/arp_ignore": file("0\n"), "ipv4/conf/bond0.7/arp_ignore": file("2\n")}, nil,
			live.Host{ARPIgnore: map[string]int{"eth0": 1, "bond0.7": 2}}},
		{"only addresses of Services are told", fstest.MapFS{}, []netip.Addr{other, held}, live.Host{ARPIgnore: map[string]int{}, IPVS: []netip.Addr{held}}},
		{"what conntrack makes of connections it does not know", fstest.MapFS{"netfilter/nf_conntrack_tcp_loose": file("1\n"), "netfilter/nf_conntrack_tcp_be_liberal": file("0\n")}, nil,
			live.Host{ARPIgnore: map[string]int{}, TCPLoose: &one, TCPLiberal: &zero}},
		{"what cannot be read is left out", fstest.MapFS{"netfilter/nf_conntrack_tcp_loose": file("?")}, nil, live.Host{ARPIgnore: map[string]int{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(&c.want, hostOf(view, c.sysctls, c.ipvs), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheAddressesOfKubeProxyAreRead needs root, as the tests of speaker/wire do: it makes the interface in a namespace of its own,
// as a bridge, which every kernel has that runs the lab.
func TestTheAddressesOfKubeProxyAreRead(t *testing.T) {
	var before, after []netip.Addr
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, and with it the namespace, ends with the goroutine
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("making a network namespace: %w", err)
			}
			before = ipvsAddrs()
			for _, args := range [][]string{{"link", "add", ipvsLink, "type", "bridge"}, {"address", "add", "192.0.2.1/32", "dev", ipvsLink}, {"address", "add", "2001:db8::1/128", "dev", ipvsLink}} {
				if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
					return fmt.Errorf("ip %v: %w: %s", args, err, out)
				}
			}
			after = ipvsAddrs()
			return nil
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	if len(before) > 0 || !slices.Equal(after, want) {
		t.Errorf("without the interface %v, with it %v, want none and %v", before, after, want)
	}
}
