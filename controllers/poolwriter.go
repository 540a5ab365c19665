package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/kube"
)

const (
	// poolRest is the least time between two writes of one pool's status: in a burst of Services the numbers change with
	// every plan, and nobody reads them that often.
	poolRest = 500 * time.Millisecond
	// poolGap is the least time between the writes of two pools, so that hundreds of them leave room for Services.
	poolGap = 20 * time.Millisecond
)

// poolWriter keeps the status of the pools, beside the writer of the Services and never in its way. One that cannot be
// written is tried again with a growing delay, however often the numbers change meanwhile, and holds up no other.
type poolWriter struct {
	statusWriter[string] // its client reads from the cache
	namespace            string
	events               *reporter
	queue                workqueue.TypedDelayingInterface[string]

	mu    sync.Mutex
	usage map[string]allocate.Usage
	due   map[string]time.Time // before which a pool is not written again
}

func newPoolWriter(c client.Client, namespace string, fence *Fence, events *reporter, m *Metrics) *poolWriter {
	return &poolWriter{
		statusWriter: statusWriter[string]{client: c, fence: fence, kind: "pool", failures: m.WriteErrors.WithLabelValues("pool"), retries: newRetries[string]()},
		namespace:    namespace, events: events, usage: map[string]allocate.Usage{}, due: map[string]time.Time{},
		queue: workqueue.NewTypedDelayingQueue[string](),
	}
}

// set makes the statuses say what the plan found, soon.
func (w *poolWriter) set(pools []allocate.Usage, have map[string]*v1beta1.IPAddressPool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.usage = make(map[string]allocate.Usage, len(pools))
	for _, u := range pools {
		w.usage[u.Pool] = u
		if p := have[u.Pool]; p != nil && !apiequality.Semantic.DeepEqual(poolStatus(p, u, metav1.Now()), p.Status) {
			w.queue.Add(u.Pool)
		}
	}
	maps.DeleteFunc(w.due, func(name string, _ time.Time) bool { _, there := w.usage[name]; return !there })
}

// Start sends until ctx ends, and returns when the last write has.
func (w *poolWriter) Start(ctx context.Context) error {
	serve(ctx, w.queue, 1, w.next)
	return nil
}

// next sends the status of one pool, if it must.
func (w *poolWriter) next(ctx context.Context, name string) {
	w.mu.Lock()
	u, ok := w.usage[name]
	wait := time.Until(w.due[name])
	w.mu.Unlock()
	switch {
	case !ok:
		w.retries.Forget(name)
		return
	case wait > 0:
		w.queue.AddAfter(name, wait)
		return
	}
	switch w.write(ctx, name, u) {
	case accepted:
		w.retries.Forget(name)
		w.rest(name, poolRest)
		select {
		case <-ctx.Done():
		case <-time.After(poolGap):
		}
	case noChange:
		w.retries.Forget(name)
	default:
		w.rest(name, w.retries.When(name))
		w.queue.Add(name)
	}
}

// rest lets the pool's next write wait.
func (w *poolWriter) rest(name string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due[name] = time.Now().Add(d)
}

// write makes the status of a pool as u says. There is nothing to do when it is, and when the pool has gone.
func (w *poolWriter) write(ctx context.Context, name string, u allocate.Usage) outcome {
	var p v1beta1.IPAddressPool
	err := w.client.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: name}, &p)
	switch {
	case apierrors.IsNotFound(err):
		return noChange
	case err != nil:
		w.failed(ctx, name, fmt.Errorf("reading the pool: %w", err))
		return refused
	}
	status := poolStatus(&p, u, metav1.Now())
	if apiequality.Semantic.DeepEqual(status, p.Status) {
		return noChange
	}
	if err := w.patch(ctx, &p, status); err != nil {
		if w.failed(ctx, name, err) {
			w.events.notWritten(&p, err)
		}
		return judge(err)
	}
	w.events.pool(ctx, &p, status)
	return accepted
}

// patch sends a status to the API server, for the version of the pool that it was made for.
func (w *poolWriter) patch(ctx context.Context, p *v1beta1.IPAddressPool, status v1beta1.IPAddressPoolStatus) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": p.ResourceVersion},
		"status":   patchOf(status),
	})
	if err != nil {
		return fmt.Errorf("encoding the status: %w", err)
	}
	after := &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}
	return w.send(ctx, after, types.MergePatchType, patch)
}

// poolStatus is the status of p as u says. Conditions of others are kept: a merge patch replaces the whole list. So are the
// conflicts that speakers report, until they end: one may be newer than the plan.
func poolStatus(p *v1beta1.IPAddressPool, u allocate.Usage, now metav1.Time) v1beta1.IPAddressPoolStatus {
	s := v1beta1.IPAddressPoolStatus{
		AssignedIPv4: u.AssignedIPv4, AssignedIPv6: u.AssignedIPv6,
		AvailableIPv4: u.AvailableIPv4, AvailableIPv6: u.AvailableIPv6,
		Retained: kube.RetainedStatus(u.Retained), Conflicts: kube.ConflictStatus(cluster.Conflicts(p, now.Time)),
		Conditions: append([]metav1.Condition(nil), p.Status.Conditions...),
	}
	for _, state := range u.States() {
		status := metav1.ConditionFalse
		if state.Holds {
			status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{
			Type: state.Type, Status: status, Reason: string(state.Reason), Message: shorten(state.Message, maxMessage),
			ObservedGeneration: p.Generation, LastTransitionTime: now,
		})
	}
	return s
}

// patchOf names every field, so that a list that has become empty is removed.
func patchOf(s v1beta1.IPAddressPoolStatus) map[string]any {
	return map[string]any{
		"assignedIPv4": s.AssignedIPv4, "assignedIPv6": s.AssignedIPv6,
		"availableIPv4": s.AvailableIPv4, "availableIPv6": s.AvailableIPv6,
		"retained": s.Retained, "conflicts": s.Conflicts, "conditions": s.Conditions,
	}
}

// shorten cuts a text to at most n bytes.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}
