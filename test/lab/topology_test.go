package lab

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanGivesTheAddressesThatTheDocumentsName(t *testing.T) {
	topo := plan("x", Full)
	for _, tc := range []struct {
		host                   Host
		ns, v4, v6, local, mac string
	}{
		{topo.nodes[0].Host, "x-node1", "192.168.1.11", "fd00:1::11", "fe80::c0ff:fea8:10b", "02:00:c0:a8:01:0b"},
		{topo.nodes[2].Host, "x-node3", "192.168.1.13", "fd00:1::13", "fe80::c0ff:fea8:10d", "02:00:c0:a8:01:0d"},
		{topo.client, "x-client", "192.168.1.100", "fd00:1::100", "fe80::c0ff:fea8:164", "02:00:c0:a8:01:64"},
		{topo.router, "x-router", gateway4, gateway6, "fe80::c0ff:fea8:101", "02:00:c0:a8:01:01"},
	} {
		got := []string{tc.host.NS, tc.host.IPv4.String(), tc.host.IPv6.String(), tc.host.LinkLocal.String(), tc.host.MAC.String()}
		if d := cmp.Diff([]string{tc.ns, tc.v4, tc.v6, tc.local, tc.mac}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.host.Name, d)
		}
	}
	if got := len(topo.hosts()); got != 7 {
		t.Errorf("%d namespaces, want 7", got)
	}
	if got := len(plan("x", APIOnly).hosts()); got != 1 {
		t.Errorf("%d namespaces without nodes, want 1", got)
	}
}

func TestLinkLocalFollowsModifiedEUI64(t *testing.T) {
	// The example of RFC 2464 §4.
	mac := net.HardwareAddr{0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde}
	if got := linkLocal(mac).String(); got != "fe80::3656:78ff:fe9a:bcde" {
		t.Error(got)
	}
}

func TestCheckNameTakesOnlyWhatANamespaceCanBeCalled(t *testing.T) {
	for name, ok := range map[string]bool{
		"steelyard": true, "e2e-2": true, "": false, "-x": false, "../x": false, "a b": false, "Übel": false, "abcdefghijklmnopqrstuvwxyz": false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
