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
type statusWriter struct {
	client   client.Client
	fence    *Fence
	kind     string // of the objects, in the log
	failures prometheus.Counter
}

// send patches the status of obj, which needs a name only and becomes what the API server answers.
func (w statusWriter) send(ctx context.Context, obj client.Object, kind types.PatchType, patch []byte) error {
	err := w.fence.send(ctx, func(ctx context.Context) error {
		return w.client.Status().Patch(ctx, obj, client.RawPatch(kind, patch))
	})
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// failed counts a failed write and logs the first of a row; again says that there was one before. It returns whether the user
// should be told. What is no fault of the object is not told here: we are stopping, the lease ends, or the object is not what
// it was when the write was decided on.
func (w statusWriter) failed(ctx context.Context, name string, err error, again bool) (tell bool) {
	if ctx.Err() != nil || errors.Is(err, errFenced) || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false
	}
	w.failures.Inc()
	if logger := log.FromContext(ctx); again {
		logger.V(1).Info("writing a status failed again", w.kind, name, "reason", err.Error())
	} else {
		logger.Info("cannot write a status, trying again", w.kind, name, "reason", err.Error())
	}
	return !again
}

// judge says what is known of a failed write: a status from the API server that blames the request means that nothing was
// done; a timeout, a broken connection or an internal error may hide a write that happened.
func judge(err error) outcome {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, errFenced):
		return refused
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return overtaken
	case errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500 && !apierrors.IsTimeout(err):
		return refused
	}
	return unknown
}
