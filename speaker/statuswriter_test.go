package speaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// writes counts what reaches the API server, and fails when broken says so.
type writes struct {
	mu     sync.Mutex
	list   []string
	broken error
}

func (w *writes) add(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.list = append(w.list, what)
	}
	return w.broken
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
			o.SetUID(types.UID(o.GetName()))
			return c.Create(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := w.add("label"); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.add("patch"); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := w.add("delete"); err != nil {
				return err
			}
			var is v1beta1.ServiceL2Status // the fake client knows no preconditions
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), &is); err != nil {
				return err
			}
			var want client.DeleteOptions
			want.ApplyOptions(opts)
			if *want.Preconditions.ResourceVersion != is.ResourceVersion {
				return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), errors.New("it has changed"))
			}
			return c.Delete(ctx, o)
		},
	}
}

func statusWorld(t *testing.T, objects ...client.Object) (*statusWriter, *writes, client.Client) {
	t.Helper()
	w := &writes{}
	api := fakeAPI(t, objects...).WithInterceptorFuncs(w.funcs()).Build()
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
		line := o.Name + " " + o.Status.Node + " " + o.Labels[v1beta1.LabelNode]
		for _, i := range o.Status.Interfaces {
			line += " " + i.Name
		}
		out = append(out, line)
	}
	return out
}

// answering wants an object that says that node1 answers for web on these interfaces.
func answering(interfaces ...string) wanted {
	return wanted{ours: map[string]v1beta1.ServiceL2StatusStatus{"default.web": saying("node1", "web", interfaces...)}, alive: map[string]bool{"node1": true}}
}

