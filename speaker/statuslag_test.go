package speaker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// laggingWorld is a statusWriter whose cache shows the objects that it is made with, whatever becomes of them at the API server.
func laggingWorld(t *testing.T, objects ...v1beta1.ServiceL2Status) (*statusWriter, *writes) {
	t.Helper()
	w := &writes{}
	funcs := w.funcs()
	funcs.List = func(_ context.Context, _ client.WithWatch, into client.ObjectList, _ ...client.ListOption) error {
		into.(*v1beta1.ServiceL2StatusList).Items = slices.Clone(objects)
		return nil
	}
	var at []client.Object
	for i := range objects {
		at = append(at, objects[i].DeepCopy())
	}
	return newSpeaker(t, fakeAPI(t, at...).WithInterceptorFuncs(funcs).Build()).status, w
}

// round is one reconcile, which must not fail.
func round(t *testing.T, w *statusWriter) time.Duration {
	t.Helper()
	wait, err := w.reconcile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

func TestWhatTheCacheDoesNotShowYetIsNotWrittenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw, api := laggingWorld(t)
		sw.set(answering("eth0"))
		wait := round(t, sw)
		if got := api.take(); got != "create patch" || wait <= cacheLag {
			t.Errorf("writes %q, and looks again after %v, want a creation, and a look when the cache should show it", got, wait)
		}
		time.Sleep(cacheLag)
		if round(t, sw); api.take() != "" {
			t.Error("written again before the cache had its time")
		}
		sw.set(answering("eth1"))
		if round(t, sw); api.take() != "patch" {
			t.Error("what is wanted meanwhile is not written over what was created")
		}
		time.Sleep(cacheLag + 1)
		if round(t, sw); api.take() != "create patch" {
			t.Error("an object that is never shown does not count as deleted")
		}
	})
}

func TestWhatTheCacheStillShowsIsNotDeletedTwice(t *testing.T) {
	o := statusObject("default.web", "node1", "web")
	sw, api := laggingWorld(t, o)
	sw.set(answering("eth7"))
	if round(t, sw); api.take() != "patch" {
		t.Error("it is not changed first")
	}
	if round(t, sw); api.take() != "" {
		t.Error("it is changed again while the cache shows it as it was")
	}
	sw.set(wanted{})
	sw.wrote = map[string]written{} // as if the change had been long ago
	for range 3 {
		if _, err := sw.reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := api.take(); strings.Count(got, "delete") != 3 {
		t.Errorf("writes %q, want it tried each time: somebody has changed it since the cache saw it", got)
	}
	sw, api = laggingWorld(t, o)
	sw.wrote["default.web"] = written{object: o, over: "0", at: time.Now()}
	sw.set(wanted{})
	for range 3 {
		round(t, sw)
	}
	if got := api.take(); got != "delete" || len(sw.wrote) != 0 {
		t.Errorf("writes %q, want one deletion, and what was written forgotten: %v", got, sw.wrote)
	}
}

func TestAnObjectThatIsGoneIsNoFailure(t *testing.T) {
	gone := statusObject("default.web", "node1", "web")
	sw, api, c := statusWorld(t)
	if err := sw.remove(t.Context(), gone); err != nil || !sw.removed[gone.UID] {
		t.Errorf("deleting it: %v, remembered as deleted: %v", err, sw.removed)
	}
	sw.set(answering("eth7"))
	if err := sw.write(t.Context(), "default.web", &gone); err != nil || len(sw.wrote) != 0 {
		t.Errorf("writing it: %v, remembered as written: %v", err, sw.wrote)
	}
	if got := api.take(); got != "delete patch" || len(stored(t, c)) != 0 {
		t.Errorf("writes %q, objects %v", got, stored(t, c))
	}
}

func TestAnotherObjectOfTheSameNameIsNotDeleted(t *testing.T) {
	old := statusObject("default.web", "node1", "web")
	var want client.DeleteOptions
	api := fakeAPI(t).WithInterceptorFuncs(interceptor.Funcs{Delete: func(_ context.Context, _ client.WithWatch, _ client.Object, opts ...client.DeleteOption) error {
		want.ApplyOptions(opts)
		return nil
	}}).Build()
	if err := newSpeaker(t, api).status.remove(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if p := want.Preconditions; p == nil || p.UID == nil || *p.UID != old.UID || p.ResourceVersion == nil || *p.ResourceVersion != old.ResourceVersion {
		t.Errorf("deleted if %+v, want only if it is the very one, unchanged", p)
	}
}

func TestTwoSpeakersThatDoNotHearEachOtherWriteOnceInThirtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := statusObject("default.web", "node2", "web")
		sw, api, c := statusWorld(t, &theirs)
		go func() { _ = sw.Run(t.Context()) }()
		for range 10 { // node2, which we take for dead, writes over it every 10 s
			sw.set(answering("eth0"))
			time.Sleep(10 * time.Second)
			synctest.Wait() // the two do not write at the same moment
			var o v1beta1.ServiceL2Status
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: ours, Name: "default.web"}, &o); err != nil {
				t.Fatal(err)
			}
			o.Status = theirs.Status
			if err := c.Status().Update(t.Context(), &o); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Count(api.take(), "patch"); got != 4 {
			t.Errorf("%d writes in 100 s, want one at once and three more", got)
		}
	})
}

