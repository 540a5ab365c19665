package controllers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestPoolStatusIsWrittenWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool("p", "192.0.2.0/24")
		p.Status.Conditions = []metav1.Condition{{Type: "example.com/Other", Status: "True", Reason: "R"}}
		patches := 0
		b := newBench(t, func(string) error { patches++; return nil }, &p)
		b.writer.queue.ShutDown() // this test does not run it
		w := newPoolWriter(b.client, "metallb-system", held(), b.writer.events, b.writer.metrics)
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
			writes int // in all
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
			if len(got.Status.Conditions) != 2 || got.Status.Conditions[1].Reason != c.reason || patches != c.writes {
				t.Errorf("%+v: %d writes, conditions %+v; want %d and reason %s, beside the condition of another", c.usage, patches, got.Status.Conditions, c.writes, c.reason)
			}
		}
		cancel()
		<-done
		wantEvents(t, b.events, "Exhausted", "Overlap", "Invalid", "Ready")
	})
}
