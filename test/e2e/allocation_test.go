package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/rig"
)

func TestDeletionFreesTheAddressAndSilencesIt(t *testing.T) {
	s := begin(t)
	pool := s.pool("delete", "192.168.1.224/32", "fd00:1::224/128")
	svc := s.service("delete", "delete", families(corev1.IPv4Protocol, corev1.IPv6Protocol))
	addrs := s.addresses(svc, 2)
	for _, addr := range addrs {
		s.owner(addr)
	}
	s.usage(pool, v1beta1.IPAddressPoolStatus{AssignedIPv4: 1, AssignedIPv6: 1})
	s.do("deleting the Service", func(ctx context.Context) error { return s.API.Delete(ctx, svc) })
	for _, addr := range addrs {
		s.do("the address falls silent", func(ctx context.Context) error { return s.Silent(ctx, addr) })
	}
	silent := time.Now()
	s.usage(pool, v1beta1.IPAddressPoolStatus{AvailableIPv4: 1, AvailableIPv6: 1})
	for _, addr := range addrs { // asks again, which gives a late repeat of an announcement the time to show
		s.do("the address stays silent", func(ctx context.Context) error { return s.Silent(ctx, addr) })
		heard := s.Witness.Since(silent).Of(addr)
		if len(heard) > 0 {
			t.Errorf("%s was heard after it had fallen silent:\n%s", addr, heard)
		}
	}
	s.addresses(s.service("delete-next", "delete", families(corev1.IPv4Protocol, corev1.IPv6Protocol)), 2)
	for _, addr := range addrs {
		s.owner(addr)
	}
}

// usage waits until a pool shows these counts.
func (s *scenario) usage(pool *v1beta1.IPAddressPool, want v1beta1.IPAddressPoolStatus) {
	s.Helper()
	s.eventually("the usage of pool "+pool.Name, func(ctx context.Context) error {
		var p v1beta1.IPAddressPool
		if err := s.API.Get(ctx, client.ObjectKeyFromObject(pool), &p); err != nil {
			return err
		}
		p.Status.Conditions = nil
		if fmt.Sprint(p.Status) != fmt.Sprint(want) {
			return fmt.Errorf("it is %+v, want %+v", p.Status, want)
		}
		return nil
	})
}

func TestAnExhaustedPoolSaysSoAndServesWhenAnAddressIsFreed(t *testing.T) {
	s := begin(t)
	pool := s.pool("full", "192.168.1.225/32")
	first := s.service("full-first", "full")
	addr := s.address(first)
	waiting := s.service("full-waiting", "full")
	s.event(waiting, "AllocationFailed", "full")
	s.condition(waiting, metav1.ConditionFalse, "Exhausted")
	s.poolCondition(pool, metav1.ConditionFalse, "Exhausted")
	if got, err := rig.ExternalIPs(s.current(waiting)); err != nil || len(got) != 0 {
		t.Errorf("the waiting Service shows %v, %v", got, err)
	}
	s.do("deleting the first Service", func(ctx context.Context) error { return s.API.Delete(ctx, first) })
	if got := s.address(waiting); got != addr {
		t.Errorf("the waiting Service got %s, want the freed %s", got, addr)
	}
	s.condition(waiting, metav1.ConditionTrue, "")
	s.owner(addr)
	s.poolCondition(pool, metav1.ConditionTrue, "")
}

// condition waits until a Service's condition has a status, and a reason unless that is empty.
func (s *scenario) condition(svc *corev1.Service, status metav1.ConditionStatus, reason string) {
	s.Helper()
	s.eventually(fmt.Sprintf("Service %s is %s=%s %s", svc.Name, v1beta1.ConditionAllocated, status, reason), func(ctx context.Context) error {
		var now corev1.Service
		if err := s.API.Get(ctx, client.ObjectKeyFromObject(svc), &now); err != nil {
			return err
		}
		c := meta.FindStatusCondition(now.Status.Conditions, v1beta1.ConditionAllocated)
		if c == nil || c.Status != status || reason != "" && c.Reason != reason || c.Message == "" {
			return fmt.Errorf("its conditions are %+v", now.Status.Conditions)
		}
		return nil
	})
}

