package controllers

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// statusWriter is the only way from here to the API server's store: it sends patches of statuses, and nothing when the lease
// may be somebody else's before the answer is there.
type statusWriter[T comparable] struct {
	client   client.Client
	fence    *Fence
	kind     string // of the objects, in the log
	failures prometheus.Counter
	retries  *retries[T] // by the key of the objects
}

// send patches the status of obj, which needs a name only and becomes what the API server answers.
func (w statusWriter[T]) send(ctx context.Context, obj client.Object, kind types.PatchType, patch []byte) error {
	err := w.fence.send(ctx, func(ctx context.Context) error {
		return w.client.Status().Patch(ctx, obj, client.RawPatch(kind, patch))
	})
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// failed counts a failed write, and logs it. It returns whether the user should be told too, which is once in a row of failures. It
// is called before the next try gets its delay. Not counted is what nobody has to mend: we are stopping, the lease ends, or the
// object was overtaken once.
func (w statusWriter[T]) failed(ctx context.Context, object T, err error) (tell bool) {
	first := w.retries.NumRequeues(object) == 0
	if ctx.Err() != nil || errors.Is(err, errFenced) || first && overtaken(err) {
		return false
	}
	w.failures.Inc()
	tell = w.retries.tell(object)
	if logger := log.FromContext(ctx).WithValues(w.kind, fmt.Sprint(object), "reason", err.Error()); tell {
		logger.Info("cannot write a status, trying again")
	} else {
		logger.V(1).Info("writing a status failed again")
	}
	return tell
}

// overtaken says that the object seems to have changed or gone since the write was decided on. Then the cache is about to show
// that, and the write of the old version is forgotten. One that fails like that again is another matter: a webhook denies with
// this code, or the cache is far behind.
func overtaken(err error) bool { return apierrors.IsConflict(err) || apierrors.IsNotFound(err) }

// judge says what is known of a failed write: a status from the API server that blames the request means that nothing was
// done; a timeout, a broken connection or an internal error may hide a write that happened.
func judge(err error) outcome {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, errFenced):
		return refused
	case errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500 && !apierrors.IsTimeout(err):
		return refused
	}
	return unknown
}
