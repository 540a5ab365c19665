package controllers

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestConflictsOfSpeakersAreKeptUntilTheyEnd(t *testing.T) {
	now := metav1.NewTime(time.Unix(1000, 0))
	p := newPool("p", "192.0.2.0/24")
	for i := range 70 { // all but the first have not ended
		p.Status.Conflicts = append(p.Status.Conflicts, v1beta1.AddressConflict{
			Address: fmt.Sprintf("192.0.2.%d", i), Node: "n", Until: metav1.NewTime(now.Add(time.Duration(i) * time.Second)),
		})
	}
	got := poolStatus(&p, allocate.Usage{Pool: "p"}, now).Conflicts
	if len(got) != cluster.MaxConflicts || got[0].Address != "192.0.2.69" {
		t.Errorf("%d conflicts, the first %+v; want the %d that end last", len(got), got[0], cluster.MaxConflicts)
	}
	p.Status.Conflicts = p.Status.Conflicts[:3]
	if got := poolStatus(&p, allocate.Usage{Pool: "p"}, now).Conflicts; len(got) != 2 || got[0].Address != "192.0.2.1" {
		t.Errorf("conflicts %+v, want .1 and .2", got)
	}
}

func TestPoolStatusIsWrittenWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool("p", "192.0.2.0/24")
		p.Status.Conditions = []metav1.Condition{{Type: "example.com/Other", Status: "True", Reason: "R"}}
		var patches atomic.Int64
		b := newBench(t, func(string) error { patches.Add(1); return nil }, &p)
		b.writer.queue.ShutDown() // this test does not run it
		w := newPoolWriter(b.client, "metallb-system", held(), b.writer.events, b.metrics)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- w.Start(ctx) }()
		get := func() *v1beta1.IPAddressPool {
			var got v1beta1.IPAddressPool
			if err := b.client.Get(ctx, client.ObjectKeyFromObject(&p), &got); err != nil {
				t.Fatal(err)
			}
			return &got
		}
		set := func(u allocate.Usage) {
			w.set([]allocate.Usage{u}, map[string]*v1beta1.IPAddressPool{"p": get()})
			time.Sleep(time.Second)
		}
		for _, c := range []struct {
			usage  allocate.Usage
			reason string
			writes int64 // in all
		}{
			{allocate.Usage{Pool: "p", AvailableIPv4: 256}, "Ready", 1},
			{allocate.Usage{Pool: "p", AvailableIPv4: 256}, "Ready", 1},
			{allocate.Usage{Pool: "p", AssignedIPv4: 256, Waiting: 2}, "Exhausted", 2},
			{allocate.Usage{Pool: "p", AssignedIPv4: 256, Waiting: 3}, "Exhausted", 3},
			{allocate.Usage{Pool: "p", Problems: []lb.Problem{{Reason: allocate.ReasonOverlap, Message: "m"}}}, "Overlap", 4},
			{allocate.Usage{Pool: "p", Problems: []lb.Problem{{Reason: "InvalidAddress", Message: "m"}, {Reason: allocate.ReasonOverlap}}}, "Invalid", 5},
			{allocate.Usage{Pool: "p", AvailableIPv4: 256}, "Ready", 6},
		} {
			set(c.usage)
			got := get()
			if len(got.Status.Conditions) != 5 || got.Status.Conditions[1].Reason != c.reason || patches.Load() != c.writes {
				t.Errorf("%+v: %d writes, conditions %+v; want %d and reason %s, beside the condition of another", c.usage, patches.Load(), got.Status.Conditions, c.writes, c.reason)
			}
		}
		u := allocate.Usage{Pool: "p", Retained: []lb.Retention{{Address: addrs("192.0.2.7")[0], For: lb.Name{Namespace: "default", Name: "s"}, Until: time.Now().Add(time.Hour)}}}
		set(u)
		set(u)
		if got := get().Status.Retained; patches.Load() != 7 || len(got) != 1 || got[0].Address != "192.0.2.7" || got[0].Namespace != "default" || got[0].Name != "s" {
			t.Errorf("%d writes, retained %+v; want 7 and one", patches.Load(), got)
		}
		set(allocate.Usage{Pool: "p"})
		if got := get().Status.Retained; len(got) != 0 {
			t.Errorf("retained %+v, want none any more", got)
		}
		cancel()
		<-done
	})
}

func TestEveryConditionOfAPoolTellsItsChangesOnce(t *testing.T) {
	overlap := func(with string) lb.Problem { return lb.Problem{Reason: allocate.ReasonOverlap, Message: with} }
	stranger := func(node string) []lb.Conflict { return []lb.Conflict{{Address: addrs("192.0.2.9")[0], Node: node}} }
	now := metav1.NewTime(time.Unix(1000, 0))
	p := newPool("p", "192.0.2.0/24")
	recorder := events.NewFakeRecorder(10)
	for _, c := range []struct { // one after the other, of one pool
		name  string
		usage allocate.Usage
		want  []string
	}{
		{"a new pool that works", allocate.Usage{}, nil},
		{"only the numbers change", allocate.Usage{AssignedIPv4: 9}, nil},
		{"it is full", allocate.Usage{Waiting: 1}, []string{"Exhausted", "ServicesWait"}},
		{"more Services wait", allocate.Usage{Waiting: 2}, nil},
		{"an older pool has part of it too", allocate.Usage{Waiting: 2, Problems: []lb.Problem{overlap("q")}}, []string{"Overlap", "OlderPool"}},
		{"no Service waits, which Ready does not say", allocate.Usage{Problems: []lb.Problem{overlap("q")}}, []string{"NoneWaits"}},
		{"Services wait, which Ready does not say", allocate.Usage{Waiting: 1, Problems: []lb.Problem{overlap("q")}}, []string{"ServicesWait"}},
		{"another pool overlaps", allocate.Usage{Waiting: 1, Problems: []lb.Problem{overlap("r")}}, []string{"Overlap", "OlderPool"}},
		{"an entry is wrong", allocate.Usage{Waiting: 1, Problems: []lb.Problem{{Reason: "InvalidAddress", Message: "m"}, overlap("r")}}, []string{"Invalid"}},
		{"all is mended", allocate.Usage{}, []string{"Ready", "NoOverlap", "NoneWaits"}},
		{"a stranger answers", allocate.Usage{Conflicts: stranger("n1")}, []string{"SeenOnLAN"}},
		{"and is seen from another node", allocate.Usage{Conflicts: stranger("n2")}, []string{"SeenOnLAN"}},
		{"and still is", allocate.Usage{Conflicts: stranger("n2")}, nil},
		{"and has gone", allocate.Usage{}, []string{"NoConflict"}},
	} {
		status := poolStatus(&p, c.usage, now)
		(&reporter{recorder}).pool(context.Background(), &p, status)
		t.Run(c.name, func(t *testing.T) { wantEvents(t, recorder, c.want...) })
		p.Status = status
	}
}

func TestANewPoolThatDoesNotWorkIsToldOf(t *testing.T) {
	p := newPool("p", "192.0.2.0/24")
	recorder := events.NewFakeRecorder(10)
	u := allocate.Usage{Waiting: 1, Problems: []lb.Problem{{Reason: allocate.ReasonOverlap, Message: "q"}}}
	(&reporter{recorder}).pool(context.Background(), &p, poolStatus(&p, u, metav1.Now()))
	wantEvents(t, recorder, "Overlap", "OlderPool", "ServicesWait")
}
