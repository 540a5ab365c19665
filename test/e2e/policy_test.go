package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// oneWebYAML is a web server with a single pod, on the node that %s names.
const oneWebYAML = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: one-web
  namespace: e2e
spec:
  replicas: 1
  selector:
    matchLabels: {app: one-web}
  template:
    metadata:
      labels: {app: one-web}
    spec:
      nodeSelector: {kubernetes.io/hostname: %s}
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: lab.local/web:1
          args: ["--listen=:80"]
          env:
            - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
          readinessProbe:
            httpGet: {path: /healthz, port: 80}
            periodSeconds: 1
`

func TestTrafficPolicyLocalFollowsTheOnlyEndpointAndKeepsTheClientsAddress(t *testing.T) {
	s := begin(t)
	s.apply(fmt.Sprintf(oneWebYAML, "node2"))
	s.pool("local", "192.168.1.213/32", "fd00:1::213/128")
	svc := s.service("local", "local", families(corev1.IPv4Protocol, corev1.IPv6Protocol), func(svc *corev1.Service) {
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		svc.Spec.Selector = map[string]string{"app": "one-web"}
	})
	addrs := s.addresses(svc, 2)
	s.servedFrom("node2", addrs)
	s.statusSays(svc, "node2")

	s.kubectl(fmt.Sprintf(oneWebYAML, "node3"), "apply", "-f", "-")
	s.servedFrom("node3", addrs)
	s.statusSays(svc, "node3")

	s.kubectl("", "scale", "deployment/one-web", "-n", ns, "--replicas=0")
	for _, addr := range addrs {
		s.do("nobody answers without an endpoint", func(ctx context.Context) error { return s.Silent(ctx, addr) })
	}
}

// servedFrom waits until a node answers for the addresses and its own pod serves them, and checks that the pod saw the
// client's address.
func (s *scenario) servedFrom(node string, addrs []netip.Addr) {
	s.Helper()
	client := s.Lab.Client()
	for _, addr := range addrs {
		s.ownerIs(addr, func(n string) bool { return n == node }, node)
		s.eventually("HTTP is served by the pod on "+node, func(ctx context.Context) error {
			a, err := s.Web(ctx, addr, 80)
			if err != nil {
				return err
			}
			from, err := netip.ParseAddrPort(a.Field("client"))
			if err != nil || a.Field("node") != node || from.Addr().Unmap() != client.IPv4 && from.Addr() != client.IPv6 {
				return fmt.Errorf("the answer is %q, want the node %s and the client's own address", strings.TrimSpace(a.Body), node)
			}
			return nil
		})
	}
}

func TestTheExcludeLabelMovesTheAddressAwayAndNothingTakesItBack(t *testing.T) {
	s := begin(t)
	const label = "node.kubernetes.io/exclude-from-external-load-balancers"
	s.pool("exclude", "192.168.1.214/32", "fd00:1::214/128")
	addrs := s.addresses(s.service("exclude", "exclude", families(corev1.IPv4Protocol, corev1.IPv6Protocol)), 2)
	for _, addr := range addrs {
		first := s.owner(addr)
		s.kubectl("", "label", "node", first, label+"=")
		s.Cleanup(func() { s.kubectl("", "label", "node", first, label+"-") })
		second := s.ownerIs(addr, func(n string) bool { return n != first }, "another node than "+first)
		s.web(addr, 80)
		s.kubectl("", "label", "node", first, label+"-")
		if now := s.steady(addr); now != second {
			t.Errorf("%s went from %s to %s when the label was taken from %s: failback is Never", addr, second, now, first)
		}
		s.web(addr, 80)
	}
}

func TestAServiceCanAskForANode(t *testing.T) {
	s := begin(t)
	s.pool("ask", "192.168.1.245/32", "fd00:1::245/128")
	svc := s.service("ask", "ask", families(corev1.IPv4Protocol, corev1.IPv6Protocol))
	addrs := s.addresses(svc, 2)
	for _, node := range []string{"node1", "node2", "node3"} {
		s.kubectl("", "annotate", "service", "-n", svc.Namespace, svc.Name, "--overwrite", v1beta1.AnnotationPreferredNode+"="+node)
		for _, addr := range addrs {
			s.ownerIs(addr, func(n string) bool { return n == node }, node)
			s.web(addr, 80)
		}
		s.statusSays(svc, node)
	}
}

func TestNodeSelectorsChooseWhoMayAnswer(t *testing.T) {
	s := begin(t)
	s.apply(`
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: chosen, namespace: metallb-system}
spec: {addresses: [192.168.1.215/32], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: chosen, namespace: metallb-system}
spec:
  ipAddressPools: [chosen]
  interfaces: [eth0]
  nodeSelectors:
    - matchLabels: {kubernetes.io/hostname: node3}
`)
	addr := s.address(s.service("chosen", "chosen"))
	s.ownerIs(addr, func(n string) bool { return n == "node3" }, "node3")
	s.kubectl("", "patch", "l2advertisement", "chosen", "-n", "metallb-system", "--type=merge",
		"-p", `{"spec":{"nodeSelectors":[{"matchLabels":{"kubernetes.io/hostname":"node1"}}]}}`)
	s.ownerIs(addr, func(n string) bool { return n == "node1" }, "node1")
}
