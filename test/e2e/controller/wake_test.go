package controller

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// TestALabelOfANamespaceOpensAPool: nothing changes but the Namespace.
func TestALabelOfANamespaceOpensAPool(t *testing.T) {
	s := newStage(t, "label")
	s.create(&v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.poolNamespace(), Name: "p"},
		Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.168.1.0/24"}, AllocateTo: &v1beta1.ServiceAllocation{
			NamespaceSelectors: []v1beta1.LabelSelector{{MatchLabels: map[string]string{"team": "net"}}},
		}},
	})
	s.start()
	s.service("web")
	s.waits("web", "NoUsablePool")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.name}}
	if err := s.Patch(s.ctx, ns, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"team":"net"}}}`))); err != nil {
		t.Fatal(err)
	}
	s.hasAddress("web", "192.168.1.0")
}

// TestAServiceThatChangesItsTypeWhileItsStatusIsWrittenGetsNothing: the API server would refuse load balancer addresses of the
// new type for good, if they were sent for the new version.
func TestAServiceThatChangesItsTypeWhileItsStatusIsWrittenGetsNothing(t *testing.T) {
	s := newStage(t, "retyped")
	s.pool("tiny", "192.168.1.0/32")
	const takes = 1500 * time.Millisecond
	calls := s.delayStatusWrites("slow", 1, takes)
	s.start()
	svc := s.newService("slow")
	svc.Labels = map[string]string{"slow": "true"}
	s.create(svc)
	s.eventually(func() string {
		if calls.Load() == 0 {
			return "no status was written"
		}
		return ""
	})
	called := time.Now()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"type":"ClusterIP","loadBalancerClass":null,"allocateLoadBalancerNodePorts":null}}`))
	if err := s.Patch(s.ctx, svc, patch); err != nil {
		t.Fatal(err)
	}
	retyped := svc.ResourceVersion
	s.service("next")
	s.hasAddress("next", "192.168.1.0")
	time.Sleep(time.Until(called.Add(2 * takes))) // the slow write has been refused by now, or done
	slow := s.get("slow")
	if _, marked := slow.Annotations[v1beta1.AnnotationAllocatedFromPool]; marked || slow.ResourceVersion != retyped {
		t.Errorf("the Service was written after it had changed: %v %+v", slow.Annotations, slow.Status)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("its status was sent %d times, want once", n)
	}
	if why := differ(s.reasons("slow"), "StatusWriteFailed", 0); why != "" {
		t.Error(why)
	}
}
