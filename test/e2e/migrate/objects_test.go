package migrate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// service is one as MetalLB leaves it.
type service struct {
	namespace, name string
	annotations     map[string]string
	families        []corev1.IPFamily
	port            corev1.ServicePort
	addresses       []string // in its status
}

// services have the annotations of all of MetalLB's versions.
func services() []service {
	v4 := []corev1.IPFamily{corev1.IPv4Protocol}
	tcp, udp := corev1.ServicePort{Name: "tcp", Port: 80, Protocol: corev1.ProtocolTCP}, corev1.ServicePort{Name: "udp", Port: 80, Protocol: corev1.ProtocolUDP}
	return []service{
		{"shop", "web", map[string]string{"metallb.universe.tf/loadBalancerIPs": "192.168.1.210", "metallb.universe.tf/ip-allocated-from-pool": "lan"}, v4, tcp, []string{"192.168.1.210"}},
		{"default", "dns-tcp", map[string]string{"metallb.universe.tf/allow-shared-ip": "dns", "metallb.io/ip-allocated-from-pool": "lan"}, v4, tcp, []string{"192.168.1.211"}},
		{"default", "dns-udp", map[string]string{"metallb.io/allow-shared-ip": "dns", "metallb.io/ip-allocated-from-pool": "lan"}, v4, udp, []string{"192.168.1.211"}},
		{"default", "dual", map[string]string{"metallb.io/ip-allocated-from-pool": "lan"}, []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}, tcp, []string{"192.168.1.215", "fd00:1::215"}},
		{"default", "pinned", map[string]string{"metallb.universe.tf/address-pool": "gold", "metallb.universe.tf/ip-allocated-from-pool": "gold"}, v4, tcp, []string{"192.168.1.220"}},
	}
}

