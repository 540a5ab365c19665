package speaker

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

var instant = time.Unix(1_700_000_000, 0)

// statusObject is one that node wrote for a Service, an hour before instant.
func statusObject(name, node, service string, change ...func(*v1beta1.ServiceL2Status)) v1beta1.ServiceL2Status {
	o := v1beta1.ServiceL2Status{
		ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(instant.Add(-time.Hour))},
		Status:     statusFields(node, lb.Name{Namespace: "default", Name: service}, []string{"eth0"})}
	for _, c := range change {
		c(&o)
	}
	return o
}

func TestStatusForASharedAndADualStackService(t *testing.T) {
	dns := lb.Name{Namespace: "default", Name: "dns"}
	a, b := owned("node1"), owned("node1")
	a.Services = []lb.Name{web, dns}
	b.Candidates[0].Interfaces = []string{"eth0", "eth1"}
	other := owned("node2")
	other.Services = []lb.Name{{Namespace: "default", Name: "other"}}
	w := statusFor(view("node1", "node2"), decision(a, b, other, unowned(ownership.NoPool, "")))
	want := map[lb.Name][]string{web: {"eth0", "eth1"}, dns: {"eth0"}}
	if diff := cmp.Diff(want, w.services); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !w.alive["node1"] || !w.alive["node2"] || w.alive["node3"] {
		t.Errorf("alive = %v", w.alive)
	}
}

func TestPlanStatus(t *testing.T) {
	pod := []metav1.OwnerReference{{Kind: "Pod", Name: "speaker", UID: "pod"}}
	byPod := func(o *v1beta1.ServiceL2Status) { o.OwnerReferences = pod }
	w := wanted{services: map[lb.Name][]string{web: {"eth0"}}, alive: map[string]bool{"node1": true, "node2": true}}
	for _, c := range []struct {
		name  string
		owner []metav1.OwnerReference
		have  []v1beta1.ServiceL2Status
		want  string // what happens, in the order create, update, remove
	}{
		{"nothing there", nil, nil, "create web"},
		{"all as it should be", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web")}, ""},
		{"another interface", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web", func(o *v1beta1.ServiceL2Status) {
			o.Status.Interfaces = nil
		})}, "update a"},
		{"created, but its status was not written", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web", func(o *v1beta1.ServiceL2Status) {
			o.Status = v1beta1.ServiceL2StatusStatus{}
			o.Labels = newStatus(ours, "node1", nil, web).Labels
		})}, "update a"},
		{"one too many", nil, []v1beta1.ServiceL2Status{statusObject("b", "node1", "web"), statusObject("a", "node1", "web")}, "remove b"},
		{"a Service that is no longer ours", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web"), statusObject("b", "node1", "old")}, "remove b"},
		{"owned by our Pod", pod, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web", byPod)}, ""},
		{"left by the Pod before ours", pod, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web")}, "create web, remove a"},
		{"another living node's", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web"), statusObject("b", "node2", "web")}, ""},
		{"a dead node's", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web"), statusObject("b", "node3", "web")}, "remove b"},
		{"a dead node's, of a Service that is not ours", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web"), statusObject("b", "node3", "old")}, ""},
		{"a dead node's, too young", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web"), statusObject("b", "node3", "web", func(o *v1beta1.ServiceL2Status) {
			o.CreationTimestamp = metav1.NewTime(instant.Add(-strangerAge / 2))
		})}, "wait 15s"},
		{"one that is going already", nil, []v1beta1.ServiceL2Status{statusObject("a", "node1", "web"), statusObject("b", "node1", "old", func(o *v1beta1.ServiceL2Status) {
			o.DeletionTimestamp = &metav1.Time{Time: instant}
		})}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planStatus("node1", c.owner, w, c.have, instant)
			var got []string
			for _, n := range p.create {
				got = append(got, "create "+n.Name)
			}
			for _, o := range p.update {
				got = append(got, "update "+o.Name)
			}
			for _, o := range p.remove {
				got = append(got, "remove "+o.Name)
			}
			if p.wait > 0 {
				got = append(got, "wait "+p.wait.String())
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("plan %q, want %q", s, c.want)
			}
		})
	}
}

func TestALongNodeNameIsNoLabel(t *testing.T) {
	long := strings.Repeat("n", 100) + ".example.com"
	o := newStatus(ours, long, nil, web)
	if _, ok := o.Labels[v1beta1.LabelNode]; ok || o.Labels[v1beta1.LabelServiceName] != "web" {
		t.Errorf("labels = %v: the API server would refuse the object", o.Labels)
	}
}
