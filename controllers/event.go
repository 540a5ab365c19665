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

// The reasons of our Events on Services. Those on pools are the reasons of the conditions Ready and Conflict.
const (
	eventAllocated  = "IPAllocated"          // Normal: addresses were given
	eventReleased   = "ClearAssignment"      // Normal: addresses were taken back, and why
	eventFailed     = "AllocationFailed"     // Warning: the Service waits, and why
	eventIrregular  = "AllocationIrregular"  // Warning: the Service keeps an address against some rule
	eventDeprecated = "DeprecatedAnnotation" // Warning: an annotation in the old spelling was used
	eventNotWritten = "StatusWriteFailed"    // Warning: the API server refused the status
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
		if old := kube.LegacyAnnotations(svc); len(old) > 0 {
			r.event(svc, corev1.EventTypeWarning, eventDeprecated, "Allocate",
				strings.Join(old, ", ")+" is honoured, but is an old spelling; use the prefix metallb.io/")
		}
	}
	if d.message == had.message && d.reason == had.reason && d.status == had.status {
		return
	}
	switch {
	case d.status == metav1.ConditionFalse:
		r.event(svc, corev1.EventTypeWarning, eventFailed, "Allocate", "Failed to allocate IP: "+d.message)
		logger.Info("service waits", "reason", d.reason, "message", d.message)
	case d.status == metav1.ConditionTrue && a.Problem != nil:
		r.event(svc, corev1.EventTypeWarning, eventIrregular, "Allocate", d.message)
	}
}

// notWritten reports that the status of svc cannot be written.
func (r *reporter) notWritten(svc *corev1.Service, err error) {
	r.event(svc, corev1.EventTypeWarning, eventNotWritten, "Write", "Cannot write the status, trying again: "+err.Error())
}

// pool reports that a condition of a pool has changed: that it is full or not, what is wrong with it, or that a stranger
// answers for its addresses. How many Services wait for a full one is no change.
func (r *reporter) pool(ctx context.Context, p *v1beta1.IPAddressPool, status v1beta1.IPAddressPoolStatus) {
	r.conflict(ctx, p, status)
	had := meta.FindStatusCondition(p.Status.Conditions, v1beta1.ConditionReady)
	has := meta.FindStatusCondition(status.Conditions, v1beta1.ConditionReady)
	if had != nil && had.Reason == has.Reason && (had.Message == has.Message || has.Reason == string(allocate.ReasonExhausted)) {
		return
	}
	if had == nil && has.Status == metav1.ConditionTrue {
		return // a new pool that works is no news
	}
	kind := corev1.EventTypeNormal
	if has.Status == metav1.ConditionFalse {
		kind = corev1.EventTypeWarning
	}
	r.event(p, kind, has.Reason, "Plan", has.Message)
	log.FromContext(ctx).Info("pool changed", "pool", p.Name, "reason", has.Reason, "message", has.Message)
}

// conflict reports that strangers were seen, or others than before, or none any more.
func (r *reporter) conflict(ctx context.Context, p *v1beta1.IPAddressPool, status v1beta1.IPAddressPoolStatus) {
	had := meta.FindStatusCondition(p.Status.Conditions, v1beta1.ConditionConflict)
	has := meta.FindStatusCondition(status.Conditions, v1beta1.ConditionConflict)
	if had != nil && had.Message == has.Message || had == nil && has.Status == metav1.ConditionFalse {
		return
	}
	kind := corev1.EventTypeNormal
	if has.Status == metav1.ConditionTrue {
		kind = corev1.EventTypeWarning
	}
	r.event(p, kind, has.Reason, "Plan", has.Message)
	log.FromContext(ctx).Info("pool changed", "pool", p.Name, "reason", has.Reason, "message", has.Message)
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
