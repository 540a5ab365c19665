package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

const writers = 32 // Service statuses written at the same time

// writer sends statuses of Services, each on its own: one that fails is retried with a growing delay and holds up nobody.
type writer struct {
	statusWriter[lb.Name]
	events  *reporter
	queue   workqueue.TypedRateLimitingInterface[lb.Name]
	flights *inFlight
}

func newWriter(c client.Client, fence *Fence, events *reporter, m *Metrics) *writer {
	r := newRetries[lb.Name]()
	return &writer{
		statusWriter: statusWriter[lb.Name]{client: c, fence: fence, kind: "service", failures: m.WriteErrors.WithLabelValues("service"), retries: r},
		events:       events, queue: workqueue.NewTypedRateLimitingQueue[lb.Name](r),
		flights: &inFlight{writes: map[lb.Name]*write{}},
	}
}

// set makes svc as wanted, soon.
func (w *writer) set(svc *corev1.Service, d desired, a allocate.Assignment) {
	if w.flights.set(svc, d, a) {
		w.queue.Forget(nameOf(svc)) // a new version deserves a fresh try
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
	if !ok { // the cache has shown another version meanwhile
		w.queue.Forget(name)
		return
	}
	o, err := w.write(ctx, flight.object, d)
	if err != nil && w.failed(ctx, name, err) {
		w.events.notWritten(flight.object, err)
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

// write writes one status. It is the only place from where an address reaches the API server.
func (w *writer) write(ctx context.Context, svc *corev1.Service, d desired) (outcome, error) {
	patch, err := d.patch(svc, metav1.Now())
	if err != nil {
		return refused, fmt.Errorf("encoding the status: %w", err)
	}
	after := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, Name: svc.Name}}
	if err := w.send(ctx, after, types.StrategicMergePatchType, patch); err != nil {
		return judge(err), err
	}
	switch {
	case after.ResourceVersion != svc.ResourceVersion:
		return accepted, nil
	case w.fence.unsettled() > 0: // the version is still good for an earlier attempt that may be applied late
		return refused, nil
	}
	return noChange, nil
}
