package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/rig"
)

const (
	// ns is where the Services of the tests live, in front of one web server per node.
	ns = "e2e"
	// wait bounds every ordinary wait. It is far above what anything takes, so that a busy machine fails no test.
	wait = 30 * time.Second
	// takeover is how long an address may be without an owner after its node's death, at the gossip's defaults.
	takeover = 10 * time.Second
)

// webYAML is the workload that most tests share.
const webYAML = `
apiVersion: v1
kind: Namespace
metadata:
  name: e2e
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: web
  namespace: e2e
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: lab.local/web:1
          args: ["--listen=:80"]
          env:
            - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
          readinessProbe:
            httpGet: {path: /healthz, port: 80}
            periodSeconds: 1
`

// scenario is one test on the shared lab. Its methods end the test when what they wait for does not come.
type scenario struct {
	*testing.T
	*rig.Rig
	ctx context.Context
}

// begin waits until the lab is whole and returns a scenario on it.
func begin(t *testing.T) *scenario {
	t.Helper()
	r, err := up()
	if err != nil {
		t.Fatalf("the lab is not up: %v", err)
	}
	s := &scenario{T: t, Rig: r, ctx: t.Context()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(diagnose(r.Lab))
		}
	})
	s.do("the lab is whole", func(ctx context.Context) error { return r.Settled(ctx) })
	s.do("a web server is ready on every node", func(ctx context.Context) error {
		return rig.Poll(ctx, func() error { return webReady(ctx, r, len(r.Lab.Nodes())) })
	})
	return s
}

func webReady(ctx context.Context, r *rig.Rig, want int) error {
	var pods corev1.PodList
	if err := r.API.List(ctx, &pods, client.InNamespace(ns), client.MatchingLabels{"app": "web"}); err != nil {
		return fmt.Errorf("listing the web servers: %w", err)
	}
	ready := 0
	for _, p := range pods.Items {
		if rig.PodReady(&p) && p.DeletionTimestamp == nil {
			ready++
		}
	}
	if ready != want {
		return fmt.Errorf("%d web servers are ready, want %d", ready, want)
	}
	return nil
}

// do runs f with a bounded context and ends the test when it fails.
func (s *scenario) do(what string, f func(ctx context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(s.ctx), wait, fmt.Errorf("waited %v", wait))
	defer cancel()
	if err := f(ctx); err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// eventually polls f until it returns nil.
func (s *scenario) eventually(what string, f func(ctx context.Context) error) {
	s.Helper()
	s.do(what, func(ctx context.Context) error { return rig.Poll(ctx, func() error { return f(ctx) }) })
}

// kubectl runs kubectl and returns what it printed.
func (s *scenario) kubectl(stdin string, args ...string) string {
	s.Helper()
	var out string
	s.do("kubectl "+strings.Join(args, " "), func(ctx context.Context) (err error) {
		out, err = s.Lab.Kubectl(ctx, stdin, args...)
		return err
	})
	return out
}

// apply applies YAML, and deletes it after the test.
func (s *scenario) apply(yaml string) {
	s.Helper()
	s.kubectl(yaml, "apply", "-f", "-")
	s.Cleanup(func() { s.kubectl(yaml, "delete", "--ignore-not-found", "--wait", "-f", "-") })
}

// create makes an object, and deletes it after the test.
func (s *scenario) create(o client.Object) {
	s.Helper()
	s.do("creating "+o.GetName(), func(ctx context.Context) error { return s.API.Create(ctx, o) })
	s.Cleanup(func() {
		s.do("deleting "+o.GetName(), func(ctx context.Context) error { return client.IgnoreNotFound(s.API.Delete(ctx, o)) })
	})
}

// pool makes a pool that only requests by annotation may use, so that no test takes from another's, and advertises it.
func (s *scenario) pool(name string, addresses ...string) *v1beta1.IPAddressPool {
	s.Helper()
	no := false
	p := &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: rig.Namespace},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: addresses, AutoAssign: &no},
	}
	s.create(p)
	s.create(&v1beta1.L2Advertisement{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: rig.Namespace},
		Spec:       v1beta1.L2AdvertisementSpec{IPAddressPools: []string{name}},
	})
	return p
}

// service makes a Service of type LoadBalancer on port 80 that asks for an address of a pool; change may alter it first.
func (s *scenario) service(name, pool string, change ...func(*corev1.Service)) *corev1.Service {
	s.Helper()
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns, Annotations: map[string]string{v1beta1.AnnotationAddressPool: pool}},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeLoadBalancer,
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80), Protocol: corev1.ProtocolTCP}},
		},
	}
	for _, c := range change {
		c(svc)
	}
	s.create(svc)
	return svc
}

// families asks for the families in that order.
func families(list ...corev1.IPFamily) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		policy := corev1.IPFamilyPolicySingleStack
		if len(list) == 2 {
			policy = corev1.IPFamilyPolicyRequireDualStack
		}
		svc.Spec.IPFamilies, svc.Spec.IPFamilyPolicy = list, &policy
	}
}

// addresses waits for a Service's n addresses.
func (s *scenario) addresses(svc *corev1.Service, n int) []netip.Addr {
	s.Helper()
	var out []netip.Addr
	s.do("the addresses of "+svc.Name, func(ctx context.Context) (err error) {
		out, err = s.Addresses(ctx, client.ObjectKeyFromObject(svc), n)
		return err
	})
	return out
}

// address waits for a Service's only address.
func (s *scenario) address(svc *corev1.Service) netip.Addr {
	s.Helper()
	return s.addresses(svc, 1)[0]
}

// event waits for an Event about an object whose message contains every one of words.
func (s *scenario) event(o client.Object, reason string, words ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("an Event %s about %s", reason, o.GetName()), func(ctx context.Context) error {
		var list corev1.EventList
		if err := s.API.List(ctx, &list, client.InNamespace(o.GetNamespace()), client.MatchingFields{"involvedObject.name": o.GetName()}); err != nil {
			return err
		}
		var seen []string
		for _, e := range list.Items {
			if e.Reason == reason && e.InvolvedObject.UID == o.GetUID() && containsAll(e.Message, words) {
				return nil
			}
			seen = append(seen, e.Reason+": "+e.Message)
		}
		return fmt.Errorf("no Event with the words %q among %q", words, seen)
	})
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