// poolCondition waits until the Ready condition of a pool has a status, and a reason unless that is empty.
func (s *scenario) poolCondition(pool *v1beta1.IPAddressPool, status metav1.ConditionStatus, reason string) {
	s.Helper()
	s.eventually(fmt.Sprintf("pool %s is Ready=%s %s", pool.Name, status, reason), func(ctx context.Context) error {
		var p v1beta1.IPAddressPool
		if err := s.API.Get(ctx, client.ObjectKeyFromObject(pool), &p); err != nil {
			return err
		}
		c := meta.FindStatusCondition(p.Status.Conditions, v1beta1.ConditionReady)
		if c == nil || c.Status != status || reason != "" && c.Reason != reason || c.Message == "" {
			return fmt.Errorf("its conditions are %+v", p.Status.Conditions)
		}
		return nil
	})
}

func TestServicesWithOneKeyShareAnAddress(t *testing.T) {
	s := begin(t)
	s.pool("shared", "192.168.1.226-192.168.1.227")
	share := func(key string, port int32) func(*corev1.Service) {
		return func(svc *corev1.Service) {
			svc.Annotations[v1beta1.AnnotationAllowSharedIP] = key
			svc.Spec.Ports[0].Port, svc.Spec.Ports[0].TargetPort = port, intstr.FromInt32(80)
		}
	}
	a := s.address(s.service("shared-a", "shared", share("one", 80)))
	ask := func(svc *corev1.Service) { svc.Annotations[v1beta1.AnnotationLoadBalancerIPs] = a.String() }
	b := s.address(s.service("shared-b", "shared", share("one", 8080), ask))
	other := s.service("shared-c", "shared", share("two", 9090), ask)
	if a != b {
		t.Errorf("the two Services have %s and %s, want one address", a, b)
	}
	s.owner(a)
	s.web(a, 80)
	s.web(a, 8080)
	s.event(other, "AllocationFailed", a.String())
}

func TestARequestedAddressIsGiven(t *testing.T) {
	s := begin(t)
	s.pool("wished", "192.168.1.228-192.168.1.231")
	ask := func(annotation, addr string) func(*corev1.Service) {
		return func(svc *corev1.Service) { svc.Annotations[annotation] = addr }
	}
	want := netip.MustParseAddr("192.168.1.230")
	if got := s.address(s.service("wished", "wished", ask(v1beta1.AnnotationLoadBalancerIPs, want.String()))); got != want {
		t.Errorf("the address is %s, want the requested %s", got, want)
	}
	s.owner(want)
	want = want.Next()
	legacy := v1beta1.LegacyAnnotationPrefix + "loadBalancerIPs"
	if got := s.address(s.service("wished-legacy", "wished", ask(legacy, want.String()))); got != want {
		t.Errorf("the address is %s, want %s as requested in the older spelling", got, want)
	}
	wish := func(svc *corev1.Service) { svc.Spec.LoadBalancerIP = "192.168.1.229" }
	if got := s.address(s.service("wished-spec", "wished", wish)); got.String() != "192.168.1.229" {
		t.Errorf("the address is %s, want the one in spec.loadBalancerIP", got)
	}
	for name, addr := range map[string]string{"outside": "192.168.1.99", "nonsense": "192.168.1.999", "wrong-family": "fd00:1::228"} {
		svc := s.service("wished-"+name, "wished", ask(v1beta1.AnnotationLoadBalancerIPs, addr))
		s.event(svc, "AllocationFailed", addr)
	}
}

