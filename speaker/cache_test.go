package speaker

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

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
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady}, {Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}}
	n.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	out, err := strip(n)
	if err != nil {
		t.Fatal(err)
	}
	got := out.(*corev1.Node)
	if got.Status.Images != nil || got.ManagedFields != nil || len(got.Status.Conditions) != 1 || len(got.Status.Addresses) != 2 {
		t.Errorf("node = %+v", got)
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
