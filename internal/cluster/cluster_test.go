package cluster

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func service(name string, change func(*corev1.Service)) corev1.Service {
	s := corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.1", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}}}
	if change != nil {
		change(&s)
	}
	return s
}

func pool(name, addrs string) v1beta1.IPAddressPool {
	return v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{addrs}}}
}

func TestTheWorldOfAClassLeavesOutWhatIsNotItsBusiness(t *testing.T) {
	class, now := "other", metav1.Now()
	going := pool("going", "192.0.2.128/28")
	going.DeletionTimestamp = &now
	o := Objects{Pools: []v1beta1.IPAddressPool{pool("here", "192.0.2.0/28"), going},
		Namespaces: []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{"a": "b"}}}},
		Services: []corev1.Service{service("ours", nil), service("theirs", func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }),
			service("internal", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })}}
	w := o.World("", now.Time)
	if len(w.Pools) != 1 || w.Pools[0].Name != "here" {
		t.Errorf("pools %v, want only the one that is not being deleted", w.Pools)
	}
	if len(w.Services) != 1 || w.Services[0].Name.Name != "ours" {
		t.Errorf("services %v, want only ours", w.Services)
	}
	if w.Namespaces["default"]["a"] != "b" {
		t.Errorf("namespaces %v", w.Namespaces)
	}
	got := allocate.Plan(w).Services[0].Addresses
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr("192.0.2.0")}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("the plan (-want +got):\n%s", diff)
	}
}

func TestTheWorldKnowsWhatThePoolsKeepAndAvoid(t *testing.T) {
	now := time.Now()
	p := pool("p", "192.0.2.0/28")
	p.Spec.RetainFor = &metav1.Duration{Duration: time.Hour}
	p.Status.Retained = []v1beta1.RetainedAddress{{Address: "192.0.2.1", Namespace: "default", Name: "gone", Until: metav1.NewTime(now.Add(time.Hour))}}
	p.Status.Conflicts = []v1beta1.AddressConflict{{Address: "192.0.2.2", Node: "a", Until: metav1.NewTime(now.Add(time.Hour))}}
	w := Objects{Pools: []v1beta1.IPAddressPool{p}}.World("", now)
	if len(w.Retained) != 1 || w.Retained[0].For.Name != "gone" || len(w.Conflicts) != 1 {
		t.Errorf("retained %v, conflicts %v", w.Retained, w.Conflicts)
	}
}

func TestEndpointsAreCountedForEachServiceOverAllItsSlices(t *testing.T) {
	slice := func(name, service, addr, node string) discoveryv1.EndpointSlice {
		yes := true
		return discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{addr}, NodeName: &node,
				Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes}}}}
	}
	got := Endpoints([]discoveryv1.EndpointSlice{slice("web-1", "web", "10.1.0.1", "a"), slice("web-2", "web", "10.1.0.2", "a"), slice("api-1", "api", "10.1.0.3", "b")})
	want := map[lb.Name]map[string]lb.Endpoints{
		{Namespace: "default", Name: "web"}: {"a": {Ready: 2, Serving: 2}},
		{Namespace: "default", Name: "api"}: {"b": {Ready: 1, Serving: 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
}
