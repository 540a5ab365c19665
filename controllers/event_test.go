package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/events"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// wantEvents reads what was recorded: each of the reasons, in any order, and no more.
func wantEvents(t *testing.T, r *events.FakeRecorder, reasons ...string) {
	t.Helper()
	want := map[string]int{}
	for _, reason := range reasons {
		want[reason]++
	}
	for len(r.Events) > 0 {
		e := <-r.Events
		reason := strings.Fields(e)[1]
		if want[reason]--; want[reason] < 0 {
			t.Errorf("event %q was not expected (again)", e)
		}
	}
	for reason, n := range want {
		if n > 0 {
			t.Errorf("%d events %s are missing", n, reason)
		}
	}
}

func TestEventsTellOfChangesOnly(t *testing.T) {
	waiting := desired{status: "False", reason: "Exhausted", message: "full"}
	served := give("192.0.2.1")
	served.message = "192.0.2.1 from pool p"
	kept := served
	kept.reason, kept.message = "PoolNotAllowed", "kept"
	oldSpelling := map[string]string{"metallb.universe.tf/address-pool": "p"}
	for _, c := range []struct {
		name        string
		had         desired
		annotations map[string]string
		d           desired
		a           allocate.Assignment
		want        []string
	}{
		{"an address is given", desired{}, nil, served, allocate.Assignment{Complete: true}, []string{eventAllocated}},
		{"it waits", desired{}, nil, waiting, allocate.Assignment{}, []string{eventFailed}},
		{"it still waits, for the same reason", waiting, nil, waiting, allocate.Assignment{}, nil},
		{"it waits for another reason", waiting, nil, desired{status: "False", reason: "NoPool", message: "none"}, allocate.Assignment{}, []string{eventFailed}},
		{"it moves", give("192.0.2.9"), nil, served, allocate.Assignment{Complete: true}, []string{eventAllocated, eventReleased}},
		{"it loses its address and waits", served, nil, waiting, allocate.Assignment{}, []string{eventReleased, eventFailed}},
		{"it keeps one against the rules", served, nil, kept, allocate.Assignment{Complete: true, Problem: &lb.Problem{}}, []string{eventIrregular}},
		{"an old annotation is used", desired{}, oldSpelling, served, allocate.Assignment{Complete: true}, []string{eventAllocated, eventDeprecated}},
		{"an old annotation of one that has its address from MetalLB", desired{ingress: addrs("192.0.2.1"), pool: "p"}, oldSpelling, served,
			allocate.Assignment{Complete: true}, []string{eventDeprecated}},
		{"an old annotation of one that waits", desired{}, oldSpelling, waiting, allocate.Assignment{}, []string{eventFailed, eventDeprecated}},
		{"and when it is served", waiting, oldSpelling, served, allocate.Assignment{Complete: true}, []string{eventAllocated}},
		{"an old annotation moves one", give("192.0.2.9"), oldSpelling, served, allocate.Assignment{Complete: true},
			[]string{eventAllocated, eventReleased, eventDeprecated}},
		{"an old annotation that was told of", served, oldSpelling, kept, allocate.Assignment{Complete: true, Problem: &lb.Problem{}}, []string{eventIrregular}},
		{"an old annotation of one that is no load balancer any more", served, oldSpelling, desired{}, allocate.Assignment{}, []string{eventReleased}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := service("s")
			before.Annotations = c.annotations
			svc := patched(t, &before, c.had, time.Now())
			recorder := events.NewFakeRecorder(10)
			(&reporter{recorder}).written(context.Background(), svc, c.d, c.a)
			wantEvents(t, recorder, c.want...)
		})
	}
}
