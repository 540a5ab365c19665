package kube

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Service converts a Service, of whatever type. class is the value of --lb-class: the Service is Managed when it is of type
// LoadBalancer and its loadBalancerClass is exactly class, where no class equals the empty one. Endpoints are not filled in.
func Service(svc *corev1.Service, class string) lb.Service {
	out := lb.Service{
		Name:     lb.Name{Namespace: svc.Namespace, Name: svc.Name},
		UID:      string(svc.UID),
		Created:  svc.CreationTimestamp.Time,
		Labels:   svc.Labels,
		Managed:  svc.Spec.Type == corev1.ServiceTypeLoadBalancer && Class(svc) == class,
		Deleting: svc.DeletionTimestamp != nil,
		Families: families(svc),
		Policy:   lb.SingleStack,
		Ports:    ports(svc),
		Local:    svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
		Selector: canonical(svc.Spec.Selector),
	}
	if svc.Spec.IPFamilyPolicy != nil {
		out.Policy = lb.FamilyPolicy(*svc.Spec.IPFamilyPolicy)
	}
	out.SharingKey = annotation(svc, v1beta1.AnnotationAllowSharedIP)
	out.RequestedPool = annotation(svc, v1beta1.AnnotationAddressPool)
	out.HeldFrom = annotation(svc, v1beta1.AnnotationAllocatedFromPool)
	out.WantedNode = strings.TrimSpace(svc.Annotations[v1beta1.AnnotationPreferredNode])
	out.Held = held(svc)
	var problem *lb.Problem
	if out.Requested, problem = requested(svc); problem != nil {
		out.Problems = []lb.Problem{*problem}
	}
	return out
}

// Class returns spec.loadBalancerClass, "" when there is none.
func Class(svc *corev1.Service) string {
	if svc.Spec.LoadBalancerClass == nil {
		return ""
	}
	return *svc.Spec.LoadBalancerClass
}

// annotation returns the value under the newer key, even an empty one, or else under its legacy spelling.
func annotation(svc *corev1.Service, key string) string {
	v, ok := svc.Annotations[key]
	if !ok {
		v = svc.Annotations[legacy(key)]
	}
	return strings.TrimSpace(v)
}

func legacy(key string) string {
	return v1beta1.LegacyAnnotationPrefix + strings.TrimPrefix(key, v1beta1.AnnotationPrefix)
}

// LegacyAnnotations returns, sorted, the annotations of svc that are written in the old spelling and count because the
// newer spelling is not there. The one that MetalLB wrote itself (ip-allocated-from-pool) is nobody's mistake and left out.
func LegacyAnnotations(svc *corev1.Service) []string {
	var out []string
	for _, key := range []string{v1beta1.AnnotationAddressPool, v1beta1.AnnotationAllowSharedIP, v1beta1.AnnotationLoadBalancerIPs} {
		_, isNew := svc.Annotations[key]
		if _, isOld := svc.Annotations[legacy(key)]; isOld && !isNew {
			out = append(out, legacy(key))
		}
	}
	return out
}

// families returns those of the cluster IPs, in the order of spec.ipFamilies. ipFamilies alone is not enough: a headless
// Service has families, and no address that a client's packet could be translated to.
func families(svc *corev1.Service) []lb.Family {
	ips := svc.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{svc.Spec.ClusterIP}
	}
	var have, out []lb.Family
	for _, s := range ips {
		if a, err := netip.ParseAddr(s); err == nil && !slices.Contains(have, lb.FamilyOf(a.Unmap())) {
			have = append(have, lb.FamilyOf(a.Unmap()))
		}
	}
	for _, f := range svc.Spec.IPFamilies {
		i := slices.IndexFunc(have, func(h lb.Family) bool { return h.String() == string(f) })
		if i >= 0 {
			out = append(out, have[i])
			have = slices.Delete(have, i, i+1)
		}
	}
	return append(out, have...)
}

// ports returns the ports that clients see, sorted.
func ports(svc *corev1.Service) []lb.Port {
	var out []lb.Port
	for _, p := range svc.Spec.Ports {
		proto := string(p.Protocol)
		if proto == "" {
			proto = string(corev1.ProtocolTCP) // the default of the field
		}
		out = append(out, lb.Port{Protocol: proto, Number: uint16(p.Port)})
	}
	slices.SortFunc(out, func(a, b lb.Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Number, b.Number))
	})
	return out
}

// canonical writes a map selector so that equal maps give equal strings: "k=v,k2=v2", sorted by key.
func canonical(sel map[string]string) string {
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(sel)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + sel[k])
	}
	return b.String()
}

// held returns the addresses of status.loadBalancer.ingress in their order. What is no IP address (a host name that another
// controller wrote) is nothing that we can hold.
func held(svc *corev1.Service) []netip.Addr {
	var out []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if a, err := parseAddr(in.IP); err == nil && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// requested returns the addresses that the user asked for by annotation or by spec.loadBalancerIP, in the user's order. When
// the request cannot be understood it returns none and the problem: half a request is not what the user wants.
func requested(svc *corev1.Service) ([]netip.Addr, *lb.Problem) {
	list := annotation(svc, v1beta1.AnnotationLoadBalancerIPs)
	source := "annotation " + v1beta1.AnnotationLoadBalancerIPs
	field := strings.TrimSpace(svc.Spec.LoadBalancerIP)
	switch {
	case list == "" && field == "":
		return nil, nil
	case list != "" && field != "":
		return nil, invalidRequest("both the %s (%s) and spec.loadBalancerIP (%s) ask for an address; remove one of them", source, list, field)
	case field != "":
		list, source = field, "spec.loadBalancerIP"
	}
	var out []netip.Addr
	for s := range strings.SplitSeq(list, ",") {
		a, err := parseAddr(s)
		if err != nil {
			return nil, invalidRequest("%s %q: %v", source, list, err)
		}
		same := slices.IndexFunc(out, func(o netip.Addr) bool { return o.Is4() == a.Is4() })
		if same >= 0 {
			return nil, invalidRequest("%s asks for two %v addresses (%v and %v); a Service has at most one of each family", source, lb.FamilyOf(a), out[same], a)
		}
		out = append(out, a)
	}
	return out, nil
}

func invalidRequest(format string, args ...any) *lb.Problem {
	return &lb.Problem{Reason: ReasonInvalidRequest, Message: fmt.Sprintf(format, args...)}
}
