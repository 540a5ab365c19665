package speaker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	// statusWriters is how many objects are written at a time.
	statusWriters = 4
	// statusTimeout bounds one write.
	statusTimeout = 5 * time.Second
	// statusRetryMin and statusRetryMax bound the doubling wait after a write that failed.
	statusRetryMin = 500 * time.Millisecond
	statusRetryMax = 30 * time.Second
	// cacheLag is how long an object that we created may be missing from the cache before it counts as deleted.
	cacheLag = 5 * time.Second
)

// statusWriter keeps the ServiceL2Status objects of this node as the loop last said they should be. Its goroutine does the writing;
// set only stores what is wanted, so the API server can be slow or away without the loop noticing.
type statusWriter struct {
	client    client.Client
	node      string
	namespace string
	podName   string
	log       logr.Logger
	errors    prometheus.Counter
	wake      chan struct{} // one slot

	busy chan struct{} // holds a token while nobody reconciles

	mu   sync.Mutex
	want *wanted // nil until the loop has decided for the first time
	// What we wrote and the cache may not show yet, by UID.
	created map[types.UID]written
	patched map[types.UID]written
	removed map[types.UID]bool
}

// written is an object as we wrote it.
type written struct {
	object v1beta1.ServiceL2Status
	over   string // patched: the resourceVersion that it replaced
	at     time.Time
}

func newStatusWriter(c client.Client, o Options, errs prometheus.Counter) *statusWriter {
	w := &statusWriter{client: c, node: o.Node, namespace: o.Namespace, podName: o.PodName, log: o.Log.WithName("status"), errors: errs,
		wake: make(chan struct{}, 1), busy: make(chan struct{}, 1),
		created: map[types.UID]written{}, patched: map[types.UID]written{}, removed: map[types.UID]bool{}}
	w.busy <- struct{}{}
	return w
}

// set says what the objects should be from now on.
func (w *statusWriter) set(want wanted) {
	w.mu.Lock()
	w.want = &want
	w.mu.Unlock()
	w.poke()
}

func (w *statusWriter) poke() { poke(w.wake) }

// Run writes until ctx ends.
func (w *statusWriter) Run(ctx context.Context) error {
	retry := statusRetryMin
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-again:
		}
		again = nil
		wait, err := w.reconcile(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			w.errors.Inc()
			w.log.V(1).Info("writing status objects again later", "reason", err.Error(), "duration", retry)
			again = time.After(retry)
			retry = min(2*retry, statusRetryMax)
		case wait > 0:
			again = time.After(wait)
			fallthrough
		default:
			retry = statusRetryMin
		}
	}
}

// reconcile makes the objects what they should be, one caller at a time. It returns when to look again without being woken.
func (w *statusWriter) reconcile(ctx context.Context) (time.Duration, error) {
	select {
	case <-w.busy:
		defer func() { w.busy <- struct{}{} }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	w.mu.Lock()
	want := w.want
	w.mu.Unlock()
	if want == nil {
		return 0, nil
	}
	owner := w.owner(ctx)
	have, err := w.list(ctx)
	if err != nil {
		return 0, err
	}
	p := planStatus(w.node, owner, *want, have, time.Now())
	err = w.carryOut(ctx, p, owner, *want)
	if len(p.create) > 0 { // one that somebody deletes before the cache has shown it would never wake us
		p.wait = max(p.wait, cacheLag+time.Second)
	}
	return p.wait, err
}

// carryOut does what is planned, some at a time. One object that cannot be written does not hold up the others.
func (w *statusWriter) carryOut(ctx context.Context, p statusPlan, owner []metav1.OwnerReference, want wanted) error {
	var g errgroup.Group
	g.SetLimit(statusWriters)
	failed := make([]error, len(p.remove)+len(p.update)+len(p.create))
	n := 0
	do := func(f func() error) {
		i := n
		n++
		g.Go(func() error { failed[i] = f(); return nil })
	}
	for _, o := range p.remove {
		do(func() error { return w.remove(ctx, o) })
	}
	for _, o := range p.update {
		_, name := statusOf(o)
		do(func() error { return w.patch(ctx, o, name, want.services[name]) })
	}
	for _, name := range p.create {
		do(func() error { return w.create(ctx, owner, name, want.services[name]) })
	}
	_ = g.Wait() // the errors are in failed
	return errors.Join(failed...)
}

// owner returns the reference to our Pod, or none when there is no such Pod.
func (w *statusWriter) owner(ctx context.Context) []metav1.OwnerReference {
	if w.podName == "" {
		return nil
	}
	var pod corev1.Pod
	if err := w.client.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: w.podName}, &pod); err != nil {
		return nil
	}
	return controlledBy(&pod)
}

