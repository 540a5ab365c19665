package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
)

var services = schema.GroupResource{Resource: "services"}

// bench is a writer on a fake API server; fail decides the fate of each status patch by the name of the Service.
type bench struct {
	writer  *writer
	client  client.Client
	events  *events.FakeRecorder
	metrics *Metrics
}

func newBench(t *testing.T, fail func(name string) error, objects ...client.Object) *bench {
	t.Helper()
	c := newAPI(t, func(ctx context.Context, name string, apply func() error) error {
		if err := errors.Join(fail(name), ctx.Err()); err != nil {
			return err // ctx: the client has given up meanwhile
		}
		return apply()
	}, objects...)
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	recorder := events.NewFakeRecorder(100)
	return &bench{writer: newWriter(c, held(), &reporter{recorder: recorder}, m), client: c, events: recorder, metrics: m}
}

// newAPI returns a client of a fake API server that has the objects. Each status patch goes through patch, where apply is
// what the server does. One that is accepted without it changes nothing.
func newAPI(t *testing.T, patch func(ctx context.Context, name string, apply func() error) error, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1beta1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&corev1.Service{}, &v1beta1.IPAddressPool{}).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				applied := false
				err := patch(ctx, obj.GetName(), func() error {
					applied = true
					if err := c.SubResource(sub).Patch(context.WithoutCancel(ctx), obj, p, opts...); err != nil {
						return err
					}
					return annotate(c, obj, p)
				})
				if err != nil || applied {
					return err
				}
				return c.Get(context.WithoutCancel(ctx), client.ObjectKeyFromObject(obj), obj)
			},
		}).Build()
}

// annotate does what the real API server does with a patch of the status and the fake one does not: it changes annotations.
func annotate(c client.Client, obj client.Object, p client.Patch) error {
	var sent struct {
		Metadata struct {
			Annotations map[string]any `json:"annotations,omitempty"`
		} `json:"metadata"`
	}
	data, err := p.Data(obj)
	if err == nil {
		err = json.Unmarshal(data, &sent)
	}
	if err != nil || len(sent.Metadata.Annotations) == 0 {
		return err
	}
	if data, err = json.Marshal(sent); err != nil {
		return err
	}
	return c.Patch(context.Background(), obj, client.RawPatch(types.MergePatchType, data))
}

// held is a fence that lets everything through.
func held() *Fence {
	return &Fence{until: time.Now().Add(24 * time.Hour)}
}

func (b *bench) get(t *testing.T, name string) *corev1.Service {
	t.Helper()
	var svc corev1.Service
	if err := b.client.Get(context.Background(), client.ObjectKey{Namespace: "default", Name: name}, &svc); err != nil {
		t.Fatal(err)
	}
	return &svc
}

// run starts the writer in a bubble of virtual time, lets do work, and ends it.
func (b *bench) run(t *testing.T, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.writer.Start(ctx) }()
	do()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOneThatCannotBeWrittenHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var denied atomic.Bool
		var attempts atomic.Int64
		denied.Store(true)
		a, z := service("denied"), service("fine")
		b := newBench(t, func(name string) error {
			if name != "denied" {
				return nil
			}
			attempts.Add(1)
			if denied.Load() {
				return apierrors.NewForbidden(services, name, errors.New("by a policy"))
			}
			return nil
		}, &a, &z)
		b.run(t, func() {
			b.writer.set(b.get(t, "denied"), give("192.0.2.1"), allocate.Assignment{})
			b.writer.set(b.get(t, "fine"), give("192.0.2.2"), allocate.Assignment{})
			synctest.Wait()
			if got, _ := current(b.get(t, "fine")); len(got.ingress) != 1 {
				t.Error("the Service beside the denied one has no address")
			}
			time.Sleep(10 * time.Second)
			if n := attempts.Load(); n < 4 || n > 9 {
				t.Errorf("%d attempts in 10 s, want a growing delay from 100 ms on", n)
			}
			denied.Store(false)
			time.Sleep(10 * time.Second)
			if got, _ := current(b.get(t, "denied")); len(got.ingress) != 1 {
				t.Error("the Service is not served after the policy has gone")
			}
		})
		if n := testutil.ToFloat64(b.metrics.WriteErrors.WithLabelValues("service")); int64(n) != attempts.Load()-1 {
			t.Errorf("write errors = %v, want %d", n, attempts.Load()-1)
		}
		wantEvents(t, b.events, eventNotWritten, eventAllocated, eventAllocated)
	})
}

func TestNothingIsSentWithoutTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := service("s")
		var attempts atomic.Int64
		b := newBench(t, func(string) error { attempts.Add(1); return nil }, &svc)
		b.writer.fence = &Fence{}
		b.run(t, func() {
			b.writer.set(b.get(t, "s"), give("192.0.2.1"), allocate.Assignment{})
			time.Sleep(time.Minute)
		})
		if n := attempts.Load(); n != 0 {
			t.Errorf("%d writes were sent by a replica that does not hold the lease", n)
		}
		wantEvents(t, b.events)
	})
}

func TestJudgeKnowsWhatMayHaveHappened(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want outcome
	}{
		{"forbidden", apierrors.NewForbidden(services, "s", errors.New("no")), refused},
		{"invalid", apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "s", nil), refused},
		{"too many requests", apierrors.NewTooManyRequests("later", 1), refused},
		{"not sent at all", fmt.Errorf("writing: %w", errFenced), refused},
		{"a conflict", fmt.Errorf("writing: %w", apierrors.NewConflict(services, "s", errors.New("newer"))), refused},
		{"gone", apierrors.NewNotFound(services, "s"), refused},
		{"a proxy's timeout, which has a code of the client's faults",
			&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusRequestTimeout, Reason: metav1.StatusReasonTimeout}}, unknown},
		{"internal error", apierrors.NewInternalError(errors.New("etcd")), unknown},
		{"server timeout", apierrors.NewServerTimeout(services, "patch", 1), unknown},
		{"our own deadline", fmt.Errorf("patch: %w", context.DeadlineExceeded), unknown},
		{"a broken connection", errors.New("connection reset by peer"), unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(c.err); got != c.want {
				t.Errorf("judge = %v, want %v", got, c.want)
			}
		})
	}
}
