package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
)

// shelf is a reader with fixed lists.
type shelf struct {
	client.Reader
	services   []corev1.Service
	pools      []v1beta1.IPAddressPool
	namespaces []corev1.Namespace
	err        error             // of the list of fails
	fails      client.ObjectList // only its type counts; nil: none
}

func (s *shelf) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *corev1.ServiceList:
		l.Items = append([]corev1.Service(nil), s.services...)
	case *v1beta1.IPAddressPoolList:
		l.Items = append([]v1beta1.IPAddressPool(nil), s.pools...)
	case *corev1.NamespaceList:
		l.Items = append([]corev1.Namespace(nil), s.namespaces...)
	default:
		return fmt.Errorf("no list of %T", list)
	}
	if reflect.TypeOf(list) == reflect.TypeOf(s.fails) {
		return s.err
	}
	return nil
}

func service(name string) corev1.Service {
	return corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.1"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports: []corev1.ServicePort{{Port: 80}},
		},
	}
}

func newPool(name string, addresses ...string) v1beta1.IPAddressPool {
	return v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: name},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: addresses},
	}
}

// newPlanner returns a planner over a shelf, with writers that were not started: what it wants to write stays in flight.
func newPlanner(tb testing.TB, s *shelf) *planner {
	tb.Helper()
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	w := newWriter(nil, &Fence{}, nil, m)
	pools := newPoolWriter(nil, "metallb-system", &Fence{}, nil, m)
	tb.Cleanup(func() { w.queue.ShutDown(); pools.queue.ShutDown() })
	return &planner{
		lister:  &lister{reader: s, namespace: "metallb-system"},
		barrier: &barrier{open: true},
		writer:  w,
		pools:   pools,
		metrics: m,
		now:     time.Now,
	}
}

// TestWhatAPlanAnswersItsQueue has, with TestAFailedListIsNoEmptyWorld, the outcomes that MetalLB's TestServiceController and
// TestPoolController tell apart: done, try again, a user's mistake, and not before the first load.
func TestWhatAPlanAnswersItsQueue(t *testing.T) {
	waits, mistaken := service("s"), service("s")
	mistaken.Annotations = map[string]string{v1beta1.AnnotationLoadBalancerIPs: "none"}
	pools := []v1beta1.IPAddressPool{newPool("p", "192.0.2.0/24")}
	pools[0].ResourceVersion = "1"
	newer := waits
	newer.ResourceVersion = "2"
	for _, c := range []struct {
		name   string
		cached corev1.Service
		live   *shelf // what a new leader finds; nil: it has led for long
		fails  bool
		again  time.Duration
		wants  string // the condition that is on its way
	}{
		{"served", waits, nil, false, 0, "Allocated"},
		{"a user's mistake is said, and not tried again", mistaken, nil, false, 0, string(kube.ReasonInvalidRequest)},
		{"the first load fails", waits, &shelf{fails: &corev1.ServiceList{}, err: errors.New("no answer")}, true, 0, ""},
		{"the first load has more than the cache", waits, &shelf{services: []corev1.Service{newer}, pools: pools}, false, barrierPause, ""},
		{"the first load has what the cache has", waits, &shelf{services: []corev1.Service{waits}, pools: pools}, false, 0, "Allocated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlanner(t, &shelf{services: []corev1.Service{c.cached}, pools: pools})
			if c.live != nil {
				p.barrier = &barrier{live: c.live, unsettled: (&Fence{}).unsettled, now: time.Now}
			}
			r, err := p.Reconcile(t.Context(), reconcile.Request{})
			if (err != nil) != c.fails || r.RequeueAfter != c.again {
				t.Errorf("error %v, again after %v; want an error: %v, again after %v", err, r.RequeueAfter, c.fails, c.again)
			}
			got := ""
			if w := p.writer.flights.writes[nameOf(&c.cached)]; w != nil {
				got = w.want.reason
			}
			if got != c.wants {
				t.Errorf("condition %q is on its way, want %q", got, c.wants)
			}
		})
	}
}

func TestAServiceThatIsBeingDeletedIsNotWritten(t *testing.T) {
	goes := holding("1", "192.0.2.1")
	goes.DeletionTimestamp = &metav1.Time{Time: time.Unix(1000, 0)}
	next := service("next")
	p := newPlanner(t, &shelf{services: []corev1.Service{*goes, next}, pools: []v1beta1.IPAddressPool{newPool("p", "192.0.2.1/32")}})
	if _, err := p.Reconcile(t.Context(), reconcile.Request{}); err != nil {
		t.Fatal(err)
	}
	if w := p.writer.flights.writes[nameOf(goes)]; w != nil {
		t.Errorf("%+v is to be written", w.want)
	}
	if w := p.writer.flights.writes[nameOf(&next)]; w == nil || len(w.want.ingress) != 0 {
		t.Errorf("the next has %+v, want a condition alone: the address is held until the Service is gone", w)
	}
}

func TestAnAddressIsNotWrittenToTheNextBeforeItsReleaseIs(t *testing.T) {
	mover, waits := holding("1", "192.0.2.1"), service("waits")
	mover.Annotations = map[string]string{v1beta1.AnnotationLoadBalancerIPs: "198.51.100.1"}
	waits.Annotations = map[string]string{v1beta1.AnnotationAddressPool: "p"}
	s := &shelf{services: []corev1.Service{*mover, waits}, pools: []v1beta1.IPAddressPool{newPool("p", "192.0.2.1/32"), newPool("q", "198.51.100.1/32")}}
	p := newPlanner(t, s)
	wanted := func() string {
		p.notBefore = time.Time{}
		if _, err := p.Reconcile(t.Context(), reconcile.Request{}); err != nil {
			t.Fatal(err)
		}
		if w := p.writer.flights.writes[nameOf(&waits)]; w != nil {
			return joined(w.want.ingress, ",")
		}
		return ""
	}
	if got := wanted(); got != "" {
		t.Errorf("%s is written to the next while the release waits", got)
	}
	w, _, _ := p.writer.flights.begin(nameOf(mover))
	if got := wanted(); got != "" {
		t.Errorf("%s is written to the next while the release is under way", got)
	}
	p.writer.flights.end(w, accepted)
	if got := wanted(); got != "192.0.2.1" {
		t.Errorf("after the release %q is written to the next, want 192.0.2.1", got)
	}
}

// BenchmarkReconcile10000 is everything that one wake-up costs beside the API server, in a settled cluster.
func BenchmarkReconcile10000(b *testing.B) {
	s := &shelf{pools: []v1beta1.IPAddressPool{newPool("p", "10.0.0.0/8")}}
	for i := range 10000 {
		svc := service(fmt.Sprintf("s%05d", i))
		ip := fmt.Sprintf("10.0.%d.%d", i>>8, i&255)
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: ip}}
		svc.Annotations = map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"}
		svc.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionAllocated, Status: "True", Reason: "Allocated", Message: ip + " from pool p"}}
		s.services = append(s.services, svc)
	}
	p := newPlanner(b, s)
	b.ReportAllocs()
	for b.Loop() {
		p.notBefore = time.Time{}
		if _, err := p.Reconcile(context.Background(), reconcile.Request{}); err != nil {
			b.Fatal(err)
		}
	}
	if n := p.writer.flights.size(); n != 0 {
		b.Fatalf("%d writes wanted in a settled cluster", n)
	}
}