// list returns the objects as the cache has them, with what we wrote since.
func (w *statusWriter) list(ctx context.Context) ([]v1beta1.ServiceL2Status, error) {
	var list v1beta1.ServiceL2StatusList
	if err := w.client.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
		return nil, fmt.Errorf("listing ServiceL2Status: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.overlayLocked(list.Items, time.Now()), nil
}

// overlayLocked puts our own writes over what the cache shows, and forgets those that it shows by now.
func (w *statusWriter) overlayLocked(cached []v1beta1.ServiceL2Status, now time.Time) []v1beta1.ServiceL2Status {
	shown := map[types.UID]bool{}
	var out []v1beta1.ServiceL2Status
	for _, o := range cached {
		shown[o.UID] = true
		if w.removed[o.UID] {
			continue
		}
		if p, ok := w.patched[o.UID]; ok && p.over == o.ResourceVersion {
			o = p.object
		}
		out = append(out, o)
	}
	for uid, c := range w.created {
		switch {
		case shown[uid] || now.Sub(c.at) > cacheLag:
			delete(w.created, uid)
		case !w.removed[uid]:
			if p, ok := w.patched[uid]; ok {
				c = p
			}
			out = append(out, c.object)
		}
	}
	for uid, p := range w.patched {
		if now.Sub(p.at) > cacheLag {
			delete(w.patched, uid)
		}
	}
	for uid := range w.removed {
		if _, pending := w.created[uid]; !shown[uid] && !pending {
			delete(w.removed, uid)
		}
	}
	return out
}

func (w *statusWriter) create(ctx context.Context, owner []metav1.OwnerReference, name lb.Name, interfaces []string) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	o := newStatus(w.namespace, w.node, owner, name)
	if err := w.client.Create(ctx, o); err != nil {
		return fmt.Errorf("creating ServiceL2Status for %s: %w", name, err)
	}
	w.mu.Lock()
	w.created[o.UID] = written{object: *o, at: time.Now()}
	w.mu.Unlock()
	return w.patch(ctx, *o, name, interfaces)
}

// patch writes the status of an object. A merge patch replaces the list of interfaces as a whole. An object that is gone is no
// error: its disappearance wakes us.
func (w *statusWriter) patch(ctx context.Context, o v1beta1.ServiceL2Status, name lb.Name, interfaces []string) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{"status": statusFields(w.node, name, interfaces)})
	if err != nil {
		return fmt.Errorf("encoding the status of %s: %w", name, err)
	}
	target := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
	if err := w.client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, body)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing ServiceL2Status %s for %s: %w", o.Name, name, err)
	} else if err != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patched[o.UID] = written{object: *target, over: o.ResourceVersion, at: time.Now()}
	return nil
}

func (w *statusWriter) remove(ctx context.Context, o v1beta1.ServiceL2Status) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	target := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
	if err := w.client.Delete(ctx, target, client.Preconditions{UID: &o.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting ServiceL2Status %s: %w", o.Name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed[o.UID] = true
	return nil
}

// announced returns the Services that our objects named when we started.
func (w *statusWriter) announced(ctx context.Context) (map[lb.Name]bool, error) {
	list, err := w.list(ctx)
	if err != nil {
		return nil, err
	}
	out := map[lb.Name]bool{}
	for _, o := range list {
		if node, name := statusOf(o); node == w.node {
			out[name] = true
		}
	}
	return out, nil
}

// removeAll deletes our objects, as far as ctx allows. The writer must not be wanted any more.
func (w *statusWriter) removeAll(ctx context.Context) {
	w.mu.Lock()
	alive := map[string]bool{}
	if w.want != nil {
		alive = w.want.alive
	}
	w.want = &wanted{alive: alive}
	w.mu.Unlock()
	if _, err := w.reconcile(ctx); err != nil {
		w.log.V(1).Info("leaving status objects behind", "reason", err.Error())
	}
}
