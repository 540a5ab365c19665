package controllers

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// desired is what our part of a Service's status shall be. The zero desired is "nothing of ours".
type desired struct {
	ingress []netip.Addr
	pool    string // annotation; "" for none
	// status, reason and message are our condition; an empty status for none.
	status          metav1.ConditionStatus
	reason, message string
}

func (d desired) equal(o desired) bool {
	return slices.Equal(d.ingress, o.ingress) && d.pool == o.pool &&
		d.status == o.status && d.reason == o.reason && d.message == o.message
}

// reasonAllocated is the reason of our condition when there is nothing to say about the addresses.
const reasonAllocated = "Allocated"

// want turns what the plan says into what shall be written. managed is lb.Service.Managed.
func want(a allocate.Assignment, managed bool) desired {
	if !managed {
		return desired{}
	}
	d := desired{ingress: a.Addresses, pool: a.Pool, status: metav1.ConditionTrue, reason: reasonAllocated, message: describe(a)}
	if !a.Complete {
		d.status = metav1.ConditionFalse
	}
	if a.Problem != nil {
		d.reason, d.message = string(a.Problem.Reason), shorten(a.Problem.Message, maxMessage)
	}
	return d
}

// maxMessage is the longest message of a condition, in bytes (k8s.io/apimachinery/pkg/apis/meta/v1, Condition.Message).
const maxMessage = 32768

func describe(a allocate.Assignment) string {
	return fmt.Sprintf("%s from pool %s", joined(a.Addresses, " and "), strings.ReplaceAll(a.Pool, ",", " and "))
}

func joined(list []netip.Addr, sep string) string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return strings.Join(out, sep)
}

// current reads our part from an object. ok is false when the ingress holds something that we would never write (a host
// name, a text that is no address), so that it must be written whatever the plan says. ipMode VIP and none are the same:
// the API server fills in VIP, and old ones drop it.
func current(svc *corev1.Service) (d desired, ok bool) {
	ok = true
	for _, in := range svc.Status.LoadBalancer.Ingress {
		a, err := netip.ParseAddr(in.IP)
		if err != nil || in.Hostname != "" || (in.IPMode != nil && *in.IPMode != corev1.LoadBalancerIPModeVIP) {
			ok = false
			continue
		}
		d.ingress = append(d.ingress, a)
	}
	d.pool = svc.Annotations[v1beta1.AnnotationAllocatedFromPool]
	if i := slices.IndexFunc(svc.Status.Conditions, isOurs); i >= 0 {
		c := svc.Status.Conditions[i]
		d.status, d.reason, d.message = c.Status, c.Reason, c.Message
	}
	return d, ok
}

func isOurs(c metav1.Condition) bool { return c.Type == v1beta1.ConditionAllocated }

// patch is the strategic merge patch of /status that makes svc as desired. It names its resourceVersion, so it does
// nothing to an object that has changed since, and it merges conditions by type, so those of others stay.
func (d desired) patch(svc *corev1.Service, now metav1.Time) ([]byte, error) {
	type object = map[string]any
	status := object{"conditions": []any{object{"$patch": "delete", "type": v1beta1.ConditionAllocated}}}
	if d.status != "" {
		status["conditions"] = []any{metav1.Condition{
			Type: v1beta1.ConditionAllocated, Status: d.status, Reason: d.reason, Message: d.message,
			LastTransitionTime: transition(svc, d.status, now),
		}}
	}
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		var ingress []any // null removes the field
		for _, a := range d.ingress {
			ingress = append(ingress, object{"ip": a.String()})
		}
		status["loadBalancer"] = object{"ingress": ingress}
	}
	var pool any // null removes the annotation
	if d.pool != "" {
		pool = d.pool
	}
	return json.Marshal(object{
		"metadata": object{
			"resourceVersion": svc.ResourceVersion,
			"annotations":     object{v1beta1.AnnotationAllocatedFromPool: pool},
		},
		"status": status,
	})
}

// transition keeps the time of the condition while its status stays the same.
func transition(svc *corev1.Service, status metav1.ConditionStatus, now metav1.Time) metav1.Time {
	i := slices.IndexFunc(svc.Status.Conditions, isOurs)
	if i >= 0 && svc.Status.Conditions[i].Status == status {
		return svc.Status.Conditions[i].LastTransitionTime
	}
	return now
}

// releaseFirst is what may be written at once for a Service whose new addresses another one must release first: what it
// gives up for good. What it only moves away from it keeps until it has the new address.
func releaseFirst(a allocate.Assignment, have desired) desired {
	gone := func(addr netip.Addr) bool {
		return slices.ContainsFunc(a.Released, func(r allocate.Release) bool {
			return r.Address == addr && r.Why.Reason != allocate.ReasonMoved
		})
	}
	d := have
	d.ingress = slices.DeleteFunc(slices.Clone(have.ingress), gone)
	if len(d.ingress) == 0 {
		d.pool = ""
	}
	return d
}

// nameOf is the key of an object everywhere in this package.
func nameOf(svc *corev1.Service) lb.Name { return lb.Name{Namespace: svc.Namespace, Name: svc.Name} }
