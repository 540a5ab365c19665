package controller

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestADenialWithTheCodeOfAConflictIsTriedAgain: a webhook chooses the code with which it denies, and that of a conflict does not
// mean that the Service has changed. It never does here, so no event of the watch helps.
func TestADenialWithTheCodeOfAConflictIsTriedAgain(t *testing.T) {
	s := newStage(t, "denied-409")
	s.pool("p", "192.168.1.0/24")
	var allowed atomic.Bool
	calls := s.reviewStatusWrites("denied", func(context.Context, int64) *metav1.Status {
		if allowed.Load() {
			return nil
		}
		return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonConflict, Message: "not today"}
	})
	s.start()
	svc := s.newService("denied")
	svc.Labels = map[string]string{"denied": "true"}
	s.create(svc)
	s.eventually(func() string { return differ(s.reasons("denied"), "StatusWriteFailed", 1) })
	s.service("fine")
	s.hasAddress("fine", "192.168.1.1") // .0 is kept for the denied one
	if v := s.get("denied").ResourceVersion; v != svc.ResourceVersion {
		t.Errorf("the denied Service has version %s and not %s any more: it proves nothing", v, svc.ResourceVersion)
	}
	denied := calls.Load()
	allowed.Store(true)
	s.hasAddress("denied", "192.168.1.0")
	t.Logf("%d tries were denied before", denied)
	if why := differ(s.reasons("denied"), "StatusWriteFailed", 1); why != "" {
		t.Error(why)
	}
}
