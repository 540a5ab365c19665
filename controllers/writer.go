package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

const writers = 32 // Service statuses written at the same time

// writer sends statuses of Services, each on its own: one that fails is retried with a growing delay and holds up nobody.
type writer struct {
	client  client.Client
	fence   *Fence
	events  *reporter
	metrics *Metrics
	queue   workqueue.TypedRateLimitingInterface[lb.Name]
	flights *inFlight
}

func newWriter(c client.Client, fence *Fence, events *reporter, m *Metrics) *writer {
	return &writer{
		client: c, fence: fence, events: events, metrics: m, queue: newQueue[lb.Name](),
		flights: &inFlight{writes: map[lb.Name]*write{}},
	}
}

// set makes svc as wanted, soon.
func (w *writer) set(svc *corev1.Service, d desired, a allocate.Assignment) {
	if w.flights.set(svc, d, a) {
		w.queue.Forget(nameOf(svc)) // a new object or a new wish deserves a fresh try
		w.queue.Add(nameOf(svc))
	}
}

// Start sends until ctx ends, and returns when the last write has.
func (w *writer) Start(ctx context.Context) error {
	serve(ctx, w.queue, writers, w.next)
	return nil
}

// next sends the status of one Service.
func (w *writer) next(ctx context.Context, name lb.Name) {
	flight, d, ok := w.flights.begin(name)
	if !ok {
		return
	}
	o, err := w.send(ctx, flight.object, d)
	if err != nil {
		w.failed(ctx, flight, name, err)
	}
	if w.flights.end(flight, o) {
		w.queue.AddRateLimited(name)
		return
	}
	w.queue.Forget(name)
	if o == accepted {
		w.events.written(ctx, flight.object, d, flight.why)
	}
}

// send writes one status. It is the only place from where an address reaches the API server, and it sends nothing when the
// lease may be somebody else's before the answer is there.
func (w *writer) send(ctx context.Context, svc *corev1.Service, d desired) (outcome, error) {
	patch, err := d.patch(svc, metav1.Now())
	if err != nil {
		return refused, fmt.Errorf("encoding the status: %w", err)
	}
	after := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, Name: svc.Name}}
	err = w.fence.send(ctx, func(ctx context.Context) error {
		return w.client.Status().Patch(ctx, after, client.RawPatch(types.StrategicMergePatchType, patch))
	})
	switch {
	case errors.Is(err, errFenced):
		return refused, err
	case err == nil && after.ResourceVersion == svc.ResourceVersion:
		return noChange, nil
	case err == nil:
		return accepted, nil
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return overtaken, nil
	}
	return judge(err), fmt.Errorf("writing the status: %w", err)
}

// judge says what is known of a failed write: a status from the API server that blames the request means that nothing was
// done; a timeout, a broken connection or an internal error may hide a write that happened.
func judge(err error) outcome {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500 && !apierrors.IsTimeout(err) {
		return refused
	}
	return unknown
}

// failed counts every failure, and tells the log and the user of the first of a row.
func (w *writer) failed(ctx context.Context, flight *write, name lb.Name, err error) {
	if ctx.Err() != nil || errors.Is(err, errFenced) {
		return // we are stopping, or about to: that is told once, by who stops
	}
	w.metrics.WriteErrors.WithLabelValues("service").Inc()
	if w.queue.NumRequeues(name) > 0 {
		log.FromContext(ctx).V(1).Info("writing a service's status failed again", "service", name.String(), "reason", err.Error())
		return
	}
	log.FromContext(ctx).Info("cannot write a service's status, trying again", "service", name.String(), "reason", err.Error())
	w.events.notWritten(flight.object, err)
}
