package controllers

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestConcerns(t *testing.T) {
	class := "steel"
	with := func(f func(*corev1.Service)) *corev1.Service {
		svc := service("s")
		f(&svc)
		return &svc
	}
	mark := map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"}
	for _, c := range []struct {
		name  string
		svc   *corev1.Service
		class string
		want  bool
	}{
		{"ours", with(func(*corev1.Service) {}), "", true},
		{"ours by class", with(func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }), "steel", true},
		{"of another class", with(func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }), "", false},
		{"of another class while we have a class", with(func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }), "another", false},
		{"of another class, with our marks: untouched", with(func(s *corev1.Service) { s.Spec.LoadBalancerClass, s.Annotations = &class, mark }), "", false},
		{"classless while we have a class", with(func(*corev1.Service) {}), "steel", false},
		{"no load balancer", with(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }), "", false},
		{"no load balancer any more, marked by annotation", with(func(s *corev1.Service) { s.Spec.Type, s.Annotations = corev1.ServiceTypeClusterIP, mark }), "steel", true},
		{"no load balancer any more, marked by condition", with(func(s *corev1.Service) {
			s.Spec.Type = corev1.ServiceTypeClusterIP
			s.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionAllocated}}
		}), "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := cluster.Concerns(c.svc, c.class); got != c.want {
				t.Errorf("concerns = %v, want %v", got, c.want)
			}
			trimmed, err := trimService(c.class)(c.svc.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			if got := cluster.Concerns(trimmed.(*corev1.Service), c.class); got != c.want {
				t.Errorf("after trimming, concerns = %v, want %v", got, c.want)
			}
			again := trimmed.(*corev1.Service).DeepCopy()
			old := service("old")
			old.Spec.Type = corev1.ServiceTypeClusterIP
			if got := concerning(c.class).Update(event.UpdateEvent{ObjectOld: &old, ObjectNew: again}); got != c.want {
				t.Errorf("an update wakes the plan: %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheCacheHoldsWhatAPlanNeeds(t *testing.T) {
	svc := service("s")
	svc.Labels = map[string]string{"app": "web"}
	svc.Annotations = map[string]string{"metallb.io/address-pool": "p", "metallb.universe.tf/allow-shared-ip": "k", "large": "text"}
	svc.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	svc.Status.Conditions = []metav1.Condition{{Type: "Other"}, {Type: v1beta1.ConditionAllocated}}
	got, err := trimService("")(&svc)
	if err != nil {
		t.Fatal(err)
	}
	out := got.(*corev1.Service)
	if len(out.Annotations) != 2 || out.ManagedFields != nil || len(out.Status.Conditions) != 1 || out.Labels["app"] != "web" || out.ResourceVersion != "1" {
		t.Errorf("trimmed to %+v", out)
	}
	svc.Spec.Type = corev1.ServiceTypeClusterIP
	svc.Status.Conditions = nil
	got, err = trimService("")(&svc)
	if err != nil {
		t.Fatal(err)
	}
	if out := got.(*corev1.Service); out.Labels != nil || len(out.Spec.Ports) != 0 {
		t.Errorf("a Service that is none of ours is kept as %+v", out)
	}
	ns, err := trimNamespace(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"large": "text"}}})
	if err != nil || ns.(*corev1.Namespace).Labels["a"] != "b" || ns.(*corev1.Namespace).Annotations != nil {
		t.Errorf("namespace trimmed to %+v, %v", ns, err)
	}
}

func TestAFailedListIsNoEmptyWorld(t *testing.T) {
	for _, c := range []struct {
		name string
		of   client.ObjectList
	}{
		{"services", &corev1.ServiceList{}}, {"pools", &v1beta1.IPAddressPoolList{}}, {"namespaces", &corev1.NamespaceList{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &shelf{services: []corev1.Service{*holding("1", "192.0.2.1")}, err: errors.New("no answer"), fails: c.of}
			p := newPlanner(t, s)
			if _, err := p.Reconcile(context.Background(), reconcile.Request{}); err == nil {
				t.Error("no error, so it is not tried again")
			}
			if p.writer.flights.size() != 0 {
				t.Error("a release is wanted though a list failed")
			}
		})
	}
}

