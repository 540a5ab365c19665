package plugin

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/live/fetch"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

var update = flag.Bool("update", false, "rewrite testdata")

const system = "metallb-system"

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// town is a cluster for the tests: three nodes that speak, of which node1 died 5 minutes ago, and node4 without a speaker.
type town struct {
	objects []client.Object
	claims  map[string][]lb.Claim // by node
	adapt   func(node string, v *ownership.View)
	replies func(*fetch.Replies) // after the speakers answered
	unasked error
	logs    logSource
	fails   error         // of every list, by the API server
	asking  time.Duration // how long the speakers take to answer
}

func newTown() *town {
	t := &town{claims: map[string][]lb.Claim{}, adapt: func(string, *ownership.View) {}, replies: func(*fetch.Replies) {}}
	for i := 1; i <= 4; i++ {
		t.add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("node", i)}})
	}
	t.add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&v1beta1.L2Advertisement{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "all"}},
		ipPool("default", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.0/28", "2001:db8::/64"} }),
		ipPool("shop", func(p *v1beta1.IPAddressPool) {
			p.Spec.Addresses, p.Spec.Reserved = []string{"192.0.2.32-192.0.2.33"}, []string{"192.0.2.33/32"}
			p.Spec.AllocateTo = &v1beta1.ServiceAllocation{Namespaces: []string{"shop"}}
		}))
	t.serve("default", "web", "192.0.2.1")
	t.serve("default", "api", "192.0.2.2")
	t.claims["node1"] = []lb.Claim{{Addr: addr("192.0.2.1"), Standby: "node2", Cause: lb.CauseFree, Evidence: 3, Since: noon().Add(-time.Hour)}}
	t.claims["node2"] = []lb.Claim{{Addr: addr("192.0.2.1"), Standby: "node3", Cause: lb.CauseDeath, From: "node1", Evidence: 2, Since: noon().Add(-5 * time.Minute)}}
	t.claims["node3"] = []lb.Claim{{Addr: addr("192.0.2.2"), Standby: "node2", Cause: lb.CauseFree, Evidence: 2, Since: noon().Add(-48 * time.Hour)}}
	t.event("web", -5*time.Minute, `node "node2" answers for 192.0.2.1, before it was node "node1" (death, 0.18 s after its last sign of life)`)
	t.event("web", -time.Hour, `node "node1" answers for 192.0.2.1 (free)`)
	return t
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func ipPool(name string, change func(*v1beta1.IPAddressPool)) *v1beta1.IPAddressPool {
	p := &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}}
	change(p)
	return p
}

func (t *town) add(objects ...client.Object) { t.objects = append(t.objects, objects...) }

// serve adds a Service with a pod on node3, and what its speakers wrote.
func (t *town) serve(namespace, name string, addrs ...string) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer,
		ClusterIP: "10.0.0.1", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Ports: []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}}}}
	for _, a := range addrs {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a})
	}
	node, yes := "node3", true
	t.add(svc, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}, NodeName: &node, Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes}}}})
	return svc
}

func (t *town) event(service string, at time.Duration, note string) {
	t.add(&eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint(service, at)}, Regarding: corev1.ObjectReference{Kind: "Service", Name: service},
		ReportingController: "steelyard-speaker", EventTime: metav1.NewMicroTime(noon().Add(at)), Type: "Normal", Reason: "nodeAssigned", Note: note})
}

// said is what a node tells of itself by gossip.
func (t *town) said(i int) lb.Speaker {
	node := fmt.Sprint("node", i)
	return lb.Speaker{Node: node, Boot: 1, Claims: t.claims[node], Interfaces: []lb.Interface{{Name: "eth0", Up: true, MACs: []lb.MAC{{2, 0, 0, 0, 0, byte(i)}},
		Addrs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)})}, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}}
}

// ask lets node2 and node3 decide, as they do in a cluster, and tell.
func (t *town) ask(objects cluster.Objects, why []netip.Addr) (fetch.Replies, error) {
	r := fetch.Replies{Views: map[string]live.View{}, Silent: map[string]error{"node1": errors.New("no answer within 5s")}}
	for i := 2; i <= 3; i++ {
		self := fmt.Sprint("node", i)
		v := ownership.View{Now: noon().Add(-2 * time.Second), Self: self, Speakers: []lb.Speaker{t.said(1), t.said(2), t.said(3)}, Timing: ownership.DefaultTiming(),
			Mine:  ownership.Resume(t.claims[self]),
			Peers: []lb.Peer{{Node: "node1", Gossip: lb.Dead, Silent: noon().Add(-5 * time.Minute), Hosts: []lb.HostLife{{Interface: "eth0", Life: lb.Dead}}}, {Node: fmt.Sprint("node", 5-i), Gossip: lb.Alive}}}
		w := sight{now: noon()}.foresight(objects)
		v.Nodes, v.Pools, v.Advertisements, v.Services = w.Nodes, w.Allocation.Pools, w.Advertisements, w.Allocation.Services
		v.Services = slices.DeleteFunc(v.Services, func(s lb.Service) bool { return !s.Managed || len(s.Held) == 0 })
		slices.SortFunc(v.Services, func(a, b lb.Service) int { return a.Name.Compare(b.Name) })
		t.adapt(self, &v)
		d := ownership.Decide(v)
		for i := range d.Addresses { // a speaker that came back does not know it any more
			for _, c := range t.claims[d.Addresses[i].Owner] {
				if c.Addr == d.Addresses[i].Addr {
					d.Addresses[i].From = c.From
				}
			}
		}
		r.Views[self] = live.Of(v, d, "", noon(), why)
	}
	t.replies(&r)
	return r, t.unasked
}

// run calls the command as a user does.
func (t *town) run(tb testing.TB, args ...string) (string, error) {
	tb.Helper()
	tb.Setenv("HOME", tb.TempDir())
	tb.Setenv("KUBECONFIG", "")
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	cl := fake.NewClientBuilder().WithScheme(scheme).WithObjects(t.objects...).
		WithInterceptorFuncs(interceptor.Funcs{List: func(ctx context.Context, cl client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if t.fails != nil {
				return t.fails
			}
			return cl.List(ctx, list, opts...)
		}}).
		WithIndex(&eventsv1.Event{}, "regarding.name", func(o client.Object) []string { return []string{o.(*eventsv1.Event).Regarding.Name} }).Build()
	var out bytes.Buffer
	now := noon()
	g := &globals{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out}, flags: genericclioptions.NewConfigFlags(true), now: func() time.Time { return now },
		connect: func() (client.Client, error) { return cl, nil }, logs: t.logs, serverVersion: func() (string, error) { return "v1.37.1", nil }}
	g.views = func(ctx context.Context, why []netip.Addr) (fetch.Replies, error) {
		objects, err := cluster.Read(ctx, cl, system)
		if err != nil {
			tb.Fatal(err)
		}
		now = now.Add(t.asking)
		return t.ask(objects, why)
	}
	c := g.command()
	c.SetArgs(args)
	err := c.ExecuteContext(tb.Context())
	return out.String(), err
}

// golden compares with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// controllerOf is the Deployment of a controller that serves a class.
func controllerOf(class string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "steelyard-controller", Labels: map[string]string{"app.kubernetes.io/component": "controller"}}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "controller", Args: []string{"--log-level=info", "--lb-class=" + class}}}
	return d
}
