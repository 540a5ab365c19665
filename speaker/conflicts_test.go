package speaker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

var strangeMAC = lb.MAC{2, 0xaa, 0, 0, 0, 1}

// conflict is an entry of status.conflicts that has so long to go at now.
func conflict(address, node string, now time.Time, left time.Duration) v1beta1.AddressConflict {
	return v1beta1.AddressConflict{Address: address, MAC: strangeMAC.String(), Node: node, Until: metav1.NewTime(now.Add(left))}
}

func TestConflictsAreMergedWithThoseOfOthers(t *testing.T) {
	at := func(address, node string, left time.Duration) v1beta1.AddressConflict {
		return conflict(address, node, instant, left)
	}
	ours := at("192.0.2.1", "node1", conflictLife)
	other := at("192.0.2.1", "node1", conflictLife)
	other.MAC = "02:bb:00:00:00:02"
	full := make([]v1beta1.AddressConflict, maxConflicts)
	for i := range full {
		full[i] = at(fmt.Sprintf("198.51.100.%d", i), "node2", time.Minute)
	}
	type list = []v1beta1.AddressConflict
	for _, c := range []struct {
		name      string
		have, add list
		want      list
		changed   bool
	}{
		{"the first", nil, list{ours}, list{ours}, true},
		{"beside another", list{at("192.0.2.2", "node2", time.Minute)}, list{ours}, list{at("192.0.2.2", "node2", time.Minute), ours}, true},
		{"another stranger at the same address", list{ours}, list{other}, list{ours, other}, true},
		{"what we wrote a moment ago", list{at("192.0.2.1", "node1", conflictLife-time.Minute)}, list{ours}, list{at("192.0.2.1", "node1", conflictLife-time.Minute)}, false},
		{"what another node has seen too", list{at("192.0.2.1", "node2", conflictRenewal)}, list{ours}, list{at("192.0.2.1", "node2", conflictRenewal)}, false},
		{"renewed when half of it is over", list{at("192.0.2.1", "node2", conflictRenewal-1)}, list{ours}, list{ours}, true},
		{"not renewed when it is not heard any more", list{at("192.0.2.1", "node1", time.Minute)}, list{at("192.0.2.1", "node1", time.Minute)}, list{at("192.0.2.1", "node1", time.Minute)}, false},
		{"what has ended goes", list{at("192.0.2.2", "node2", 0), at("192.0.2.1", "node2", -time.Minute)}, list{ours}, list{ours}, true},
		{"what has ended is not worth a write", list{at("192.0.2.2", "node2", 0), ours}, list{ours}, list{ours}, false},
		{"no room", full, list{ours}, full, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, changed := mergeConflicts(c.have, c.add, instant)
			if diff := cmp.Diff(c.want, got); diff != "" || changed != c.changed {
				t.Errorf("changed = %v, want %v (-want +got):\n%s", changed, c.changed, diff)
			}
		})
	}
}

// lanPool is a pool of 192.0.2.0/24 as the controller left it.
func lanPool(name string, created time.Time) *v1beta1.IPAddressPool {
	return &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: name, CreationTimestamp: metav1.NewTime(created)},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}},
		Status: v1beta1.IPAddressPoolStatus{AssignedIPv4: 7, Retained: []v1beta1.RetainedAddress{{Address: "192.0.2.9"}},
			Conditions: []metav1.Condition{{Type: v1beta1.ConditionReady, Status: metav1.ConditionTrue}}}}
}

func conflictWorld(t *testing.T, hooks interceptor.Funcs, pools ...client.Object) (*conflictWriter, client.Client) {
	t.Helper()
	api := fakeAPI(t, pools...).WithStatusSubresource(&v1beta1.IPAddressPool{}).WithInterceptorFuncs(hooks).Build()
	return newConflictWriter(api, Options{Node: "node1", Namespace: ours, Log: logr.Discard()}, NewMetrics(nil).statusErrors), api
}

func poolStatus(t *testing.T, api client.Client, name string) v1beta1.IPAddressPoolStatus {
	t.Helper()
	var p v1beta1.IPAddressPool
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: ours, Name: name}, &p); err != nil {
		t.Fatal(err)
	}
	return p.Status
}

func TestAStrangerIsWrittenIntoThePoolOfItsAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		w, api := conflictWorld(t, interceptor.Funcs{}, lanPool("younger", now), lanPool("older", now.Add(-time.Hour)))
		if !w.seen(netip.MustParseAddr("192.0.2.1"), strangeMAC, now) || w.seen(netip.MustParseAddr("192.0.2.1"), strangeMAC, now.Add(time.Second)) {
			t.Error("only the first time is news")
		}
		w.seen(netip.MustParseAddr("203.0.113.1"), strangeMAC, now) // in no pool
		if wait, err := w.reconcile(t.Context()); wait != 0 || err != nil {
			t.Fatalf("wait %v, error %v", wait, err)
		}
		want := lanPool("", now).Status
		if diff := cmp.Diff(want, poolStatus(t, api, "younger")); diff != "" {
			t.Errorf("the younger pool (-want +got):\n%s", diff)
		}
		want.Conflicts = []v1beta1.AddressConflict{conflict("192.0.2.1", "node1", now.Add(time.Second), conflictLife)}
		if diff := cmp.Diff(want, poolStatus(t, api, "older")); diff != "" {
			t.Errorf("the older pool (-want +got):\n%s", diff)
		}
		time.Sleep(conflictLife + time.Second)
		if _, err := w.reconcile(t.Context()); err != nil || len(w.last) != 0 {
			t.Errorf("a stranger is remembered for ever, or %v", err)
		}
		if !w.seen(netip.MustParseAddr("192.0.2.1"), strangeMAC, time.Now()) {
			t.Error("a stranger that comes back is no news")
		}
	})
}