// everybody are all the addresses, each once.
func everybody() []netip.Addr {
	var out []netip.Addr
	for _, s := range services() {
		for _, text := range s.addresses {
			if a := netip.MustParseAddr(text); !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// kinds are those of MetalLB, of which Steelyard serves the first three.
func kinds() []string {
	return []string{"IPAddressPool", "L2Advertisement", "ServiceL2Status", "BGPPeer", "BGPAdvertisement", "BFDProfile", "Community", "ServiceBGPStatus", "ConfigurationState"}
}

// definition is a CRD of MetalLB, as far as it matters here: its name, and a status of its own.
func definition(kind string) string {
	plural := strings.ToLower(kind) + "s"
	switch kind {
	case "Community":
		plural = "communities"
	case "ServiceL2Status", "ServiceBGPStatus":
		plural = strings.ToLower(kind) + "es"
	}
	return fmt.Sprintf(`---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]s.metallb.io, labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: metallb, meta.helm.sh/release-namespace: metallb-system}}
spec:
  group: metallb.io
  names: {kind: %[2]s, listKind: %[2]sList, plural: %[1]s, singular: %[3]s}
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, plural, kind, strings.ToLower(kind))
}

// installation are the objects of MetalLB's own installation and configuration, and what it writes besides Services' status.
const installation = `
{apiVersion: v1, kind: Namespace, metadata: {name: metallb-system}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: speaker, namespace: metallb-system, labels: {app: metallb, component: speaker}}
spec:
  selector: {matchLabels: {app: metallb, component: speaker}}
  template:
    metadata: {labels: {app: metallb, component: speaker}}
    spec: {hostNetwork: true, containers: [{name: speaker, image: "quay.io/metallb/speaker:v0.16.1", args: [--port=9120, --log-level=info], env: [{name: METALLB_ML_BIND_PORT, value: "7946"}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: metallb-system, labels: {app: metallb, component: controller}}
spec:
  selector: {matchLabels: {app: metallb, component: controller}}
  template:
    metadata: {labels: {app: metallb, component: controller}}
    spec: {containers: [{name: controller, image: "quay.io/metallb/controller:v0.16.1"}]}
---
apiVersion: v1
kind: Secret
metadata: {name: sh.helm.release.v1.metallb.v1, namespace: metallb-system, labels: {owner: helm, name: metallb, status: deployed, version: "1"}}
type: helm.sh/release.v1
---
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: lan, namespace: metallb-system}, spec: {addresses: [192.168.1.210-192.168.1.219, "fd00:1::210-fd00:1::219"]}}
---
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: gold, namespace: metallb-system}, spec: {addresses: [192.168.1.220/32], autoAssign: false, avoidBuggyIPs: true}}
---
{apiVersion: metallb.io/v1beta1, kind: L2Advertisement, metadata: {name: all, namespace: metallb-system}, spec: {}}
---
{apiVersion: metallb.io/v1beta1, kind: ConfigurationState, metadata: {name: controller, namespace: metallb-system}}
---
{apiVersion: metallb.io/v1beta1, kind: ServiceL2Status, metadata: {name: l2-x7k2q, namespace: metallb-system,
  labels: {metallb.io/node: node1, metallb.io/service-name: web, metallb.io/service-namespace: shop}}}
`

// webhook refuses every change of a pool while MetalLB's controller, which nobody runs here, is away.
const webhook = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: metallb-webhook-configuration}
webhooks:
- name: ipaddresspoolvalidationwebhook.metallb.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {name: metallb-webhook-service, namespace: metallb-system, path: /validate-metallb-io-v1beta1-ipaddresspool}}
  rules: [{apiGroups: [metallb.io], apiVersions: [v1beta1], operations: [CREATE, UPDATE], resources: [ipaddresspools]}]
`

// leaveWhatMetalLBLeaves makes all of it.
func (s *town) leaveWhatMetalLBLeaves(ctx context.Context) {
	s.t.Helper()
	var crds strings.Builder
	names := []string{"wait", "--for=condition=Established", "--timeout=30s"}
	for _, k := range kinds() {
		crds.WriteString(definition(k))
	}
	for line := range strings.Lines(s.kubectl(ctx, crds.String(), "create", "-f", "-", "-o", "name")) {
		names = append(names, strings.TrimSpace(line))
	}
	s.kubectl(ctx, "", names...)
	s.kubectl(ctx, installation, "create", "-f", "-")
	s.kubectl(ctx, "", "patch", "servicel2status", "l2-x7k2q", "-n", rig.Namespace, "--subresource=status", "--type=merge", "-p", `{"status":{"node":"node1","serviceName":"web","serviceNamespace":"shop"}}`)
	for _, svc := range services() {
		s.serve(ctx, svc)
	}
	s.kubectl(ctx, webhook, "create", "-f", "-")
}

// serve makes a Service with an endpoint, and writes the status that MetalLB wrote.
func (s *town) serve(ctx context.Context, svc service) {
	s.t.Helper()
	type m = map[string]any
	policy := "SingleStack"
	if len(svc.families) > 1 {
		policy = "PreferDualStack"
	}
	objects := []m{{"apiVersion": "v1", "kind": "Service", "metadata": m{"name": svc.name, "namespace": svc.namespace, "annotations": svc.annotations},
		"spec": m{"type": "LoadBalancer", "ipFamilies": svc.families, "ipFamilyPolicy": policy, "ports": []corev1.ServicePort{svc.port}}}}
	for i, f := range svc.families {
		objects = append(objects, m{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f,
			"metadata":  m{"name": fmt.Sprint(svc.name, "-", i), "namespace": svc.namespace, "labels": m{"kubernetes.io/service-name": svc.name}},
			"endpoints": []m{{"addresses": []string{[]string{"10.244.1.10", "fd00:10:244:1::10"}[slices.Index([]corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}, f)]}, "nodeName": "node1", "conditions": m{"ready": true}}},
			"ports":     []m{{"name": svc.port.Name, "port": rig.BackendPort, "protocol": svc.port.Protocol}}})
	}
	ingress := []m{}
	for _, a := range svc.addresses {
		ingress = append(ingress, m{"ip": a, "ipMode": "VIP"})
	}
	status, err := json.Marshal(m{"status": m{"loadBalancer": m{"ingress": ingress}}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range objects {
		raw, err := json.Marshal(o)
		if err != nil {
			s.t.Fatal(err)
		}
		s.kubectl(ctx, string(raw), "create", "-f", "-")
	}
	s.kubectl(ctx, "", "patch", "service", svc.name, "-n", svc.namespace, "--subresource=status", "--type=merge", "-p", string(status))
}

// statuses are the addresses of all Services, as their status has them.
func (s *town) statuses(ctx context.Context) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for _, svc := range services() {
		out[svc.namespace+"/"+svc.name] = s.kubectl(ctx, "", "get", "service", svc.name, "-n", svc.namespace, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
	}
	return out
}

// unchanged wants every Service to have the addresses that it had.
func (s *town) unchanged(ctx context.Context, before map[string]string) {
	s.t.Helper()
	if diff := cmp.Diff(before, s.statuses(ctx)); diff != "" {
		s.t.Errorf("addresses changed (-before +after):\n%s", diff)
	}
}
