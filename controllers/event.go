package controllers

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/kube"
)

// The reasons of our Events on Services. Those on pools are the reasons of the pools' conditions, and StatusWriteFailed.
const (
	eventAllocated  = "IPAllocated"          // Normal: addresses were given
	eventReleased   = "ClearAssignment"      // Normal: addresses were taken back, and why
	eventFailed     = "AllocationFailed"     // Warning: the Service waits, and why
	eventIrregular  = "AllocationIrregular"  // Warning: the Service keeps an address against some rule
	eventDeprecated = "DeprecatedAnnotation" // Warning: an annotation in the old spelling was used
	eventNotWritten = "StatusWriteFailed"    // Warning: the status could not be written, and why
)

// maxNote is the longest note of an Event, in bytes (k8s.io/api/events/v1, Event.Note).
const maxNote = 1024

// reporter tells users what changed, by Events and log lines. It is called once for each change that was written: the
// condition in the Service's status is the memory, so neither a restart nor a new plan says anything twice.
type reporter struct{ recorder events.EventRecorder }

// written reports the change from svc to d, which the API server has accepted.
func (r *reporter) written(ctx context.Context, svc *corev1.Service, d desired, a allocate.Assignment) {
	logger := log.FromContext(ctx).WithValues("service", nameOf(svc).String())
	had, _ := current(svc)
	if gone := without(had.ingress, d.ingress); len(gone) > 0 {
		why := reasonOf(a, gone)
		r.event(svc, corev1.EventTypeNormal, eventReleased, "Release", "Released "+joined(gone, ", ")+why)
		logger.Info("address released", "address", joined(gone, ","), "reason", strings.TrimPrefix(why, ": "))
	}
	if given := without(d.ingress, had.ingress); len(given) > 0 {
		r.event(svc, corev1.EventTypeNormal, eventAllocated, "Allocate", "Assigned IP "+joined(given, ", ")+" from pool "+d.pool)
		logger.Info("address assigned", "address", joined(given, ","), "pool", d.pool)
	}
	r.deprecated(svc, had, d)
	if d.message == had.message && d.reason == had.reason && d.status == had.status {
		return
	}
	switch {
	case d.status == metav1.ConditionFalse:
		note := "Failed to allocate IP: " + d.message
		if a.Now != "" {
			note += " (" + a.Now + ")" // an Event is of one moment, the condition is not
		}
		r.event(svc, corev1.EventTypeWarning, eventFailed, "Allocate", note)
		logger.Info("service waits", "reason", d.reason, "message", d.message)
	case d.status == metav1.ConditionTrue && a.Problem != nil:
		r.event(svc, corev1.EventTypeWarning, eventIrregular, "Allocate", d.message)
	}
}

// deprecated tells of annotations in the old spelling: when a Service is first looked at, which after a move from MetalLB is
// while it has its address already, and when they have it moved. One that waited was told when it began to.
func (r *reporter) deprecated(svc *corev1.Service, had, d desired) {
	old := kube.LegacyAnnotations(svc)
	moved := had.status == metav1.ConditionTrue && len(without(d.ingress, had.ingress)) > 0
	if len(old) == 0 || d.status == "" || had.status != "" && !moved {
		return
	}
	r.event(svc, corev1.EventTypeWarning, eventDeprecated, "Allocate",
		strings.Join(old, ", ")+" is honoured, but is an old spelling; use the prefix metallb.io/")
}

// notWritten reports that the status of a Service or a pool cannot be written.
func (r *reporter) notWritten(on runtime.Object, err error) {
	r.event(on, corev1.EventTypeWarning, eventNotWritten, "Write", "Cannot write the status, trying again: "+err.Error())
}

// pool reports each condition of a pool that has changed: whether it works, who else has its addresses, that it is full, or
// that a stranger answers for some of them.
func (r *reporter) pool(ctx context.Context, p *v1beta1.IPAddressPool, status v1beta1.IPAddressPoolStatus) {
	for _, of := range []string{v1beta1.ConditionReady, v1beta1.ConditionOverlap, v1beta1.ConditionExhausted, v1beta1.ConditionConflict} {
		had, has := meta.FindStatusCondition(p.Status.Conditions, of), meta.FindStatusCondition(status.Conditions, of)
		if has == nil || !news(had, *has) {
			continue
		}
		kind := corev1.EventTypeNormal
		if bad(*has) {
			kind = corev1.EventTypeWarning
		}
		r.event(p, kind, has.Reason, "Plan", has.Message)
		log.FromContext(ctx).Info("pool changed", "pool", p.Name, "condition", of, "reason", has.Reason, "message", has.Message)
	}
}

// news says whether the change of a pool's condition is worth an Event; had is nil when the pool is new.
func news(had *metav1.Condition, has metav1.Condition) bool {
	switch {
	case had == nil:
		return bad(has) // a new pool that works is none
	case had.Status != has.Status || had.Reason != has.Reason:
		return true
	case has.Type == v1beta1.ConditionExhausted || has.Reason == string(allocate.ReasonExhausted):
		return false // how many Services wait changes all the time
	}
	return bad(has) && had.Message != has.Message // another pool overlaps, another stranger answers
}

// bad says that a condition of a pool tells of something to mend.
func bad(c metav1.Condition) bool {
	return (c.Status == metav1.ConditionTrue) != (c.Type == v1beta1.ConditionReady)
}

func (r *reporter) event(on runtime.Object, kind, reason, action, note string) {
	r.recorder.Eventf(on, nil, kind, reason, action, "%s", shorten(note, maxNote))
}

// reasonOf returns ": why" for the first of the addresses that the plan has a reason for.
func reasonOf(a allocate.Assignment, gone []netip.Addr) string {
	for _, r := range a.Released {
		if slices.Contains(gone, r.Address) {
			return ": " + r.Why.Message
		}
	}
	return ""
}

// without returns the addresses of a that are not in b.
func without(a, b []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(x netip.Addr) bool { return slices.Contains(b, x) })
}
