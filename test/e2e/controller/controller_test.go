package controller

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

func TestAnAddressIsWrittenOnceBesideWhatOthersWrote(t *testing.T) {
	s := newStage(t, "once")
	s.pool("my-pool", "192.168.1.200-192.168.1.210", "fd00:1::200/124")
	svc := s.newService("web")
	policy := corev1.IPFamilyPolicyPreferDualStack
	svc.Spec.IPFamilyPolicy = &policy
	s.create(svc)
	other := metav1.Condition{Type: "example.com/Other", Status: metav1.ConditionTrue, Reason: "Theirs", LastTransitionTime: metav1.Now()}
	svc.Status.Conditions = []metav1.Condition{other}
	if err := s.Status().Update(s.ctx, svc); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.hasAddress("web", "192.168.1.200,fd00:1::200")
	svc = s.get("web")
	if got := svc.Annotations[v1beta1.AnnotationAllocatedFromPool]; got != "my-pool" {
		t.Errorf("annotation = %q, want my-pool", got)
	}
	if c := allocated(svc); c.Status != metav1.ConditionTrue || len(svc.Status.Conditions) != 2 {
		t.Errorf("conditions = %+v, want ours True beside theirs", svc.Status.Conditions)
	}
	s.service("next") // makes plans in which the first must not be written again
	s.hasAddress("next", "192.168.1.201")
	if now := s.get("web"); now.ResourceVersion != svc.ResourceVersion {
		t.Errorf("written again: version %s became %s", svc.ResourceVersion, now.ResourceVersion)
	}
	s.eventually(func() string {
		var p v1beta1.IPAddressPool
		if err := s.Get(s.ctx, client.ObjectKey{Namespace: s.poolNamespace(), Name: "my-pool"}, &p); err != nil {
			return err.Error()
		}
		if st := p.Status; st.AssignedIPv4 != 2 || st.AvailableIPv4 != 9 || st.AssignedIPv6 != 1 || st.AvailableIPv6 != 15 || len(st.Conditions) != 4 {
			return fmt.Sprintf("pool status = %+v", st)
		}
		return ""
	})
}

// reasons are the reasons of the Events on a Service, each with how many there are.
func (s *stage) reasons(name string) map[string]int {
	s.t.Helper()
	var list eventsv1.EventList
	if err := s.List(s.ctx, &list, client.InNamespace(s.name)); err != nil {
		s.t.Fatal(err)
	}
	out := map[string]int{}
	for _, e := range list.Items {
		if e.Regarding.Name != name {
			continue
		}
		out[e.Reason]++
		if e.Series != nil {
			out[e.Reason] += int(e.Series.Count) - 1
		}
	}
	return out
}

func TestAFullPoolSaysSoAndServesWhenAnAddressIsFree(t *testing.T) {
	s := newStage(t, "full")
	s.pool("tiny", "192.168.1.200/32")
	r := s.start()
	s.service("first")
	s.hasAddress("first", "192.168.1.200")
	s.service("second")
	s.waits("second", "Exhausted")
	if m := allocated(s.get("second")).Message; m != "no IPv4 address: tiny is full" {
		t.Errorf("message %q does not say that tiny is full, and no more", m)
	}
	s.eventually(func() string { return differ(s.reasons("second"), "AllocationFailed", 1) })
	r.stop(syscall.SIGTERM)
	s.start() // a restart repeats no Event
	if err := s.Delete(s.ctx, s.get("first")); err != nil {
		t.Fatal(err)
	}
	s.hasAddress("second", "192.168.1.200")
	s.eventually(func() string { return differ(s.reasons("second"), "IPAllocated", 1) })
	if why := differ(s.reasons("second"), "AllocationFailed", 1); why != "" {
		t.Error(why)
	}
}

func differ(have map[string]int, reason string, want int) string {
	if have[reason] != want {
		return fmt.Sprintf("%d Events %s, want %d (all: %v)", have[reason], reason, want, have)
	}
	return ""
}

