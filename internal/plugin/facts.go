package plugin

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/doctor"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// factsOf puts together what doctor looks at.
func factsOf(s sight, around surroundings) doctor.Facts {
	f := doctor.Facts{System: s.system, Class: s.class, Now: s.now, Asked: s.asked, Answered: s.answered, GossipPort: around.gossipPort(),
		ServiceCIDRs: around.serviceCIDRs, Proxy: around.proxy, Workloads: around.workloads, Unread: around.unread, Pools: s.world.Pools,
		Advertisements: cluster.Advertisements(s.objects.Advertisements)}
	for i := range s.objects.Nodes {
		n := nodeFacts(&s.objects.Nodes[i])
		n.Runs = around.admits(&s.objects.Nodes[i])
		f.Nodes = append(f.Nodes, n)
	}
	slices.SortFunc(f.Nodes, func(a, b doctor.Node) int { return cmp.Compare(a.Name, b.Name) })
	for i := range s.objects.Services {
		svc := &s.objects.Services[i]
		if svc.Spec.Type == corev1.ServiceTypeLoadBalancer && cluster.Concerns(svc, s.class) {
			f.Services = append(f.Services, doctor.Service{Name: lb.Name{Namespace: svc.Namespace, Name: svc.Name}, Writers: writers(svc)})
		}
	}
	for _, a := range s.plan.Services {
		if !a.Complete && a.Problem != nil {
			f.Waiting = append(f.Waiting, doctor.Waiting{Service: a.Service, Problem: *a.Problem})
		}
	}
	if s.unasked != nil {
		f.Unasked = s.unasked.Error()
		return f
	}
	for _, v := range s.views() {
		f.Speakers = append(f.Speakers, doctor.Speaker{Node: v.Node, View: v})
	}
	for node, err := range s.replies.Silent {
		f.Speakers = append(f.Speakers, doctor.Speaker{Node: node, Silent: err.Error()})
	}
	slices.SortFunc(f.Speakers, func(a, b doctor.Speaker) int { return cmp.Compare(a.Node, b.Node) })
	return f
}

func nodeFacts(n *corev1.Node) doctor.Node {
	out := doctor.Node{Name: n.Name, Labels: n.Labels}
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && (a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP) {
			out.Addrs = append(out.Addrs, ip)
		}
	}
	for _, text := range n.Spec.PodCIDRs {
		out.PodCIDRs = appendPrefix(out.PodCIDRs, text)
	}
	return out
}

// writers are the field managers of status.loadBalancer, each with its last write.
func writers(svc *corev1.Service) []doctor.Writer {
	var out []doctor.Writer
	for _, m := range svc.ManagedFields {
		if m.Time == nil || m.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Status struct {
				LoadBalancer *struct{} `json:"f:loadBalancer"`
			} `json:"f:status"`
		}
		if json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields) == nil && fields.Status.LoadBalancer != nil {
			out = append(out, doctor.Writer{Manager: m.Manager, At: m.Time.Time})
		}
	}
	return out
}