func TestAPoolThatTheControllerHasNotWrittenYetWaits(t *testing.T) {
	p := lanPool("new", instant)
	p.Status = v1beta1.IPAddressPoolStatus{}
	w, api := conflictWorld(t, interceptor.Funcs{}, p)
	w.seen(netip.MustParseAddr("192.0.2.1"), strangeMAC, time.Now())
	if wait, err := w.reconcile(t.Context()); wait != conflictRetry || err != nil {
		t.Errorf("wait %v, error %v", wait, err)
	}
	if got := poolStatus(t, api, "new").Conflicts; got != nil {
		t.Errorf("conflicts %v beside counts that nobody counted", got)
	}
}

func TestTwoWritersOfAPoolLoseNothingOfEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		theirs := conflict("192.0.2.2", "node2", now, conflictLife)
		away := errors.New("the API server is away")
		writes := 0
		w, api := conflictWorld(t, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			switch writes++; writes {
			case 1:
				return away
			case 2: // another speaker and the controller write between our reading and our writing
				var pool v1beta1.IPAddressPool
				if err := c.Get(ctx, client.ObjectKeyFromObject(o), &pool); err != nil {
					return err
				}
				pool.Status.Conflicts, pool.Status.AssignedIPv4 = []v1beta1.AddressConflict{theirs}, 8
				if err := c.Status().Update(ctx, &pool); err != nil {
					return err
				}
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		}}, lanPool("pool", now))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		w.seen(netip.MustParseAddr("192.0.2.1"), strangeMAC, now)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := lanPool("", now).Status
		want.AssignedIPv4, want.Conflicts = 8, []v1beta1.AddressConflict{theirs, conflict("192.0.2.1", "node1", now, conflictLife)}
		if diff := cmp.Diff(want, poolStatus(t, api, "pool")); diff != "" || writes != 3 {
			t.Errorf("%d writes, want 3: one fails, one comes second, one counts (-want +got):\n%s", writes, diff)
		}
		if n := testutil.ToFloat64(w.errors); n != 1 {
			t.Errorf("%v failures are counted, want 1: who comes second has not failed", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWhereNoStrangerWasHeardNobodyAsksForThePools(t *testing.T) {
	w, _ := conflictWorld(t, interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return errors.New("asked")
	}})
	if wait, err := w.reconcile(t.Context()); wait != 0 || err != nil {
		t.Errorf("wait %v, error %v", wait, err)
	}
	w.seen(netip.MustParseAddr("192.0.2.1"), strangeMAC, time.Now())
	if _, err := w.reconcile(t.Context()); err == nil {
		t.Error("pools that cannot be listed are no failure")
	}
}

func TestOnePoolThatMustWaitIsLookedAtAgainBesideOthers(t *testing.T) {
	now := time.Now()
	for range 20 { // the pools come in any order
		fresh, done := lanPool("fresh", now), lanPool("done", now)
		fresh.Status.Conditions, done.Spec.Addresses = nil, []string{"198.51.100.0/24"}
		w, api := conflictWorld(t, interceptor.Funcs{}, fresh, done)
		for _, a := range []string{"192.0.2.1", "198.51.100.1"} {
			w.seen(netip.MustParseAddr(a), strangeMAC, now)
		}
		if wait, err := w.reconcile(t.Context()); wait != conflictRetry || err != nil || len(poolStatus(t, api, "done").Conflicts) != 1 {
			t.Fatalf("wait %v, error %v, the other pool says %v", wait, err, poolStatus(t, api, "done").Conflicts)
		}
	}
}

func TestAWriteThatFailsIsAFailureAndOneToAPoolThatIsGoneIsNone(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer error
		failed bool
	}{
		{"refused", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no")), true},
		{"gone", apierrors.NewNotFound(schema.GroupResource{}, "pool"), false},
	} {
		w, _ := conflictWorld(t, interceptor.Funcs{SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return c.answer
		}}, lanPool("pool", time.Now()))
		w.seen(netip.MustParseAddr("192.0.2.1"), strangeMAC, time.Now())
		if _, err := w.reconcile(t.Context()); (err != nil) != c.failed {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestConflictsAreInTheOrderOfAddresses(t *testing.T) {
	w, _ := conflictWorld(t, interceptor.Funcs{})
	for i := range 20 {
		w.seen(netip.AddrFrom4([4]byte{192, 0, 2, byte(20 - i)}), strangeMAC, instant)
		w.seen(netip.AddrFrom4([4]byte{192, 0, 2, byte(20 - i)}), lb.MAC{2}, instant)
	}
	list := w.heard(instant)
	if len(list) != 40 || !slices.IsSortedFunc(list, byAddress) {
		t.Errorf("%d conflicts, in this order: %v", len(list), list)
	}
}

// byAddress orders by address, then by hardware address.
func byAddress(a, b lb.Conflict) int {
	if c := a.Address.Compare(b.Address); c != 0 {
		return c
	}
	return strings.Compare(a.MAC, b.MAC)
}

func TestOfTwoPoolsOfOneAgeTheFirstByNameHasTheAddress(t *testing.T) {
	pools := []v1beta1.IPAddressPool{*lanPool("b", instant), *lanPool("a", instant), *lanPool("0", instant.Add(time.Second))}
	heard := []lb.Conflict{{Address: netip.MustParseAddr("192.0.2.1")}, {Address: netip.MustParseAddr("192.0.2.2")}}
	dealt := byPool(pools, heard)
	for p, list := range dealt {
		if p.Name != "a" || len(list) != 2 || len(dealt) != 1 {
			t.Errorf("%s has %v", p.Name, list)
		}
	}
	if !heard[0].Address.IsValid() || !heard[1].Address.IsValid() {
		t.Error("what was heard is taken apart")
	}
}