func TestStatusIsWrittenOnlyWhenItChanges(t *testing.T) {
	sw, api, c := statusWorld(t)
	step := func(want wanted, writes string, objects ...string) {
		t.Helper()
		sw.set(want)
		for range 3 {
			if _, err := sw.reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := api.take(); got != writes {
			t.Errorf("writes %q, want %q", got, writes)
		}
		if diff := cmp.Diff(objects, stored(t, c)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if _, err := sw.reconcile(t.Context()); err != nil || api.take() != "" {
		t.Errorf("something was written before the first decision: %v", err)
	}
	step(answering("eth0"), "create patch", "default.web node1 node1 eth0")
	step(answering("eth0", "eth1"), "patch", "default.web node1 node1 eth0 eth1")
	step(answering(), "patch", "default.web node1 node1")
	step(wanted{theirs: map[string]bool{"default.web": true}}, "", "default.web node1 node1")
	step(wanted{}, "delete")
}

func TestAMoveIsAPatchOfTheObjectAndItsLabel(t *testing.T) {
	old := statusObject("default.web", "node2", "web")
	sw, api, c := statusWorld(t, &old)
	sw.set(answering("eth0"))
	if _, err := sw.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := api.take(); got != "label patch" {
		t.Errorf("writes %q, want one of the status and one of the label", got)
	}
	if diff := cmp.Diff([]string{"default.web node1 node1 eth0"}, stored(t, c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnObjectThatSomebodyTookMeanwhileIsNotDeleted(t *testing.T) {
	old := statusObject("default.web", "node1", "web")
	sw, _, c := statusWorld(t, &old)
	var taken v1beta1.ServiceL2Status
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(&old), &taken); err != nil {
		t.Fatal(err)
	}
	seen := taken
	taken.Labels = map[string]string{v1beta1.LabelNode: "node2"}
	if err := c.Update(t.Context(), &taken); err != nil {
		t.Fatal(err)
	}
	if err := sw.remove(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, c); len(got) != 1 {
		t.Error("it is gone")
	}
}

func TestStatusIsTriedAgainAndNeverBlocksTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw, api, c := statusWorld(t)
		api.broken = errors.New("the API server is away")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- sw.Run(ctx) }()
		sw.set(answering("eth0"))
		time.Sleep(5 * time.Minute)
		if got := stored(t, c); len(got) != 0 {
			t.Errorf("stored %v while the API was away", got)
		}
		sw.set(answering("eth1")) // returns at once
		api.mu.Lock()
		api.broken = nil
		api.mu.Unlock()
		time.Sleep(writeRetryMax + writePause)
		synctest.Wait()
		if diff := cmp.Diff([]string{"default.web node1 node1 eth1"}, stored(t, c)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// many wants a hundred objects.
func many() wanted {
	w := wanted{ours: map[string]v1beta1.ServiceL2StatusStatus{}, alive: map[string]bool{"node1": true}}
	for i := range 100 {
		s := fmt.Sprintf("web%d", i)
		w.ours[statusName(lb.Name{Namespace: "default", Name: s}, 1)] = saying("node1", s, "eth0")
	}
	return w
}

func TestAServerThatDoesNotAnswerEndsTheRound(t *testing.T) {
	sw, api, _ := statusWorld(t)
	api.broken = errors.New("no route to host")
	sw.set(many())
	_, err := sw.reconcile(t.Context())
	if n := strings.Count(err.Error(), "no route"); n == 0 || n > statusWriters {
		t.Errorf("%d of 100 writes were tried, want no more than %d", n, statusWriters)
	}
	api.broken = apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("not this one"))
	if _, err = sw.reconcile(t.Context()); strings.Count(err.Error(), "not this one") != 100 {
		t.Error("objects that are refused hold up the others")
	}
}

func TestARoundWritesWhatIsWantedByThen(t *testing.T) {
	sw, _, c := statusWorld(t)
	sw.set(answering("eth7"))
	if err := sw.write(t.Context(), "default.web", nil); err != nil {
		t.Fatal(err)
	}
	sw.set(wanted{})
	if err := sw.write(t.Context(), "default.other", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"default.web node1 node1 eth7"}, stored(t, c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatTheCacheDoesNotShowYetIsRemembered(t *testing.T) {
	sw, _, _ := statusWorld(t)
	fresh := statusObject("new", "node1", "web")
	fresh.ResourceVersion = "5"
	sw.wrote["new"] = written{object: fresh, at: instant}
	names := func(cached []v1beta1.ServiceL2Status, now time.Time) (out []string) {
		for _, o := range sw.overlayLocked(cached, now) {
			out = append(out, o.Name+" "+o.Status.Interfaces[0].Name)
		}
		return out
	}
	if diff := cmp.Diff([]string{"new eth0"}, names(nil, instant)); diff != "" {
		t.Errorf("created, not shown (-want +got):\n%s", diff)
	}
	if got := names(nil, instant.Add(cacheLag+1)); len(got) != 0 {
		t.Errorf("never shown: %v, want it to count as deleted", got)
	}
	better := fresh
	better.Status.Interfaces = []v1beta1.InterfaceInfo{{Name: "eth7"}}
	sw.wrote["new"] = written{object: better, over: "5", at: instant}
	if diff := cmp.Diff([]string{"new eth7"}, names([]v1beta1.ServiceL2Status{fresh}, instant)); diff != "" {
		t.Errorf("patched, not shown (-want +got):\n%s", diff)
	}
	if got := names(nil, instant); len(got) != 0 {
		t.Errorf("patched, and deleted by somebody: %v, want nothing", got)
	}
	changed := fresh
	changed.ResourceVersion = "6"
	if diff := cmp.Diff([]string{"new eth0"}, names([]v1beta1.ServiceL2Status{changed}, instant)); diff != "" {
		t.Errorf("the cache has moved on (-want +got):\n%s", diff)
	}
	if names([]v1beta1.ServiceL2Status{changed}, instant.Add(patience+1)); len(sw.wrote) != 0 {
		t.Error("what we wrote is remembered for ever")
	}
	sw.removed[fresh.UID] = true
	if got := names([]v1beta1.ServiceL2Status{fresh}, instant); len(got) != 0 {
		t.Errorf("removed, still shown: %v", got)
	}
	if names(nil, instant); len(sw.removed) != 0 {
		t.Error("what the cache has dropped is remembered for ever")
	}
}