func TestAnObjectThatNamesALivingNodeIsTakenAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := statusObject("default.web", "node2", "web")
		sw, api, c := statusWorld(t, &theirs)
		go func() { _ = sw.Run(t.Context()) }()
		want := answering("eth0")
		want.alive["node2"] = true
		sw.set(want)
		time.Sleep(settle - time.Millisecond)
		if got := api.take(); got != "" {
			t.Errorf("writes %q before %v are over", got, settle)
		}
		time.Sleep(writePause + time.Millisecond)
		synctest.Wait()
		if diff := cmp.Diff([]string{"default.web node1 node1 eth0"}, stored(t, c)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAWriteThatHangsEndsAndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		api := fakeAPI(t).WithInterceptorFuncs(interceptor.Funcs{Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
			return hang(ctx)
		}}).Build()
		s := newSpeaker(t, api)
		go func() { _ = s.status.Run(t.Context()) }()
		s.status.set(answering("eth0"))
		time.Sleep(writeTimeout + time.Millisecond)
		synctest.Wait()
		if got := testutil.ToFloat64(s.metrics.statusErrors); got != 1 {
			t.Errorf("%v failures are counted after %v, want 1", got, writeTimeout)
		}
	})
}

func TestNothingIsTriedAnyMoreWhenTheEndHasCome(t *testing.T) {
	sw, api, _ := statusWorld(t)
	sw.set(answering("eth0"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sw.carryOut(ctx, statusPlan{write: []string{"default.web"}}, nil); err != nil || api.take() != "" {
		t.Errorf("something was tried: %v", err)
	}
}

func TestObjectsOfOtherNamespacesAreNobodysBusiness(t *testing.T) {
	foreign := statusObject("default.web", "node1", "web")
	foreign.Namespace = "elsewhere"
	sw, api, c := statusWorld(t, &foreign)
	sw.set(wanted{alive: map[string]bool{"node1": true}})
	if round(t, sw); api.take() != "" || len(stored(t, c)) != 1 {
		t.Error("it was written to")
	}
}

func TestHardwareAddressesThatAreNewWakeTheReading(t *testing.T) {
	o := statusObject("default.web", "node2", "web")
	o.Status.MACs = []string{lb.MAC{2, 0, 0, 0, 0, 2}.String()}
	sw, _, _ := statusWorld(t, &o)
	news := make(chan struct{}, 1)
	sw.news = news
	sw.set(wanted{theirs: map[string]bool{"default.web": true}, alive: map[string]bool{"node1": true}})
	for i, want := range []int{1, 0} {
		round(t, sw)
		if len(news) != want {
			t.Errorf("round %d: woken %d times, want %d", i, len(news), want)
		}
		for len(news) > 0 {
			<-news
		}
	}
}

func TestAStatusThatIsRefusedIsAFailure(t *testing.T) {
	sw, api, _ := statusWorld(t)
	api.broken = apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("not allowed"))
	o := statusObject("default.web", "node1", "web")
	if err := sw.remove(t.Context(), o); err == nil {
		t.Error("a deletion that is refused is no failure")
	}
	sw.set(answering("eth7"))
	for _, old := range []*v1beta1.ServiceL2Status{nil, &o} {
		if err := sw.write(t.Context(), "default.web", old); err == nil {
			t.Errorf("a write over %v that is refused is no failure", old)
		}
	}
}

func TestNothingIsWrittenAnyMoreWhenWeRest(t *testing.T) {
	sw, api, _ := statusWorld(t)
	sw.set(answering("eth0"))
	sw.rest()
	if _, err := sw.reconcile(t.Context()); err != nil || api.take() != "" {
		t.Errorf("something was written: %v", err)
	}
	if err := sw.write(t.Context(), "default.web", nil); err != nil || api.take() != "" { // of a round that was planned before
		t.Errorf("something was written: %v", err)
	}
}

func TestEveryFieldIsWrittenAndEmptied(t *testing.T) {
	sw, _, c := statusWorld(t)
	full := saying("node1", "web", "eth0", "eth1")
	full.MACs = []string{"02:00:00:00:00:01"}
	full.Addresses[0].Cause, full.Addresses[0].From, full.Addresses[0].Standby = "death", "node2", "node3"
	bare := saying("node1", "web")
	bare.Addresses = nil
	for _, want := range []v1beta1.ServiceL2StatusStatus{full, bare} {
		sw.set(wanted{ours: map[string]v1beta1.ServiceL2StatusStatus{"default.web": want}, alive: map[string]bool{"node1": true}})
		round(t, sw)
		var o v1beta1.ServiceL2Status
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: ours, Name: "default.web"}, &o); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, o.Status); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestAnObjectThatGoesBetweenItsTwoWritesIsNotRemembered(t *testing.T) {
	o := statusObject("default.web", "node2", "web")
	api := fakeAPI(t, &o).WithInterceptorFuncs(interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
		return apierrors.NewNotFound(schema.GroupResource{}, "default.web")
	}}).Build()
	sw := newSpeaker(t, api).status
	sw.set(answering("eth0"))
	if err := sw.write(t.Context(), "default.web", &o); err != nil || len(sw.wrote) != 0 {
		t.Errorf("%v, remembered %v", err, sw.wrote)
	}
}