func TestTheYoungerOfTwoOverlappingPoolsSaysSo(t *testing.T) {
	s := begin(t)
	older := s.pool("overlap-a", "192.168.1.232-192.168.1.233")
	held := s.service("overlap-held", "overlap-a")
	addr := s.address(held)
	time.Sleep(time.Second) // creationTimestamp counts whole seconds
	younger := s.pool("overlap-b", "192.168.1.232-192.168.1.235")
	s.poolCondition(younger, metav1.ConditionFalse, "Overlap")
	s.poolCondition(older, metav1.ConditionTrue, "")
	if got := s.address(held); got != addr {
		t.Errorf("the Service in the older pool has %s, it had %s", got, addr)
	}
	if got := s.address(s.service("overlap-b", "overlap-b")); got.Less(netip.MustParseAddr("192.168.1.234")) {
		t.Errorf("the younger pool gave %s, which is the older one's", got)
	}
	s.owner(addr)
}

func TestAnUnknownPoolInAnAnnotationLosesNothing(t *testing.T) {
	s := begin(t)
	s.pool("known", "192.168.1.236-192.168.1.237")
	svc := s.service("known", "known")
	addr := s.address(svc)
	s.owner(addr)
	lost := s.service("unknown", "no-such-pool")
	s.event(lost, "AllocationFailed", "no-such-pool")
	if got := s.address(svc); got != addr {
		t.Errorf("the other Service has %s, it had %s", got, addr)
	}
	s.owner(addr)
	s.kubectl("", "annotate", "service", lost.Name, "-n", ns, "--overwrite", v1beta1.AnnotationAddressPool+"=known")
	s.owner(s.address(lost))
}

func TestAnInterfaceThatDoesNotExistIsReported(t *testing.T) {
	s := begin(t)
	s.pool("nowhere", "192.168.1.238/32")
	s.kubectl("", "patch", "l2advertisement", "nowhere", "-n", rig.Namespace, "--type=merge", "-p", `{"spec":{"interfaces":["eth77"]}}`)
	since := time.Now()
	svc := s.service("nowhere", "nowhere")
	addr := s.address(svc)
	s.event(svc, "announceFailed", addr.String())
	s.do("nobody answers", func(ctx context.Context) error { return s.Silent(ctx, addr) })
	if heard := s.Witness.Since(since).Of(addr); len(heard) > 0 {
		t.Errorf("somebody said to have %s:\n%s", addr, heard)
	}
	s.kubectl("", "patch", "l2advertisement", "nowhere", "-n", rig.Namespace, "--type=merge", "-p", `{"spec":{"interfaces":["eth0"]}}`)
	s.owner(addr)
}

func TestTheTypeOfAServiceCanChange(t *testing.T) {
	s := begin(t)
	s.pool("type", "192.168.1.239/32")
	svc := s.service("type", "type")
	addr := s.address(svc)
	s.owner(addr)
	s.kubectl("", "patch", "service", svc.Name, "-n", ns, "-p", `{"spec":{"type":"ClusterIP"}}`)
	s.do("the address falls silent", func(ctx context.Context) error { return s.Silent(ctx, addr) })
	s.eventually("our marks are removed", func(ctx context.Context) error {
		var now corev1.Service
		if err := s.API.Get(ctx, client.ObjectKeyFromObject(svc), &now); err != nil {
			return err
		}
		_, annotated := now.Annotations[v1beta1.AnnotationAllocatedFromPool]
		if annotated || len(now.Status.LoadBalancer.Ingress) > 0 || meta.FindStatusCondition(now.Status.Conditions, v1beta1.ConditionAllocated) != nil {
			return errors.New("the Service still carries the annotation, the address or the condition")
		}
		return nil
	})
	s.owner(s.address(s.service("type-next", "type")))
}

func TestAServiceOfAnotherClassIsLeftAlone(t *testing.T) {
	s := begin(t)
	s.pool("class", "192.168.1.240-192.168.1.241")
	class := "example.com/other"
	other := s.service("class-other", "class", func(svc *corev1.Service) { svc.Spec.LoadBalancerClass = &class })
	s.address(s.service("class-ours", "class")) // created later and served: the controller has seen the other one
	now := s.current(other)
	if len(now.Status.LoadBalancer.Ingress) > 0 || strings.Contains(fmt.Sprint(now.Annotations), v1beta1.AnnotationAllocatedFromPool) {
		t.Errorf("the Service of class %s was touched: %+v %v", class, now.Status, now.Annotations)
	}
}
