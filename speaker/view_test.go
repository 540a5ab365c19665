package speaker

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/daemon"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

const ours = "metallb-system"

// fakeAPI is a client over these objects.
func fakeAPI(t *testing.T, objects ...client.Object) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1beta1.ServiceL2Status{}).WithIndex(&discoveryv1.EndpointSlice{}, serviceIndex, serviceOf)
}

func loadBalancer(name string, ips ...string) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-of-" + name)},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	for _, ip := range ips {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip})
	}
	return s
}

func endpointSlice(service, suffix, node string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: service + suffix, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1" + suffix[1:]}, NodeName: &node}}}
}

func newSpeaker(t *testing.T, api client.Client) *Speaker {
	t.Helper()
	ring, err := gossip.New(gossip.Config{Node: "node1", Bind: netip.MustParseAddrPort("127.0.0.1:17944"), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Node: "node1", Namespace: ours, Log: logr.Discard(), Probes: daemon.NewProbes()}
	m := NewMetrics(nil)
	return &Speaker{Options: o, reader: api, ring: ring, metrics: m, events: &events{}, status: newStatusWriter(api, o, m.statusErrors),
		conflicts: newConflictWriter(api, o, m.statusErrors),
		wake:      make(chan struct{}, 1), pods: make(chan struct{}, 1)}
}

func TestViewHoldsWhatTheDecisionNeeds(t *testing.T) {
	class := "other.example/lb"
	foreign := loadBalancer("foreign", "192.0.2.9")
	foreign.Spec.LoadBalancerClass = &class
	clusterIP := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "internal"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}}
	s := newSpeaker(t, fakeAPI(t,
		loadBalancer("web", "192.0.2.1"), loadBalancer("pending"), foreign, clusterIP,
		endpointSlice("web", "-1", "node2"), endpointSlice("web", "-2", "node2"), endpointSlice("internal", "-1", "node1"),
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1"}},
		&v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: "pool"}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}},
		&v1beta1.L2Advertisement{ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: "ad"}},
	).Build())
	v, err := s.world(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Nodes) != 1 || len(v.Pools) != 1 || len(v.Advertisements) != 1 {
		t.Errorf("view = %+v", v)
	}
	if len(v.Services) != 1 || v.Services[0].Name.Name != "web" {
		t.Fatalf("services = %v, want only web: the others are not ours or hold nothing", v.Services)
	}
	if diff := cmp.Diff(map[string]lb.Endpoints{"node2": {Ready: 2, Serving: 2}}, v.Services[0].Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
}

func pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: name, Labels: map[string]string{"app.kubernetes.io/component": "speaker"}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "192.0.2.1"}}
	change(p)
	return p
}

func TestPeersAreTheLivingSpeakerPods(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:17944"), netip.MustParseAddrPort("[2001:db8::1]:7000")
	for _, c := range []struct {
		name   string
		bind   netip.AddrPort
		change func(*corev1.Pod)
		want   string
	}{
		{"a pod IP", v4, func(p *corev1.Pod) { p.Status.PodIP = "192.0.2.7" }, "192.0.2.7:17944"},
		{"no pod IP yet: its host", v4, func(*corev1.Pod) {}, "192.0.2.1:17944"},
		{"the address of the family that we gossip in", v6, func(p *corev1.Pod) {
			p.Status.PodIP, p.Status.PodIPs = "192.0.2.7", []corev1.PodIP{{IP: "192.0.2.7"}, {IP: "2001:db8::7"}}
		}, "[2001:db8::7]:7000"},
		{"only the other family", v6, func(p *corev1.Pod) { p.Status.PodIP = "192.0.2.7" }, "192.0.2.7:7000"},
		{"the short label of older manifests", v4, func(p *corev1.Pod) { p.Labels = map[string]string{"component": "speaker"} }, "192.0.2.1:17944"},
		{"another component", v4, func(p *corev1.Pod) { p.Labels = map[string]string{"app.kubernetes.io/component": "controller"} }, ""},
		{"one that has finished", v4, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, ""},
		{"one that is being deleted", v4, func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"example.com/x"}
		}, ""},
		{"another namespace", v4, func(p *corev1.Pod) { p.Namespace = "default" }, ""},
		{"no address at all", v4, func(p *corev1.Pod) { p.Status.HostIP = "" }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSpeaker(t, fakeAPI(t, pod("a", c.change)).Build())
			got := ""
			for _, p := range s.peers(t.Context(), c.bind) {
				got += p.String()
			}
			if got != c.want {
				t.Errorf("peers = %q, want %q", got, c.want)
			}
		})
	}
}

func node(name string, internal ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "203.0.113.1"}}
	for _, a := range internal {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	return n
}

func TestGossipAddress(t *testing.T) {
	for _, c := range []struct {
		name string
		flag netip.AddrPort
		node *corev1.Node
		want string
	}{
		{"the node's InternalIP", netip.AddrPort{}, node("node1", "192.0.2.1"), "192.0.2.1:17944"},
		{"IPv4 before IPv6", netip.AddrPort{}, node("node1", "2001:db8::1", "192.0.2.1"), "192.0.2.1:17944"},
		{"IPv6 where there is nothing else", netip.AddrPort{}, node("node1", "2001:db8::1"), "[2001:db8::1]:17944"},
		{"another port", netip.AddrPortFrom(netip.Addr{}, 7000), node("node1", "192.0.2.1"), "192.0.2.1:7000"},
		{"an address without a port", netip.AddrPortFrom(netip.MustParseAddr("192.0.2.9"), 0), node("node1"), "192.0.2.9:17944"},
		{"all given, the Node does not matter", netip.MustParseAddrPort("192.0.2.9:1"), node("other"), "192.0.2.9:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSpeaker(t, fakeAPI(t, c.node).Build())
			s.GossipBind = c.flag
			got, err := s.gossipAddress(t.Context())
			if err != nil || got.String() != c.want {
				t.Errorf("gossipAddress = %v, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestANodeThatIsMissingIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		node *corev1.Node
		says string
	}{
		{"no Node of that name", node("other"), `no Node named "node1"`},
		{"a Node without InternalIP", node("node1"), "no InternalIP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSpeaker(t, fakeAPI(t, c.node).Build())
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if _, err := s.gossipAddress(ctx); err == nil {
					t.Error("no error when the context ended")
				}
				_, missing, err := s.internalIP(t.Context())
				if err != nil || !strings.Contains(missing, c.says) {
					t.Errorf("missing = %q, %v, want it to say %q", missing, err, c.says)
				}
			})
		})
	}
}