func TestOnlyPoolsOfOurNamespaceThatStayCount(t *testing.T) {
	ours, theirs, goes := newPool("ours", "192.0.2.0/24"), newPool("theirs", "198.51.100.0/24"), newPool("goes", "203.0.113.0/24")
	theirs.Namespace = "default"
	goes.Finalizers = []string{"example.com/slow"}
	api := newAPI(t, nil, &ours, &theirs, &goes)
	if err := api.Delete(context.Background(), &goes); err != nil {
		t.Fatal(err)
	}
	s, err := (&lister{reader: api, namespace: "metallb-system"}).list(context.Background())
	if err != nil || len(s.world.Pools) != 1 || s.world.Pools[0].Name != "ours" || len(s.pools) != 1 {
		t.Errorf("pools %+v (%v), want ours alone", s.world.Pools, err)
	}
}

func TestWhatAPlanLookedAtWakesItWhenItGoes(t *testing.T) {
	ours, none := service("s"), service("s")
	none.Spec.Type = corev1.ServiceTypeClusterIP
	for _, c := range []struct {
		name string
		wake bool
		want bool
	}{
		{"a new one", concerning("").Create(event.CreateEvent{Object: &ours}), true},
		{"a new one that is none of ours", concerning("").Create(event.CreateEvent{Object: &none}), false},
		{"one that is none of ours any more", concerning("").Update(event.UpdateEvent{ObjectOld: &ours, ObjectNew: &none}), true},
		{"one that becomes ours", concerning("").Update(event.UpdateEvent{ObjectOld: &none, ObjectNew: &ours}), true},
		{"one that stays none of ours", concerning("").Update(event.UpdateEvent{ObjectOld: &none, ObjectNew: &none}), false},
		{"one that is deleted", concerning("").Delete(event.DeleteEvent{Object: &ours}), true},
		{"one that is deleted and was none of ours", concerning("").Delete(event.DeleteEvent{Object: &none}), false},
	} {
		if c.wake != c.want {
			t.Errorf("%s wakes the plan: %v, want %v", c.name, c.wake, c.want)
		}
	}
}

func TestPlansLeaveMoreTimeWhileStatusesWaitToBeWritten(t *testing.T) {
	p := newPlanner(t, &shelf{})
	if got, want := p.pause(10*time.Millisecond), 30*time.Millisecond; got != want {
		t.Errorf("idle, after a plan of 10 ms comes a pause of %v, want %v", got, want)
	}
	p.writer.queue.Add(lb.Name{Namespace: "default", Name: "s"})
	if got, want := p.pause(10*time.Millisecond), 100*time.Millisecond; got != want {
		t.Errorf("in a burst, after a plan of 10 ms comes a pause of %v, want %v", got, want)
	}
	if got := p.pause(time.Minute); got != maxPause {
		t.Errorf("after a plan of a minute comes a pause of %v, want %v", got, maxPause)
	}
	for i := range 2 * many {
		p.writer.queue.Add(lb.Name{Name: strconv.Itoa(i)})
	}
	if got, want := p.pause(10*time.Millisecond), 300*time.Millisecond; got != want {
		t.Errorf("while many wait, after a plan of 10 ms: %v, want %v", got, want)
	}
	if got, want := p.pause(time.Minute), time.Duration(p.writer.queue.Len())*perStatus; got != want {
		t.Errorf("while many wait, after a plan of a minute: %v, want %v", got, want)
	}
}

func TestPlansAreSpacedByTheirCost(t *testing.T) {
	p := newPlanner(t, &shelf{})
	clock := time.Unix(1000, 0)
	p.now = func() time.Time { clock = clock.Add(10 * time.Millisecond); return clock }
	if r, err := p.Reconcile(context.Background(), reconcile.Request{}); err != nil || r.RequeueAfter != 0 {
		t.Fatalf("the first plan: %+v, %v", r, err)
	}
	if r, _ := p.Reconcile(context.Background(), reconcile.Request{}); r.RequeueAfter <= 0 || r.RequeueAfter > time.Second {
		t.Errorf("the next plan is made at once; RequeueAfter = %v", r.RequeueAfter)
	}
	clock = clock.Add(time.Second)
	p.now = func() time.Time { clock = clock.Add(time.Minute); return clock } // the process is stopped in the middle
	if r, _ := p.Reconcile(context.Background(), reconcile.Request{}); r.RequeueAfter != 0 {
		t.Errorf("after a second RequeueAfter = %v", r.RequeueAfter)
	}
	p.now = func() time.Time { return clock.Add(maxPause) }
	if r, _ := p.Reconcile(context.Background(), reconcile.Request{}); r.RequeueAfter != 0 {
		t.Errorf("a plan that took minutes delays the next by %v more than %v", r.RequeueAfter, maxPause)
	}
}
