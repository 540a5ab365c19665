package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

const (
	namespace = "default" // of the Services
	services  = 4         // each with an address of both families
	// preferredNode is the annotation with which a user asks for a node.
	preferredNode = "metallb.io/preferred-node"
)

// stage is a lab with Steelyard and the Services in it.
type stage struct {
	*rig.Rig
	bare  *rig.Bare // nil on a full lab
	addrs []netip.Addr
	// service is whose an address is.
	service map[netip.Addr]string
}

// install brings Steelyard and a web server on every node.
func (s *stage) install(ctx context.Context, tier lab.Tier, dir string) error {
	// No rebalancing: every move that is seen belongs to the fault.
	if tier == lab.Full {
		if err := s.Lab.InstallSteelyard(ctx, lab.InstallOptions{Args: []string{"--set", "speaker.rebalanceInterval=0s"}}); err != nil {
			return err
		}
		_, err := s.Lab.Kubectl(ctx, webYAML, "apply", "-f", "-")
		return err
	}
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		return err
	}
	s.bare, err = rig.InstallBare(ctx, s.Rig, bin, dir, append(askKubeProxy(), "--rebalance-interval=0")...)
	return err
}

// populate makes the pool and the Services, and waits for their addresses.
func (s *stage) populate(ctx context.Context) error {
	s.service = map[netip.Addr]string{}
	if err := s.pool(ctx, "nemesis", nil, "192.168.1.200-192.168.1.203", "fd00:1::200-fd00:1::203"); err != nil {
		return err
	}
	for i := range services {
		name := fmt.Sprintf("web-%d", i)
		addrs, err := s.newService(ctx, name, "nemesis", corev1.IPv4Protocol, corev1.IPv6Protocol)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			s.addrs, s.service[a] = append(s.addrs, a), name
		}
	}
	return nil
}

// pool makes a pool and advertises it, from some nodes only if a selector is given.
func (s *stage) pool(ctx context.Context, name string, from []v1beta1.LabelSelector, addresses ...string) error {
	no := false
	return errors.Join(
		s.API.Create(ctx, &v1beta1.IPAddressPool{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: rig.Namespace},
			Spec:       v1beta1.IPAddressPoolSpec{Addresses: addresses, AutoAssign: &no},
		}),
		s.API.Create(ctx, &v1beta1.L2Advertisement{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: rig.Namespace},
			Spec:       v1beta1.L2AdvertisementSpec{IPAddressPools: []string{name}, NodeSelectors: from},
		}))
}

// removePool undoes pool.
func (s *stage) removePool(ctx context.Context, name string) error {
	meta := metav1.ObjectMeta{Name: name, Namespace: rig.Namespace}
	return client.IgnoreNotFound(errors.Join(
		s.API.Delete(ctx, &v1beta1.L2Advertisement{ObjectMeta: meta}), s.API.Delete(ctx, &v1beta1.IPAddressPool{ObjectMeta: meta})))
}

// newService makes a Service with an address of each family and waits for the addresses.
func (s *stage) newService(ctx context.Context, name, pool string, families ...corev1.IPFamily) ([]netip.Addr, error) {
	if err := s.createService(ctx, name, pool, nil, families...); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	return s.Addresses(ctx, client.ObjectKey{Namespace: namespace, Name: name}, len(families))
}

// labelProxy names who proxies a Service; kube-proxy leaves one alone that has it.
const labelProxy = "service.kubernetes.io/service-proxy-name"

// createService makes a Service with labels, and its endpoints where there are no pods.
func (s *stage) createService(ctx context.Context, name, pool string, labels map[string]string, families ...corev1.IPFamily) error {
	policy := corev1.IPFamilyPolicySingleStack
	if len(families) > 1 {
		policy = corev1.IPFamilyPolicyRequireDualStack
	}
	noPorts, target := false, intstr.FromInt32(rig.BackendPort)
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels, Annotations: map[string]string{v1beta1.AnnotationAddressPool: pool}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, IPFamilies: families, IPFamilyPolicy: &policy, AllocateLoadBalancerNodePorts: &noPorts,
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: target, Protocol: corev1.ProtocolTCP}},
		},
	}
	if s.bare == nil {
		svc.Spec.Selector = map[string]string{"app": "web"}
	}
	if err := s.API.Create(ctx, svc); err != nil {
		return fmt.Errorf("creating the Service: %w", err)
	}
	if s.bare == nil {
		return nil
	}
	for _, f := range families {
		if err := s.API.Create(ctx, s.endpoints(svc, f)); err != nil {
			return fmt.Errorf("creating the endpoints of %s: %w", name, err)
		}
	}
	return nil
}

// endpoints are the web servers of all nodes as the endpoints of a Service.
func (s *stage) endpoints(svc *corev1.Service, family corev1.IPFamily) *discoveryv1.EndpointSlice {
	port, protocol, ready := int32(rig.BackendPort), corev1.ProtocolTCP, true
	labels := maps.Clone(svc.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[discoveryv1.LabelServiceName] = svc.Name
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: svc.Name + "-", Namespace: svc.Namespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: svc.Name, UID: svc.UID}},
		},
		AddressType: discoveryv1.AddressType(family),
		Ports:       []discoveryv1.EndpointPort{{Port: &port, Protocol: &protocol}},
	}
	addrs, nodes := s.bare.Backends(family == corev1.IPv6Protocol)
	for i, a := range addrs {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{a.String()}, NodeName: &nodes[i], Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready},
		})
	}
	return slice
}

// logs is what the speakers said last.
func (s *stage) logs() string {
	if s.bare != nil {
		return s.bare.Logs(40)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := s.Lab.Kubectl(ctx, "", "logs", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=speaker", "--tail=40", "--prefix")
	return fmt.Sprintf("%s(%v)", out, err)
}

// mend brings the lab back to what it was before a scenario, whatever the scenario left.
func (s *stage) mend(ctx context.Context) error {
	errs := []error{s.Lab.HealAll(ctx)}
	running := s.Lab.Processes()
	if !slices.Contains(running, "kube-apiserver") {
		errs = append(errs, s.Lab.StartAPIServer(ctx))
	}
	for _, n := range s.Lab.Nodes() {
		errs = append(errs, s.mendNode(ctx, n.Name, running))
	}
	_, err := s.Lab.Kubectl(ctx, "", "annotate", "services", "--all", "-n", namespace, preferredNode+"-")
	return errors.Join(append(errs, err)...)
}

func (s *stage) mendNode(ctx context.Context, node string, running []string) error {
	carrier := kubeProxyOn(node)
	if s.bare == nil {
		carrier = node
	}
	if !slices.Contains(running, carrier) {
		if err := s.Lab.RestorePower(ctx, node); err != nil {
			return err
		}
	}
	_, err := s.Lab.Kubectl(ctx, "", "label", "node", node, corev1.LabelNodeExcludeBalancers+"-")
	if err != nil || s.bare == nil {
		return err
	}
	return s.bare.Revive(ctx, node)
}

// webYAML is the workload of the full lab.
const webYAML = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - {name: web, image: "lab.local/web:1", args: ["--listen=:8080"], readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}}
`
