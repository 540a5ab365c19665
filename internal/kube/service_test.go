package kube

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestServiceIsManagedByTypeAndExactClass(t *testing.T) {
	class := func(s string) *string { return &s }
	for _, c := range []struct {
		name  string
		typ   corev1.ServiceType
		class *string
		flag  string
		want  bool
	}{
		{"no class, no flag", corev1.ServiceTypeLoadBalancer, nil, "", true},
		{"no class, flag set", corev1.ServiceTypeLoadBalancer, nil, "steel", false},
		{"class, no flag", corev1.ServiceTypeLoadBalancer, class("steel"), "", false},
		{"class equal to the flag", corev1.ServiceTypeLoadBalancer, class("steel"), "steel", true},
		{"class only similar to the flag", corev1.ServiceTypeLoadBalancer, class("Steel"), "steel", false},
		{"another type", corev1.ServiceTypeNodePort, nil, "", false},
		{"another type, and its class is gone with it", corev1.ServiceTypeClusterIP, nil, "steel", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			svc := &corev1.Service{Spec: corev1.ServiceSpec{Type: c.typ, LoadBalancerClass: c.class}}
			if got := Service(svc, c.flag).Managed; got != c.want {
				t.Errorf("Managed = %v, want %v", got, c.want)
			}
		})
	}
}

func TestServiceAsksForANode(t *testing.T) {
	for _, c := range []struct {
		name, key, value, want string
	}{
		{"a node", "metallb.io/preferred-node", "node1", "node1"},
		{"spaces around it", "metallb.io/preferred-node", " node1 ", "node1"},
		{"nothing", "metallb.io/preferred-node", "", ""},
		{"an older spelling, which never was", "metallb.universe.tf/preferred-node", "node1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{c.key: c.value}}}
			if got := Service(svc, "").WantedNode; got != c.want {
				t.Errorf("WantedNode = %q, want %q", got, c.want)
			}
		})
	}
}

func TestServiceFamiliesComeFromClusterIPs(t *testing.T) {
	for _, c := range []struct {
		name       string
		clusterIPs []string
		clusterIP  string
		ipFamilies []corev1.IPFamily
		want       []lb.Family
	}{
		{"IPv4", []string{"10.96.0.1"}, "10.96.0.1", []corev1.IPFamily{"IPv4"}, []lb.Family{lb.IPv4}},
		{"dual stack in the order of ipFamilies", []string{"fd00::1", "10.96.0.1"}, "fd00::1", []corev1.IPFamily{"IPv6", "IPv4"}, []lb.Family{lb.IPv6, lb.IPv4}},
		{"ipFamilies decides the order", []string{"10.96.0.1", "fd00::1"}, "", []corev1.IPFamily{"IPv6", "IPv4"}, []lb.Family{lb.IPv6, lb.IPv4}},
		{"headless has none", []string{"None"}, "None", []corev1.IPFamily{"IPv4", "IPv6"}, nil},
		{"a family without a cluster IP is none", []string{"10.96.0.1"}, "", []corev1.IPFamily{"IPv4", "IPv6"}, []lb.Family{lb.IPv4}},
		{"the old field alone", nil, "10.96.0.1", nil, []lb.Family{lb.IPv4}},
		{"not given yet", nil, "", []corev1.IPFamily{"IPv4"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			svc := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIPs: c.clusterIPs, ClusterIP: c.clusterIP, IPFamilies: c.ipFamilies}}
			if d := cmp.Diff(c.want, Service(svc, "").Families, compare); d != "" {
				t.Errorf("Families (-want +got):\n%s", d)
			}
		})
	}
}

func TestServiceRequestedAddresses(t *testing.T) {
	const newKey, oldKey = "metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"
	for _, c := range []struct {
		name        string
		annotations map[string]string
		field       string
		want        []string
		problem     string
	}{
		{"nothing", nil, "", nil, ""},
		{"the field", nil, "192.0.2.1", []string{"192.0.2.1"}, ""},
		{"the annotation", map[string]string{newKey: "192.0.2.1"}, "", []string{"192.0.2.1"}, ""},
		{"the legacy annotation", map[string]string{oldKey: "192.0.2.1"}, "", []string{"192.0.2.1"}, ""},
		{"the newer spelling wins", map[string]string{newKey: "192.0.2.2", oldKey: "192.0.2.1"}, "", []string{"192.0.2.2"}, ""},
		{"both families, spaces, the user's order", map[string]string{newKey: "2001:db8::1 , 192.0.2.1"}, "", []string{"2001:db8::1", "192.0.2.1"}, ""},
		{"an empty annotation asks for nothing", map[string]string{newKey: " "}, "192.0.2.1", []string{"192.0.2.1"}, ""},
		{"annotation and field", map[string]string{newKey: "192.0.2.1"}, "192.0.2.1", nil, "remove one of them"},
		{"not an address", map[string]string{newKey: "192.0.2.300"}, "", nil, `"192.0.2.300" is not an IP address`},
		{"the field is not an address", nil, "web", nil, `spec.loadBalancerIP "web"`},
		{"a trailing comma", map[string]string{newKey: "192.0.2.1,"}, "", nil, "the address is missing"},
		{"two of one family", map[string]string{newKey: "192.0.2.1,192.0.2.2"}, "", nil, "two IPv4 addresses"},
	} {
		t.Run(c.name, func(t *testing.T) {
			svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: c.annotations}, Spec: corev1.ServiceSpec{LoadBalancerIP: c.field}}
			got := Service(svc, "")
			var want []netip.Addr
			for _, s := range c.want {
				want = append(want, netip.MustParseAddr(s))
			}
			if d := cmp.Diff(want, got.Requested, compare); d != "" {
				t.Errorf("Requested (-want +got):\n%s", d)
			}
			checkProblem(t, got.Problems, ReasonInvalidRequest, c.problem)
		})
	}
}

