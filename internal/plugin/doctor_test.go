package plugin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/internal/doctor"
	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/live/fetch"
)

// sick has one thing wrong of each kind that only the shell can get wrong: reading it from the objects.
func sick() *town {
	t := newTown()
	for _, o := range t.objects {
		if n, ok := o.(*corev1.Node); ok && n.Name == "node2" {
			n.Spec.PodCIDRs = []string{"192.0.2.0/29"}
			n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.9"}, {Type: corev1.NodeHostName, Address: "192.0.2.10"}}
		}
	}
	metallb := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-old", Name: "controller", Labels: map[string]string{"app": "metallb"}}}
	parked := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-old", Name: "speaker", Labels: map[string]string{"app": "metallb"}, Generation: 2},
		Status: appsv1.DaemonSetStatus{ObservedGeneration: 2}}
	speakers := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "steelyard-speaker", Labels: map[string]string{"app.kubernetes.io/component": "speaker"}}}
	speakers.Spec.Template.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "gossip-tcp", ContainerPort: 4711}}}}
	vip := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-vip-node1", Annotations: map[string]string{mirrored: "x"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "kube-vip/kube-vip", Env: []corev1.EnvVar{{Name: "svc_enable", Value: "true"}}}}}}
	t.add(metallb, parked, speakers, vip, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"192.0.2.32/28"}}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-proxy"}, Data: map[string]string{"config.conf": "mode: ipvs\nipvs: {strictARP: false}\n"}})
	t.serve("shop", "till").Annotations = map[string]string{"metallb.io/address-pool": "none"}
	t.replies = func(r *fetch.Replies) {
		v := r.Views["node2"]
		v.Time, v.Peers = noon().Add(-time.Minute), nil
		v.Host = &live.Host{ARPIgnore: map[string]int{"eth0": 0}, IPVS: v.Speakers[0].Interfaces[0].Addrs}
		r.Views["node2"] = v
	}
	return t
}

func TestTheFactsAreReadFromTheCluster(t *testing.T) {
	got, err := sick().run(t, "doctor")
	golden(t, "doctor.txt", got)
	if err == nil || !strings.HasPrefix(err.Error(), "found 8 errors") {
		t.Errorf("error %v, so that the command ends with 1", err)
	}
	for _, want := range []string{"rival-controller", "gossip-cut", "port 4711", "kernel-answers", "strict-arp", "pool-takes-node-address", "pool-overlaps-pods", "pool-overlaps-services",
		"clock", "speaker-silent", "speaker-missing", "service-pending"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s was not found", want)
		}
	}
	for _, not := range []string{"metallb-old/speaker", "192.0.2.10"} {
		if strings.Contains(got, not) {
			t.Errorf("%s was found", not)
		}
	}
}

func TestDoctorEndsWellWithoutErrors(t *testing.T) {
	got, err := healthy().run(t, "doctor", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "doctor.json", got)
	if got, err = empty().run(t, "doctor"); err != nil || got != "Nothing was found.\n" {
		t.Errorf("an empty cluster: %q, %v", got, err)
	}
	if got, err = unreachable().run(t, "doctor"); err != nil || !strings.Contains(got, "all speakers") || strings.Contains(got, "no speaker runs") {
		t.Errorf("speakers that may not be asked: %q, %v", got, err)
	}
}

func TestSpeakersAreMissedWhereTheyShallRun(t *testing.T) {
	linux, windows := map[string]string{"kubernetes.io/os": "linux", "role": "edge"}, map[string]string{"kubernetes.io/os": "windows"}
	with := func(change func(*corev1.PodSpec)) surroundings {
		d := appsv1.DaemonSet{}
		change(&d.Spec.Template.Spec)
		return surroundings{speakers: []appsv1.DaemonSet{d}}
	}
	none := func(*corev1.PodSpec) {}
	for _, c := range []struct {
		name   string
		change func(*corev1.PodSpec)
		labels map[string]string
		want   bool
	}{
		{"everywhere", none, linux, true},
		{"not on Windows", none, windows, false},
		{"on the nodes that are selected", func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"role": "edge"} }, linux, true},
		{"on no other", func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"role": "core"} }, linux, false},
		{"an affinity is not judged", func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{} }, linux, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := with(c.change).admits(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: c.labels}}); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestWhoWroteTheStatusOfAServiceIsRead(t *testing.T) {
	at := metav1.NewTime(noon())
	entry := func(manager, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: &at, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}
	}
	svc := corev1.Service{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		entry("kubectl", `{"f:spec":{"f:type":{}}}`), entry("condition", `{"f:status":{"f:conditions":{}}}`), {Manager: "undated"},
		entry("rival", `{"f:status":{"f:loadBalancer":{"f:ingress":{}}}}`)}}}
	if diff := cmp.Diff([]doctor.Writer{{Manager: "rival", At: noon()}}, writers(&svc)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	s := surroundings{unread: []doctor.Unread{{What: "Deployments", Why: errors.New("forbidden").Error()}}}
	d := diagnosisOf(factsOf(sight{system: system, now: noon()}, s))
	want := Diagnosis{Warnings: 1, Findings: []doctor.Finding{{Severity: doctor.Warning, Rule: "unread", Where: "Deployments",
		What: "could not be read, so what depends on it was not looked at: forbidden", Fix: "kubectl auth can-i --list"}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