func TestAChangeOfTypeLeavesNothingBehindAndFreesTheAddress(t *testing.T) {
	s := newStage(t, "type")
	s.pool("tiny", "192.168.1.200/32")
	s.start()
	s.service("first")
	s.hasAddress("first", "192.168.1.200")
	s.service("second")
	s.waits("second", "Exhausted")
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"type":"ClusterIP","loadBalancerClass":null,"allocateLoadBalancerNodePorts":null}}`))
	if err := s.Patch(s.ctx, s.get("first"), patch); err != nil {
		t.Fatal(err)
	}
	s.hasAddress("second", "192.168.1.200")
	s.eventually(func() string {
		svc := s.get("first")
		if _, there := svc.Annotations[v1beta1.AnnotationAllocatedFromPool]; there || len(svc.Status.Conditions) > 0 || addresses(svc) != "" {
			return fmt.Sprintf("left behind: %v, %+v", svc.Annotations, svc.Status)
		}
		return ""
	})
}

func TestAnotherClassIsLeftAlone(t *testing.T) {
	s := newStage(t, "class")
	s.pool("p", "192.168.1.200/29")
	another := "test.example/another"
	theirs := s.newService("theirs")
	theirs.Spec.LoadBalancerClass = &another
	theirs.Annotations = map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"}
	s.create(theirs)
	none := s.newService("none")
	none.Spec.LoadBalancerClass = nil
	s.create(none)
	s.start()
	s.service("ours")
	s.hasAddress("ours", "192.168.1.200")
	for _, before := range []*corev1.Service{theirs, none} {
		if now := s.get(before.Name); now.ResourceVersion != before.ResourceVersion {
			t.Errorf("%s was written: %+v", before.Name, now)
		}
	}
}

func TestARestartChangesNothing(t *testing.T) {
	s := newStage(t, "restart")
	s.pool("p", "192.168.1.0/24")
	r := s.start()
	for i := range 20 {
		s.service(fmt.Sprintf("s%02d", i))
	}
	s.service("wrong") // one that waits must not be written again either
	wrong := s.get("wrong")
	wrong.Annotations = map[string]string{v1beta1.AnnotationLoadBalancerIPs: "10.9.9.9"}
	s.eventually(func() string {
		for name, v := range s.versions() {
			if strings.HasSuffix(v, " ") {
				return name + " has no address yet"
			}
		}
		return ""
	})
	if err := s.Delete(s.ctx, s.get("s00")); err != nil { // its address is the lowest: what moves will want it
		t.Fatal(err)
	}
	before := s.versions()
	r.stop(syscall.SIGKILL)
	s.start()
	s.service("new")
	s.hasAddress("new", "192.168.1.0")
	after := s.versions()
	delete(after, "new")
	if !maps.Equal(before, after) {
		t.Errorf("before %v\nafter %v", before, after)
	}
}

func TestOneThatCannotBeWrittenHoldsUpNobody(t *testing.T) {
	s := newStage(t, "denied")
	s.pool("p", "192.168.1.0/24")
	deny := s.denyStatusWrites("no-writes")
	s.start()
	svc := s.newService("denied")
	svc.Labels = map[string]string{"no-writes": "true"}
	s.create(svc)
	for i := range 5 {
		s.service(fmt.Sprintf("fine%d", i))
	}
	for i := range 5 {
		s.hasAddress(fmt.Sprintf("fine%d", i), fmt.Sprintf("192.168.1.%d", i+1)) // the denied one came first: .0 is kept for it
	}
	s.eventually(func() string { return differ(s.reasons("denied"), "StatusWriteFailed", 1) })
	for _, o := range deny {
		if err := s.Delete(s.ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	s.hasAddress("denied", "192.168.1.0")
}

// denyStatusWrites makes an admission policy that refuses status writes of Services with the label, and waits until it works.
func (s *stage) denyStatusWrites(label string) []client.Object {
	s.t.Helper()
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				// A policy that is deleted works on for a moment: it must not reach into the next test.
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.name}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionv1.RuleWithOperations{
						Operations: []admissionv1.OperationType{admissionv1.Update},
						Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services/status"}},
					},
				}},
			},
			Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("!(has(object.metadata.labels) && '%s' in object.metadata.labels)", label)}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: s.name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}
	s.create(policy)
	s.create(binding)
	probe := s.statusProbe(label)
	s.eventually(func() string {
		if err := s.touchStatus(probe); err == nil {
			return "the policy does not work yet"
		}
		return ""
	})
	return []client.Object{binding, policy}
}

// statusProbe is a Service with the label, of a type that the controller leaves alone.
func (s *stage) statusProbe(label string) *corev1.Service {
	s.t.Helper()
	probe := s.newService("probe")
	probe.Spec.Type, probe.Spec.LoadBalancerClass, probe.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeClusterIP, nil, nil
	probe.Labels = map[string]string{label: "true"}
	s.create(probe)
	return probe
}

// touchStatus writes a status that changes nothing.
func (s *stage) touchStatus(probe *corev1.Service) error {
	return s.Status().Patch(s.ctx, probe, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"conditions":[]}}`)))
}

func TestAPoolThatGoesTakesItsAddressesAndOneThatComesServes(t *testing.T) {
	s := newStage(t, "pools")
	old := s.pool("old", "192.168.1.0/24")
	s.start()
	s.service("web")
	s.hasAddress("web", "192.168.1.0")
	s.pool("renamed", "192.168.1.0/25") // overlaps: the younger is not used while the older is there
	if err := s.Delete(s.ctx, old); err != nil {
		t.Fatal(err)
	}
	s.eventually(func() string {
		if got := s.get("web").Annotations[v1beta1.AnnotationAllocatedFromPool]; got != "renamed" {
			return fmt.Sprintf("the address is from %q, want renamed", got)
		}
		return ""
	})
	if got := addresses(s.get("web")); got != "192.168.1.0" {
		t.Errorf("renaming the pool moved the Service to %s", got)
	}
	var p v1beta1.IPAddressPool
	if err := s.Get(s.ctx, client.ObjectKey{Namespace: s.poolNamespace(), Name: "renamed"}, &p); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(s.ctx, &p); err != nil {
		t.Fatal(err)
	}
	s.waits("web", "NoPool")
	s.eventually(func() string { return differ(s.reasons("web"), "ClearAssignment", 1) })
}
