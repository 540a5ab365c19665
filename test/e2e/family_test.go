package e2e

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestIPv6(t *testing.T) {
	s := begin(t)
	s.pool("six", "fd00:1::200-fd00:1::20f")
	svc := s.service("six", "six", families(corev1.IPv6Protocol))
	addr := s.address(svc)
	if want := netip.MustParseAddr("fd00:1::200"); addr != want {
		t.Errorf("the address is %s, want the pool's first, %s", addr, want)
	}
	node := s.owner(addr)
	if client := s.web(addr, 80).Field("client"); client == "" {
		t.Error("the web server does not say who asked")
	}
	if got, want := s.neighbour(addr), s.MACOf(node).String(); got != want {
		t.Errorf("the client's neighbour entry is %s, want the owner's %s", got, want)
	}
	s.statusSays(svc, node)
}

func TestDualStackGetsOneAddressOfEachFamilyInTheServicesOrder(t *testing.T) {
	s := begin(t)
	s.pool("dual", "192.168.1.211-192.168.1.212", "fd00:1::210/127")
	for _, c := range []struct {
		name  string
		order []corev1.IPFamily
	}{
		{"dual-46", []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}},
		{"dual-64", []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t)
			both := s.addresses(s.service(c.name, "dual", families(c.order...)), 2)
			if first4 := c.order[0] == corev1.IPv4Protocol; both[0].Is4() != first4 || both[1].Is4() == first4 {
				t.Errorf("the addresses are %v, want one of each family in the order %v", both, c.order)
			}
			for _, addr := range both {
				s.owner(addr)
				s.web(addr, 80)
			}
		})
	}
}
