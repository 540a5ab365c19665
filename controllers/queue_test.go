package controllers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/util/workqueue"
)

func TestServingEndsWhenWhatIsUnderWayHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := workqueue.NewTyped[int]()
		begun, done := 0, 0
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, stop)
		for i := range 3 {
			queue.Add(i)
		}
		start := time.Now()
		serve(ctx, queue, 1, func(context.Context, int) {
			begun++
			time.Sleep(2 * time.Second)
			done++
		})
		if begun != 1 || done != 1 || time.Since(start) != 2*time.Second {
			t.Errorf("%d begun, %d done when it returned after %v; want the one that was under way", begun, done, time.Since(start))
		}
	})
}

func TestTheMetricSaysWhoLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := NewMetrics(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- leading(m)(ctx) }()
		synctest.Wait()
		if got := testutil.ToFloat64(m.leader); got != 1 {
			t.Errorf("while it leads the metric is %v", got)
		}
		stop()
		if err := <-ended; err != nil || testutil.ToFloat64(m.leader) != 0 {
			t.Errorf("after it has led the metric is %v (%v)", testutil.ToFloat64(m.leader), err)
		}
	})
}
