package plugin

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// metallb is a town that MetalLB serves, with the settings of its chart.
func metallb(class string) *town {
	t := newTown()
	d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "metallb-speaker", Labels: map[string]string{"app.kubernetes.io/name": "metallb", "app.kubernetes.io/component": "speaker"}}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "speaker", Image: "quay.io/metallb/speaker:v0.16.1", Args: []string{"--port=9120", "--lb-class=" + class}}}
	if class == "" {
		d.Spec.Template.Spec.Containers[0].Args = nil
	}
	t.add(d, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "metallb-excludel2"}, Data: map[string]string{"excludel2.yaml": "announcedInterfacesToExclude: [^wlan.*, ^lo$]\n"}})
	return t
}

// bgp adds an object of one of MetalLB's kinds.
func (t *town) bgp(version, kind string) {
	u := &metav1.PartialObjectMetadata{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "metallb.io", Version: version, Kind: kind})
	u.Namespace, u.Name = system, "tor"
	t.add(u)
}

func TestAdoptionOfAClusterOfMetalLB(t *testing.T) {
	plain := metallb("")
	got, err := plain.run(t, "adopt", "--check", "-o", "wide")
	if err != nil {
		t.Errorf("nothing would change, and the command says %v", err)
	}
	golden(t, "adopt.txt", got)
	mixed := metallb("")
	mixed.serve("default", "lost", "198.51.100.9")
	mixed.serve("default", "new")
	mixed.bgp("v1beta2", "BGPPeer")
	mixed.bgp("v1beta1", "BFDProfile")
	got, err = mixed.run(t, "adopt", "--check")
	golden(t, "adopt-changes.txt", got)
	if err == nil || err.Error() != "3 things would be otherwise" {
		t.Errorf("error %v, so that the command ends with 1", err)
	}
	if got, err = mixed.run(t, "adopt", "--check", "-o", "json"); err == nil || !strings.Contains(got, `"changes": 3`) {
		t.Errorf("as JSON: %v, %s", err, got)
	}
}

func TestAdoptionLooksAtTheClassOfMetalLB(t *testing.T) {
	town, class := metallb("gold"), "gold"
	town.serve("default", "special", "192.0.2.9").Spec.LoadBalancerClass = &class
	got, err := town.run(t, "adopt", "--check", "-o", "json")
	if err != nil || !strings.Contains(got, "default/special") || strings.Contains(got, "default/web") || !strings.Contains(got, "--set loadBalancerClass=gold") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestAdoptOnlyLooks(t *testing.T) {
	if _, err := newTown().run(t, "adopt"); err == nil || !strings.Contains(err.Error(), "--check") {
		t.Errorf("error %v", err)
	}
}
