package speaker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

const (
	// statusWriters is how many objects are written at a time.
	statusWriters = 4
	// cacheLag is how long an object that we created may be missing from the cache before it counts as deleted.
	cacheLag = 5 * time.Second
)

// statusWriter keeps the ServiceL2Status objects as the loop last said they should be. Its goroutine does the writing; set only
// stores what is wanted, so the API server can be slow or away without the loop noticing. The objects outlive the process: who
// owns the address next writes over them, and what nobody needs any more is deleted by those who live (see planStatus).
type statusWriter struct {
	client    client.Client
	node      string
	namespace string
	log       logr.Logger
	errors    prometheus.Counter
	wake      chan struct{}   // one slot
	news      chan<- struct{} // optional, one slot: woken when macs has changed

	mu   sync.Mutex
	want *wanted // nil until the loop has decided for the first time, and after the last
	// What we wrote, by name, and deleted, by UID: the cache may not show it yet.
	wrote   map[string]written
	removed map[types.UID]bool
	odd     map[oddity]time.Time // of the last plan
	learned learned
}

// written is an object as we wrote it.
type written struct {
	object v1beta1.ServiceL2Status
	over   string // the resourceVersion that it replaced; empty when we created it
	at     time.Time
}

func newStatusWriter(c client.Client, o Options, errs prometheus.Counter) *statusWriter {
	return &statusWriter{client: c, node: o.Node, namespace: o.Namespace, log: o.Log.WithName("status"), errors: errs,
		wake: make(chan struct{}, 1), wrote: map[string]written{}, removed: map[types.UID]bool{}, learned: learned{}}
}

// set says what the objects should be from now on.
func (w *statusWriter) set(want wanted) {
	w.mu.Lock()
	w.want = &want
	w.mu.Unlock()
	w.poke()
}

// rest ends the writing: the objects are for others from now on, and stay as they are.
func (w *statusWriter) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want = nil
}

func (w *statusWriter) poke() { poke(w.wake) }

// Run writes until ctx ends.
func (w *statusWriter) Run(ctx context.Context) error {
	keepWriting(ctx, w.wake, w.reconcile, func(err error, retry time.Duration) {
		w.errors.Inc()
		w.log.V(1).Info("writing status objects again later", "reason", err.Error(), "duration", retry)
	})
	return nil
}

// reconcile makes the objects what they should be. It returns when to look again without being woken. It is for one goroutine.
func (w *statusWriter) reconcile(ctx context.Context) (time.Duration, error) {
	w.mu.Lock()
	want := w.want
	w.mu.Unlock()
	if want == nil {
		return 0, nil
	}
	have, err := w.list(ctx)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	w.mu.Lock()
	if w.learned.learn(have, w.node, now) {
		poke(w.news)
	}
	past := statusPast{wrote: make(map[string]time.Time, len(w.wrote)), odd: w.odd}
	for name, o := range w.wrote {
		past.wrote[name] = o.at
	}
	p := planStatus(w.node, *want, have, past, now)
	w.odd = p.odd
	w.mu.Unlock()
	if len(p.write) > 0 { // one that somebody deletes before the cache has shown it would never wake us
		p.later(cacheLag + time.Second)
	}
	return p.wait, w.carryOut(ctx, p, have)
}

