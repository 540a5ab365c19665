package controllers

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// patched applies d to svc as the API server would.
func patched(t *testing.T, svc *corev1.Service, d desired, now time.Time) *corev1.Service {
	t.Helper()
	patch, err := d.patch(svc, metav1.NewTime(now))
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(svc)
	if err != nil {
		t.Fatal(err)
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Service{})
	if err != nil {
		t.Fatalf("%v\npatch %s", err, patch)
	}
	var out corev1.Service
	if err := json.Unmarshal(after, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestPatchWritesOursAndKeepsTheRest(t *testing.T) {
	then, now := time.Unix(1000, 0), time.Unix(2000, 0)
	svc := service("s")
	svc.Annotations = map[string]string{"other": "stays"}
	svc.Status.Conditions = []metav1.Condition{{Type: "example.com/Other", Status: "True", Reason: "R", LastTransitionTime: metav1.NewTime(then)}}
	d := desired{ingress: addrs("2001:db8::1", "192.0.2.1"), pool: "p", status: "True", reason: "Allocated", message: "m"}
	got := patched(t, &svc, d, now)
	if have, ok := current(got); !ok || !have.equal(d) {
		t.Errorf("after the patch ours is %+v, want %+v", have, d)
	}
	if got.Annotations["other"] != "stays" || len(got.Status.Conditions) != 2 {
		t.Errorf("annotations %v and conditions %v: what belongs to others is lost", got.Annotations, got.Status.Conditions)
	}
	if got.ResourceVersion != svc.ResourceVersion {
		t.Errorf("the patch names resourceVersion %q, want %q", got.ResourceVersion, svc.ResourceVersion)
	}

	later := patched(t, got, desired{ingress: addrs("192.0.2.1"), pool: "p", status: "True", reason: "Allocated", message: "another"}, now.Add(time.Hour))
	if have, _ := current(later); len(have.ingress) != 1 || have.message != "another" {
		t.Errorf("after the second patch ours is %+v", have)
	}
	for _, c := range later.Status.Conditions {
		if isOurs(c) && !c.LastTransitionTime.Time.Equal(now) {
			t.Errorf("lastTransitionTime = %v though the status stayed True since %v", c.LastTransitionTime, now)
		}
	}

	cleared := patched(t, later, desired{}, now)
	if cluster.Marked(cleared) || len(cleared.Status.LoadBalancer.Ingress) != 0 {
		t.Errorf("the zero desired leaves %v, %v, %v", cleared.Annotations, cleared.Status.LoadBalancer, cleared.Status.Conditions)
	}
	if len(cleared.Status.Conditions) != 1 || cleared.Annotations["other"] != "stays" {
		t.Errorf("annotations %v and conditions %v: what belongs to others is lost", cleared.Annotations, cleared.Status.Conditions)
	}
}

func TestPatchOfAnotherTypeDoesNotTouchTheLoadBalancerStatus(t *testing.T) {
	svc := service("s")
	svc.Spec.Type = corev1.ServiceTypeClusterIP
	svc.Annotations = map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"}
	patch, err := desired{}.patch(&svc, metav1.Now())
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Status map[string]any }
	if err := json.Unmarshal(patch, &got); err != nil {
		t.Fatal(err)
	}
	if _, there := got.Status["loadBalancer"]; there {
		t.Errorf("patch %s names loadBalancer, which the API server refuses for this type", patch)
	}
}

func TestCurrentTreatsNoModeAndVIPAlike(t *testing.T) {
	vip, proxy := corev1.LoadBalancerIPModeVIP, corev1.LoadBalancerIPModeProxy
	for _, c := range []struct {
		name    string
		ingress corev1.LoadBalancerIngress
		clean   bool
	}{
		{"no mode", corev1.LoadBalancerIngress{IP: "192.0.2.1"}, true},
		{"VIP", corev1.LoadBalancerIngress{IP: "192.0.2.1", IPMode: &vip}, true},
		{"Proxy", corev1.LoadBalancerIngress{IP: "192.0.2.1", IPMode: &proxy}, false},
		{"a host name", corev1.LoadBalancerIngress{Hostname: "lb.example"}, false},
		{"no address", corev1.LoadBalancerIngress{IP: "none"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			svc := service("s")
			svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{c.ingress}
			if _, clean := current(&svc); clean != c.clean {
				t.Errorf("clean = %v, want %v", clean, c.clean)
			}
		})
	}
}

func TestWant(t *testing.T) {
	p := &lb.Problem{Reason: "Exhausted", Message: "full"}
	for _, c := range []struct {
		name    string
		a       allocate.Assignment
		managed bool
		want    desired
	}{
		{"served", allocate.Assignment{Addresses: addrs("192.0.2.1"), Pool: "p", Complete: true}, true,
			desired{addrs("192.0.2.1"), "p", "True", "Allocated", "192.0.2.1 from pool p"}},
		{"from two pools", allocate.Assignment{Addresses: addrs("192.0.2.1", "2001:db8::1"), Pool: "p,q", Complete: true}, true,
			desired{addrs("192.0.2.1", "2001:db8::1"), "p,q", "True", "Allocated", "192.0.2.1 and 2001:db8::1 from pool p and q"}},
		{"waiting", allocate.Assignment{Problem: p}, true, desired{nil, "", "False", "Exhausted", "full"}},
		{"irregular", allocate.Assignment{Addresses: addrs("192.0.2.1"), Pool: "p", Complete: true, Problem: p}, true,
			desired{addrs("192.0.2.1"), "p", "True", "Exhausted", "full"}},
		{"not ours any more", allocate.Assignment{Complete: true}, false, desired{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, want(c.a, c.managed), sameAddr, cmp.AllowUnexported(desired{}), cmpopts.EquateEmpty()); d != "" {
				t.Errorf("want (-want +got):\n%s", d)
			}
		})
	}
}

func TestReleaseFirstKeepsWhatIsOnlyMoved(t *testing.T) {
	have := desired{ingress: addrs("192.0.2.1", "2001:db8::1"), pool: "p", status: "True"}
	a := allocate.Assignment{Released: []allocate.Release{
		{Address: addrs("192.0.2.1")[0], Why: lb.Problem{Reason: allocate.ReasonMoved}},
		{Address: addrs("2001:db8::1")[0], Why: lb.Problem{Reason: allocate.ReasonNotInPool}},
	}}
	if got := releaseFirst(a, have); !cmp.Equal(got.ingress, addrs("192.0.2.1"), sameAddr) || got.pool != "p" {
		t.Errorf("releaseFirst = %+v, want the IPv4 address kept", got)
	}
	a.Released[0].Why.Reason = allocate.ReasonAddressInUse
	if got := releaseFirst(a, have); len(got.ingress) != 0 || got.pool != "" {
		t.Errorf("releaseFirst = %+v, want nothing left", got)
	}
}