func TestServiceHoldsWhatItsStatusSays(t *testing.T) {
	ip := func(list ...string) (out []corev1.LoadBalancerIngress) {
		for _, s := range list {
			out = append(out, corev1.LoadBalancerIngress{IP: s})
		}
		return out
	}
	for _, c := range []struct {
		name    string
		ingress []corev1.LoadBalancerIngress
		want    []string
	}{
		{"nothing", nil, nil},
		{"an address", ip("192.0.2.1"), []string{"192.0.2.1"}},
		{"both families in their order", ip("2001:db8::1", "192.0.2.1"), []string{"2001:db8::1", "192.0.2.1"}},
		{"two of one family are for the plan to judge", ip("192.0.2.2", "192.0.2.1"), []string{"192.0.2.2", "192.0.2.1"}},
		{"one twice", ip("192.0.2.1", "192.0.2.1"), []string{"192.0.2.1"}},
		{"invalid ingress state: no address", ip("bad state"), nil},
		{"invalid ingress state beside an address", ip("bad state", "192.0.2.1"), []string{"192.0.2.1"}},
		{"a host name", []corev1.LoadBalancerIngress{{Hostname: "elb.example"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Service(&corev1.Service{Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: c.ingress}}}, "")
			var want []netip.Addr
			for _, s := range c.want {
				want = append(want, netip.MustParseAddr(s))
			}
			if d := cmp.Diff(want, got.Held, compare); d != "" {
				t.Errorf("Held (-want +got):\n%s", d)
			}
		})
	}
}

func TestServiceKeepsWhatElseMatters(t *testing.T) {
	policy := corev1.IPFamilyPolicyPreferDualStack
	got := Service(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "web", UID: "u1", Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{
				"metallb.universe.tf/allow-shared-ip": "old", "metallb.io/allow-shared-ip": "key",
				"metallb.universe.tf/address-pool": "gold", "metallb.io/ip-allocated-from-pool": "silver"},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, IPFamilyPolicy: &policy,
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal,
			Selector:              map[string]string{"tier": "front", "app": "web"},
			Ports:                 []corev1.ServicePort{{Protocol: "UDP", Port: 53}, {Port: 443}, {Protocol: "TCP", Port: 53}},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
			{IP: "2001:db8::1"}, {Hostname: "elb.example"}, {IP: "broken"}, {IP: "192.0.2.1"}, {IP: "192.0.2.1"}}}},
	}, "")
	want := lb.Service{
		Name: lb.Name{Namespace: "default", Name: "web"}, UID: "u1", Labels: map[string]string{"app": "web"},
		Managed: true, Policy: lb.PreferDualStack, Local: true, Selector: "app=web,tier=front",
		Ports:      []lb.Port{{Protocol: "TCP", Number: 53}, {Protocol: "TCP", Number: 443}, {Protocol: "UDP", Number: 53}},
		SharingKey: "key", RequestedPool: "gold", HeldFrom: "silver",
		Held: []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")},
	}
	if d := cmp.Diff(want, got, compare); d != "" {
		t.Errorf("Service (-want +got):\n%s", d)
	}
}

func TestLegacyAnnotationsNamesOnlyThoseThatCount(t *testing.T) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		"metallb.universe.tf/address-pool": "a", "metallb.universe.tf/loadBalancerIPs": "192.0.2.1",
		"metallb.io/loadBalancerIPs": "192.0.2.2", "metallb.universe.tf/ip-allocated-from-pool": "a"}}}
	if d := cmp.Diff([]string{"metallb.universe.tf/address-pool"}, LegacyAnnotations(svc)); d != "" {
		t.Errorf("LegacyAnnotations (-want +got):\n%s", d)
	}
}
