package nemesis

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/test/lab"
)

// TestNemesis runs testFaults before its scenarios: a fault that is not mended would spoil all that come after it. Each is
// mended as after a crash, by what was written down, and what mends it must be right twice.
func (s *stage) testFaults(t *testing.T) {
	node := s.Lab.Nodes()[0]
	pulled, err := s.Lab.Pulled(node.Name, "lan")
	if err != nil {
		t.Fatal(err)
	}
	down, err := s.Lab.InterfaceDown(node.Name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	before := s.network(ctx, t)
	for name, f := range map[string]lab.Fault{
		"pulled": pulled, "down": down, "port": lab.PortDropped(node, gossipPort),
		"from": s.Lab.OneWay(node, lab.FromHost), "to": s.Lab.OneWay(node, lab.ToHost),
		"isolated": s.Lab.Isolated(s.Lab.Nodes()...), "snooping": s.Lab.Snooping(), "renamed": lab.Renamed(node, "lan0"),
		"mac":    lab.OtherMAC(node, net.HardwareAddr{2, 0, 0x5e, 0, 0x53, 1}),
		"second": s.Lab.SecondInterface(node, "192.168.2.11/24", "fd00:2::11/64"), "conntrack": lab.StrictConntrack(node),
	} {
		if err := s.Lab.Break(ctx, name, f); err != nil {
			t.Errorf("breaking: %v", err)
		}
		if during := s.network(ctx, t); during == before {
			t.Errorf("%s changes nothing", name)
		}
		again := lab.Fault{Mend: f.Mend}
		if err := s.Lab.HealAll(ctx); err != nil {
			t.Errorf("healing: %v", err)
		}
		if err := s.Lab.Break(ctx, name, again); err != nil {
			t.Error(err)
		}
		if err := s.Lab.HealAll(ctx); err != nil {
			t.Errorf("healing %s again: %v", name, err)
		}
		var after string
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if after = s.network(ctx, t); after == before { // the link-local address and the carrier take a moment
				break
			}
		}
		if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")); diff != "" {
			t.Fatalf("%s leaves something, -before +after:\n%s", name, diff)
		}
	}
}

// network is what can be seen of the network on the bridge and a node.
func (s *stage) network(ctx context.Context, t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, h := range []lab.Host{s.Lab.LAN(), s.Lab.Nodes()[0]} {
		script := `ip -br address | sort; ip -br link | sort; ip route | sort; ip -6 route | grep -v linkdown | sort; nft list tables | sort
			bridge -d link show 2>/dev/null | grep -o 'isolated [a-z]*\|: [a-z0-9-]*@' || true
			ip -d link show br0 2>/dev/null | grep -o 'mcast_[a-z]* [0-9]*' || true
			cat /proc/sys/net/netfilter/nf_conntrack_tcp_loose /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal`
		text, err := h.Command(ctx, "sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("looking at the network of %s: %v: %s", h.Name, err, text)
		}
		fmt.Fprintf(&out, "%s:\n%s", h.Name, text)
	}
	return out.String()
}
