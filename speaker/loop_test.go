package speaker

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// lan is a Wire without a network.
type lan struct {
	mu         sync.Mutex
	interfaces []lb.Interface
	want       map[netip.Addr][]string
	changed    chan struct{}
}

func (l *lan) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (l *lan) Changed() <-chan struct{}      { return l.changed }

func (l *lan) Set(want map[netip.Addr][]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = want
}

func (l *lan) Interfaces() []lb.Interface {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.interfaces
}

func (l *lan) plug(list ...lb.Interface) {
	l.mu.Lock()
	l.interfaces = list
	l.mu.Unlock()
	poke(l.changed)
}

func (l *lan) answers(a netip.Addr) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.want[a]
}

// awaitAnswers polls: the loop runs in a goroutine of its own, over a client that takes real time.
func awaitAnswers(t *testing.T, l *lan, want ...string) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		if slices.Equal(l.answers(addr), want) {
			return
		}
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("answers on %v, want %v", l.answers(addr), want)
		}
	}
}

func TestLoopFollowsTheWorld(t *testing.T) {
	api := fakeAPI(t, loadBalancer("web", addr.String()), endpointSlice("web", "-1", "node2"), node("node1", "192.168.1.11"),
		&v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: "pool"}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.168.1.200/32"}}},
		&v1beta1.L2Advertisement{ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: "ad"}}).Build()
	s := newSpeaker(t, api)
	lan := &lan{changed: make(chan struct{}, 1)}
	s.Wire = lan
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	s.refresh(ctx)
	running.Go(func() { s.loop(ctx) })
	defer running.Wait()
	defer cancel()

	eth0 := lb.Interface{Name: "eth0", Up: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}}
	lan.plug(eth0)
	awaitAnswers(t, lan, "eth0")
	eth0.Up = false
	lan.plug(eth0)
	awaitAnswers(t, lan)
	eth0.Up = true
	lan.plug(eth0)
	awaitAnswers(t, lan, "eth0")

	if err := api.Delete(ctx, endpointSlice("web", "-1", "node2")); err != nil {
		t.Fatal(err)
	}
	poke(s.wake) // what an informer does
	awaitAnswers(t, lan)
	if err := api.Create(ctx, endpointSlice("web", "-1", "node1")); err != nil {
		t.Fatal(err)
	}
	poke(s.wake)
	awaitAnswers(t, lan, "eth0")
	if err := api.Delete(ctx, loadBalancer("web")); err != nil {
		t.Fatal(err)
	}
	poke(s.wake)
	awaitAnswers(t, lan)
}

func TestWhatWakesTheLoop(t *testing.T) {
	api := fakeAPI(t, loadBalancer("web", "192.0.2.1"),
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "internal"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}}).Build()
	s := newSpeaker(t, api)
	changed := func(o client.Object, change func(client.Object)) client.Object { change(o); return o }
	clusterIP := func() *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}}
	}
	pool := func(generation int64) *v1beta1.IPAddressPool {
		return &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Generation: generation}}
	}
	for _, c := range []struct {
		name          string
		matters       func(before, after client.Object) bool
		before, after client.Object
		want          bool
	}{
		{"a load balancer", anyLoadBalancer, nil, loadBalancer("web"), true},
		{"one that stops being one", anyLoadBalancer, loadBalancer("web"), clusterIP(), true},
		{"one that goes", anyLoadBalancer, loadBalancer("web"), nil, true},
		{"another Service", anyLoadBalancer, clusterIP(), clusterIP(), false},
		{"endpoints of a load balancer", s.ofLoadBalancer, nil, endpointSlice("web", "-1", "n"), true},
		{"endpoints of a load balancer that go", s.ofLoadBalancer, endpointSlice("web", "-1", "n"), nil, true},
		{"endpoints of another Service", s.ofLoadBalancer, nil, endpointSlice("internal", "-1", "n"), false},
		{"endpoints of a Service that is not known", s.ofLoadBalancer, nil, endpointSlice("later", "-1", "n"), false},
		{"a new node", nodeChanged, nil, node("a"), true},
		{"a heartbeat", nodeChanged, node("a"), changed(node("a"), func(o client.Object) { o.SetResourceVersion("2") }), false},
		{"a label on a node", nodeChanged, node("a"), changed(node("a"), func(o client.Object) { o.SetLabels(map[string]string{"x": "y"}) }), true},
		{"usage counters of a pool", specChanged, pool(1), pool(1), false},
		{"the spec of a pool", specChanged, pool(1), pool(2), true},
		{"a label on a pool", specChanged, pool(1), changed(pool(1), func(o client.Object) { o.SetLabels(map[string]string{"x": "y"}) }), true},
		{"a deleted pool", specChanged, pool(1), nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			woken := false
			h := handler(c.matters, func() { woken = true })
			switch {
			case c.before == nil:
				h.OnAdd(c.after, false)
			case c.after == nil:
				h.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: c.before})
			default:
				h.OnUpdate(c.before, c.after)
			}
			if woken != c.want {
				t.Errorf("woken = %v, want %v", woken, c.want)
			}
		})
	}
}

func TestStripKeepsWhatIsRead(t *testing.T) {
	n := node("a", "192.0.2.1")
	n.Status.Images = []corev1.ContainerImage{{Names: []string{"large"}}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure}, {Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue},
		{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: "node is shutting down"}}
	n.Spec.Taints = []corev1.Taint{{Key: "example.com/other"}, {Key: corev1.TaintNodeOutOfService}}
	want := kube.Node(n)
	n.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	out, err := strip(n)
	if err != nil {
		t.Fatal(err)
	}
	got := out.(*corev1.Node)
	if got.Status.Images != nil || got.ManagedFields != nil || len(got.Status.Conditions) != 2 || len(got.Status.Addresses) != 2 || len(got.Spec.Taints) != 1 {
		t.Errorf("node = %+v", got)
	}
	if diff := cmp.Diff(want, kube.Node(got)); diff != "" || !want.OutOfService || !want.NetworkUnavailable {
		t.Errorf("what is made of the node (-want +got):\n%s", diff)
	}
	clusterIP := loadBalancer("internal")
	clusterIP.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.1", Selector: map[string]string{"a": "b"}}
	if out, _ := strip(clusterIP); out.(*corev1.Service).Spec.Selector != nil || out.(*corev1.Service).Spec.Type != corev1.ServiceTypeClusterIP {
		t.Errorf("a ClusterIP Service keeps %+v", out)
	}
	web := loadBalancer("web", "192.0.2.1")
	web.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: "large", v1beta1.AnnotationAllowSharedIP: "k"}
	out, _ = strip(web)
	if s := out.(*corev1.Service); len(s.Annotations) != 1 || len(s.Status.LoadBalancer.Ingress) != 1 {
		t.Errorf("a load balancer keeps %+v", s)
	}
	es := endpointSlice("web", "-1", "node1")
	es.Labels["endpointslice.kubernetes.io/managed-by"] = "x"
	es.Ports = []discoveryv1.EndpointPort{{}}
	out, _ = strip(es)
	if s := out.(*discoveryv1.EndpointSlice); s.Ports != nil || len(s.Labels) != 1 || *s.Endpoints[0].NodeName != "node1" || serviceOf(s)[0] != "default/web" {
		t.Errorf("a slice keeps %+v", s)
	}
	if out, err := strip("not an object"); out != "not an object" || err != nil {
		t.Errorf("strip of something else = %v, %v", out, err)
	}
}
