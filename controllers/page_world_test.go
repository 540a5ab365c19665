package controllers

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// pageShelf is a shelf with what speakers wrote.
type pageShelf struct {
	shelf
	statuses []v1beta1.ServiceL2Status
}

func (s *pageShelf) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if l, ok := list.(*v1beta1.ServiceL2StatusList); ok {
		l.Items = s.statuses
		return s.err
	}
	return s.shelf.List(ctx, list, opts...)
}

// pageNow is when the pages of the tests are made.
func pageNow() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC) }

func freedLately() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.72")} }

func ago(d time.Duration) metav1.Time { return metav1.NewTime(pageNow().Add(-d)) }

// pageOver returns a page that reads from a shelf, as a leader does.
func pageOver(s *pageShelf) *StatusPage {
	p := NewStatusPage("steelyard-controller-7c9f")
	p.now = pageNow
	leads := make(chan struct{})
	close(leads)
	p.source.Store(&pageSource{reader: s, options: Options{Namespace: "metallb-system"}, elected: leads, recent: freedLately})
	return p
}

// give adds a Service that has an address of a pool, and whose owner is node.
func (s *pageShelf) give(namespace, name, addr, pool, node, from, cause string, since time.Duration) {
	svc := condition(namespace, name, metav1.ConditionTrue, "Allocated", addr+" from pool "+pool, since)
	svc.Annotations = map[string]string{v1beta1.AnnotationAllocatedFromPool: pool}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: addr}}
	s.services = append(s.services, svc)
	if node == "" {
		return
	}
	standby := map[string]string{"node1": "node2", "node2": "node3", "node3": "node1"}[node]
	s.statuses = append(s.statuses, v1beta1.ServiceL2Status{Status: v1beta1.ServiceL2StatusStatus{Node: node, ServiceName: name, ServiceNamespace: namespace,
		Addresses: []v1beta1.AddressOwnership{{Address: addr, Since: new(ago(since)), Cause: cause, From: from, Standby: standby}}}})
}

func condition(namespace, name string, status metav1.ConditionStatus, reason, message string, since time.Duration) corev1.Service {
	svc := service(name)
	svc.Namespace, svc.UID = namespace, types.UID("uid-"+namespace+"-"+name)
	svc.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionAllocated, Status: status, Reason: reason, Message: message, LastTransitionTime: ago(since)}}
	return svc
}

// threeServices is a small cluster in which something of everything happens: one Service has an address that a stranger answers
// for, one has moved, one waits.
func threeServices() *pageShelf {
	s := &pageShelf{}
	lan := newPool("lan", "192.0.2.64/26", "2001:db8:17::/64")
	lan.Spec.Reserved = []string{"192.0.2.120-192.0.2.127"}
	lan.Spec.RetainFor = &metav1.Duration{Duration: time.Hour}
	lan.Status.Retained = []v1beta1.RetainedAddress{{Address: "192.0.2.70", Namespace: "shop", Name: "old-cart", Until: ago(-40 * time.Minute)}}
	lan.Status.Conflicts = []v1beta1.AddressConflict{{Address: "192.0.2.66", MAC: "02:00:5e:10:00:2a", Node: "node3", Until: ago(-9 * time.Minute)}}
	edge := newPool("edge", "198.51.100.0-198.51.100.15")
	edge.Spec.AvoidBuggyIPs, edge.Spec.AutoAssign = true, new(false)
	s.pools = []v1beta1.IPAddressPool{lan, edge}
	s.give("shop", "web", "192.0.2.64", "lan", "node2", "node1", "death", 4*time.Minute)
	s.give("shop", "mail", "192.0.2.66", "lan", "node1", "", "free", 3*24*time.Hour)
	s.services[0].Status.LoadBalancer.Ingress = append(s.services[0].Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: "2001:db8:17::"})
	s.services[0].Annotations[v1beta1.AnnotationAllocatedFromPool] = "lan,lan"
	s.statuses[0].Status.Addresses = append(s.statuses[0].Status.Addresses, v1beta1.AddressOwnership{Address: "2001:db8:17::", Since: new(ago(4 * time.Minute)), Cause: "death", From: "node1", Standby: "node3"})
	s.services = append(s.services, condition("billing", "ledger", metav1.ConditionFalse, "NoUsablePool", "pool edge is not assigned automatically; pool lan does not admit namespace billing", 12*time.Minute))
	return s
}

// manyServices has n Services in a /16, some of which wait.
func manyServices(n int) *pageShelf {
	s := &pageShelf{}
	s.pools = []v1beta1.IPAddressPool{newPool("campus", "10.64.0.0/16"), newPool("carrier", "100.64.0.0/10"), newPool("v6", "2001:db8::/32")}
	for i := range n {
		name, ns := fmt.Sprintf("app-%04d", i), fmt.Sprintf("team-%02d", i%40)
		if i%250 == 7 {
			s.services = append(s.services, condition(ns, name, metav1.ConditionFalse, "Exhausted", "pool campus has no free address", time.Duration(i)*time.Second))
			continue
		}
		node, from, cause := fmt.Sprintf("node%d", 1+i%3), "", "free"
		if i%3 == 1 && i%2 == 0 {
			from, cause = "node4", "death"
		}
		s.give(ns, name, fmt.Sprintf("10.64.%d.%d", i/256, i%256), "campus", node, from, cause, time.Duration(1+i/100)*time.Minute)
	}
	return s
}

// evil is a text that would be run if it became markup.
const evil = `"'><img src=x onerror="ran=1"><script>ran=1</script><a onclick=ran=1 href="javascript:ran=1">`

// hostileServices are named and told of as no API server allows, wherever a text can come from somebody else.
func hostileServices() *pageShelf {
	s := threeServices()
	s.pools[0].Name = evil
	s.pools[0].Status.Conflicts[0].Node, s.pools[0].Status.Conflicts[0].MAC = evil, evil
	s.pools[0].Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionOverlap, Status: "True", Reason: evil, Message: evil}}
	s.pools[0].Status.Retained[0].Name = evil
	for i := range s.services {
		s.services[i].Name, s.services[i].Namespace = evil, evil
		s.services[i].Annotations = map[string]string{v1beta1.AnnotationAllocatedFromPool: evil}
		c := &s.services[i].Status.Conditions[0]
		c.Reason, c.Message = evil, evil
	}
	for i := range s.statuses {
		st := &s.statuses[i].Status
		st.Node, st.Addresses[0].Standby, st.Addresses[0].From, st.Addresses[0].Cause = evil, evil, evil, evil
	}
	return s
}