// carryOut does what is planned, some at a time. An object that the API server refuses does not hold up the others; a server that
// does not answer ends the round, or a long list would be tried for hours.
func (w *statusWriter) carryOut(ctx context.Context, p statusPlan, have []v1beta1.ServiceL2Status) error {
	var g errgroup.Group
	g.SetLimit(statusWriters)
	var away atomic.Bool
	failed := make(chan error, len(p.remove)+len(p.write))
	do := func(f func(context.Context) error) {
		g.Go(func() error {
			if away.Load() || ctx.Err() != nil {
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, writeTimeout)
			defer cancel()
			if err := f(ctx); err != nil {
				if apierrors.ReasonForError(err) == metav1.StatusReasonUnknown {
					away.Store(true)
				}
				failed <- err
			}
			return nil
		})
	}
	byName := make(map[string]*v1beta1.ServiceL2Status, len(have))
	for i := range have {
		byName[have[i].Name] = &have[i]
	}
	for _, name := range p.write {
		do(func(ctx context.Context) error { return w.write(ctx, name, byName[name]) })
	}
	for _, o := range p.remove {
		do(func(ctx context.Context) error { return w.remove(ctx, o) })
	}
	_ = g.Wait() // the errors are in failed
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	return errors.Join(all...)
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

// overlayLocked puts our own writes over what the cache shows, and forgets those that do not matter any more.
func (w *statusWriter) overlayLocked(cached []v1beta1.ServiceL2Status, now time.Time) []v1beta1.ServiceL2Status {
	names, uids := make(map[string]bool, len(cached)), make(map[types.UID]bool, len(cached))
	out := make([]v1beta1.ServiceL2Status, 0, len(cached))
	for _, o := range cached {
		uids[o.UID] = true
		if w.removed[o.UID] {
			continue
		}
		names[o.Name] = true
		if ours, ok := w.wrote[o.Name]; ok && ours.over == o.ResourceVersion {
			o = ours.object
		}
		out = append(out, o)
	}
	for name, o := range w.wrote {
		age := now.Sub(o.at)
		if o.over == "" && !names[name] && age <= cacheLag {
			out = append(out, o.object)
		}
		if age > patience {
			delete(w.wrote, name)
		}
	}
	for uid := range w.removed {
		if !uids[uid] {
			delete(w.removed, uid)
		}
	}
	return out
}

// write makes an object say what is wanted of it now, which may be something else than when the round was planned. old is the
// object that is there, nil when there is none.
func (w *statusWriter) write(ctx context.Context, name string, old *v1beta1.ServiceL2Status) error {
	w.mu.Lock()
	var want v1beta1.ServiceL2StatusStatus
	ours := false
	if w.want != nil {
		want, ours = w.want.ours[name]
	}
	w.mu.Unlock()
	if !ours {
		return nil
	}
	over := ""
	if old != nil {
		over = old.ResourceVersion
	} else if err := w.client.Create(ctx, newStatus(w.namespace, name, w.node, want)); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating ServiceL2Status %s: %w", name, err)
	}
	target := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	if err := w.patch(ctx, target, want); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if target.UID != "" {
		w.wrote[name] = written{object: *target, over: over, at: time.Now()}
	}
	return nil
}

// patch writes the status of an object and, when another node's are on it, the labels, which are no part of the status. o is
// then as the API server has it. One that is gone is no error, and left without UID: its disappearance wakes us.
func (w *statusWriter) patch(ctx context.Context, o *v1beta1.ServiceL2Status, want v1beta1.ServiceL2StatusStatus) error {
	// Every field is named, so that a list that has become empty is removed.
	status, err := json.Marshal(map[string]any{"status": map[string]any{
		"node": want.Node, "serviceName": want.ServiceName, "serviceNamespace": want.ServiceNamespace,
		"interfaces": want.Interfaces, "addresses": want.Addresses, "macs": want.MACs,
	}})
	if err != nil {
		return fmt.Errorf("encoding the status of %s: %w", o.Name, err)
	}
	err = w.client.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, status))
	if err == nil && !sameLabels(*o, w.node, want) {
		labels, encoding := json.Marshal(map[string]any{"metadata": map[string]any{"labels": statusLabels(w.node, want)}})
		if encoding != nil {
			return fmt.Errorf("encoding the labels of %s: %w", o.Name, encoding)
		}
		err = w.client.Patch(ctx, o, client.RawPatch(types.MergePatchType, labels))
	}
	switch {
	case apierrors.IsNotFound(err):
		o.UID = ""
	case err != nil:
		return fmt.Errorf("writing ServiceL2Status %s: %w", o.Name, err)
	}
	return nil
}

// remove deletes an object, unless somebody has written to it meanwhile: then it is somebody's.
func (w *statusWriter) remove(ctx context.Context, o v1beta1.ServiceL2Status) error {
	target := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
	err := w.client.Delete(ctx, target, client.Preconditions{UID: &o.UID, ResourceVersion: &o.ResourceVersion})
	if apierrors.IsConflict(err) {
		return nil // the cache will show it, and wake us
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting ServiceL2Status %s: %w", o.Name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed[o.UID] = true
	delete(w.wrote, o.Name)
	return nil
}
