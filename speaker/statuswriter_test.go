package speaker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// writes counts what reaches the API server, and fails when broken says so.
type writes struct {
	mu      sync.Mutex
	list    []string
	broken  error
	blocked chan struct{} // when not nil, writes wait for it or for their context
}

func (w *writes) add(what string) error {
	w.mu.Lock()
	blocked, broken := w.blocked, w.broken
	if broken == nil {
		w.list = append(w.list, what)
	}
	w.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	return broken
}

func (w *writes) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.list)
	out := strings.Join(w.list, " ")
	w.list = nil
	return out
}

func (w *writes) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := w.add("create"); err != nil {
				return err
			}
			o.SetName(o.GetGenerateName() + o.GetLabels()[v1beta1.LabelServiceName])
			o.SetUID(types.UID(o.GetName()))
			return c.Create(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.add("patch"); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, _ ...client.DeleteOption) error {
			if err := w.add("delete"); err != nil {
				return err
			}
			return c.Delete(ctx, o) // the fake client knows no preconditions
		},
	}
}

func statusWorld(t *testing.T) (*statusWriter, *writes, client.Client) {
	t.Helper()
	w := &writes{}
	api := fakeAPI(t).WithInterceptorFuncs(w.funcs()).Build()
	s := newSpeaker(t, api)
	return s.status, w, api
}

func stored(t *testing.T, api client.Client) []string {
	t.Helper()
	var list v1beta1.ServiceL2StatusList
	if err := api.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range list.Items {
		out = append(out, o.Status.Node+" "+o.Status.ServiceNamespace+"/"+o.Status.ServiceName+" "+strings.Join(interfaceNames(o), ","))
	}
	return out
}

func TestStatusIsWrittenOnlyWhenItChanges(t *testing.T) {
	sw, api, c := statusWorld(t)
	step := func(want wanted, writes string) {
		t.Helper()
		want.alive = map[string]bool{"node1": true}
		sw.set(want)
		for range 3 {
			if _, err := sw.reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := api.take(); got != writes {
			t.Errorf("writes %q, want %q", got, writes)
		}
	}
	if _, err := sw.reconcile(t.Context()); err != nil || api.take() != "" {
		t.Errorf("something was written before the first decision: %v", err)
	}
	step(wanted{services: map[lb.Name][]string{web: {"eth0"}}}, "create patch")
	if diff := cmp.Diff([]string{"node1 default/web eth0"}, stored(t, c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	step(wanted{services: map[lb.Name][]string{web: {"eth0", "eth1"}}}, "patch")
	if diff := cmp.Diff([]string{"node1 default/web eth0,eth1"}, stored(t, c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	step(wanted{}, "delete")
	if left := stored(t, c); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStatusIsTriedAgainAndNeverBlocksTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw, api, c := statusWorld(t)
		api.broken = errors.New("the API server is away")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- sw.Run(ctx) }()
		sw.set(wanted{services: map[lb.Name][]string{web: {"eth0"}}})
		time.Sleep(10 * time.Second)
		if got := stored(t, c); len(got) != 0 {
			t.Errorf("stored %v while the API was away", got)
		}
		sw.set(wanted{services: map[lb.Name][]string{web: {"eth1"}}}) // returns at once
		api.mu.Lock()
		api.broken = nil
		api.mu.Unlock()
		time.Sleep(statusRetryMax)
		synctest.Wait()
		if diff := cmp.Diff([]string{"node1 default/web eth1"}, stored(t, c)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRemoveAllIsBoundedByItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw, api, c := statusWorld(t)
		sw.set(wanted{services: map[lb.Name][]string{web: {"eth0"}}})
		if _, err := sw.reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A write that hangs, in the goroutine of Run, must not keep us from leaving.
		hang := make(chan struct{})
		api.mu.Lock()
		api.blocked = hang
		api.mu.Unlock()
		sw.set(wanted{services: map[lb.Name][]string{web: {"eth9"}}})
		busy := make(chan struct{})
		go func() { defer close(busy); _, _ = sw.reconcile(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), farewell)
		defer cancel()
		begin := time.Now()
		sw.removeAll(ctx)
		if took := time.Since(begin); took > farewell {
			t.Errorf("removeAll took %v, want %v at most", took, farewell)
		}
		close(hang)
		<-busy
		api.mu.Lock()
		api.blocked = nil
		api.mu.Unlock()
		sw.removeAll(t.Context())
		if left := stored(t, c); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestWhatTheCacheDoesNotShowYetIsRemembered(t *testing.T) {
	sw, _, _ := statusWorld(t)
	fresh := statusObject("new", "node1", "web")
	fresh.ResourceVersion = "5"
	sw.created[fresh.UID] = written{object: fresh, at: instant}
	names := func(cached []v1beta1.ServiceL2Status, now time.Time) (out []string) {
		for _, o := range sw.overlayLocked(cached, now) {
			out = append(out, o.Name+" "+strings.Join(interfaceNames(o), ","))
		}
		return out
	}
	if diff := cmp.Diff([]string{"new eth0"}, names(nil, instant)); diff != "" {
		t.Errorf("created, not shown (-want +got):\n%s", diff)
	}
	if got := names(nil, instant.Add(cacheLag+1)); len(got) != 0 || len(sw.created) != 0 {
		t.Errorf("never shown: %v, want it to count as deleted", got)
	}
	better := fresh
	better.Status.Interfaces = []v1beta1.InterfaceInfo{{Name: "eth7"}}
	sw.patched[fresh.UID] = written{object: better, over: "5", at: instant}
	if diff := cmp.Diff([]string{"new eth7"}, names([]v1beta1.ServiceL2Status{fresh}, instant)); diff != "" {
		t.Errorf("patched, not shown (-want +got):\n%s", diff)
	}
	changed := fresh
	changed.ResourceVersion = "6"
	if diff := cmp.Diff([]string{"new eth0"}, names([]v1beta1.ServiceL2Status{changed}, instant)); diff != "" {
		t.Errorf("the cache has moved on (-want +got):\n%s", diff)
	}
	sw.removed[fresh.UID] = true
	if got := names([]v1beta1.ServiceL2Status{fresh}, instant); len(got) != 0 {
		t.Errorf("removed, still shown: %v", got)
	}
	if names(nil, instant); len(sw.removed) != 0 {
		t.Error("what the cache has dropped is remembered for ever")
	}
}
