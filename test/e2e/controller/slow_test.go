package controller

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAWriteThatTakesTooLongHoldsUpNobodyAndGivesNothingTwice: the first writes of one Service's status take longer than the
// controller waits, so it does not know what became of them.
func TestAWriteThatTakesTooLongHoldsUpNobodyAndGivesNothingTwice(t *testing.T) {
	const slowWrites, takes = 2, 3 * time.Second
	s := newStage(t, "slow")
	s.pool("p", "192.168.1.0/24")
	calls := s.delayStatusWrites("slow", slowWrites, takes)
	a := s.audit()
	s.start()
	svc := s.newService("slow")
	svc.Labels = map[string]string{"slow": "true"}
	s.create(svc)
	s.eventually(func() string {
		if calls.Load() == 0 {
			return "no status was written"
		}
		return ""
	})
	for i := range 20 {
		s.service(fmt.Sprintf("fine%02d", i))
	}
	for i := range 20 {
		s.hasAddress(fmt.Sprintf("fine%02d", i), fmt.Sprintf("192.168.1.%d", i+1)) // .0 is as good as given
	}
	if got := addresses(s.get("slow")); got != "" {
		t.Errorf("the slow one has %s already: nobody was served while its write was on its way", got)
	}
	s.hasAddress("slow", "192.168.1.0")
	if n := calls.Load(); n != slowWrites+1 {
		t.Errorf("its status was sent %d times, want %d that were given up and one more", n, slowWrites)
	}
	s.eventually(func() string { // the auditor's watch is a little behind
		if a.served() != 21 {
			return fmt.Sprintf("the auditor saw %d Services with an address, want 21", a.served())
		}
		return ""
	})
}

// delayStatusWrites lets the first n status writes of Services with the label take that long, see reviewStatusWrites.
func (s *stage) delayStatusWrites(label string, n int64, takes time.Duration) *atomic.Int64 {
	s.t.Helper()
	return s.reviewStatusWrites(label, func(ctx context.Context, i int64) *metav1.Status {
		if i <= n {
			select {
			case <-ctx.Done():
			case <-time.After(takes):
			}
		}
		return nil
	})
}

// reviewStatusWrites lets deny judge the status writes of Services with the label, by an admission webhook that runs in this
// process, and returns how many there were. deny gets the number of the write, from 1 on, and answers nil when it is allowed.
// reviewStatusWrites returns when the API server calls the webhook; what it is called with until then is allowed, and not counted.
func (s *stage) reviewStatusWrites(label string, deny func(ctx context.Context, n int64) *metav1.Status) *atomic.Int64 {
	s.t.Helper()
	calls, armed := &atomic.Int64{}, &atomic.Bool{}
	hook := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "not a review", http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID}
		if n := calls.Add(1); armed.Load() {
			review.Response.Result = deny(r.Context(), n)
		}
		review.Response.Allowed = review.Response.Result == nil
		_ = json.NewEncoder(w).Encode(review) // the API server may have given up
	}))
	hook.Listener.Close()
	err := s.lab.ControlPlane().Do(func() (err error) { hook.Listener, err = net.Listen("tcp", "127.0.0.1:0"); return err })
	if err != nil {
		s.t.Fatal(err)
	}
	hook.StartTLS()
	s.t.Cleanup(hook.Close)
	url, none, seconds := hook.URL, registrationv1.SideEffectClassNone, int32(10)
	config := &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: s.name + ".test.example", SideEffects: &none, AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: &seconds,
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: "true"}},
			ClientConfig: registrationv1.WebhookClientConfig{
				URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}),
			},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Update},
				Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services/status"}},
			}},
		}},
	}
	s.create(config)
	s.t.Cleanup(func() { _ = s.Delete(s.ctx, config) }) // the lab goes too
	s.awaitHook(label, calls)
	calls.Store(0)
	armed.Store(true)
	return calls
}

// awaitHook writes the status of a Service with the label, of a type that the controller leaves alone, until the webhook is
// called.
func (s *stage) awaitHook(label string, calls *atomic.Int64) {
	s.t.Helper()
	probe := s.statusProbe(label)
	s.eventually(func() string {
		if err := s.touchStatus(probe); err != nil {
			return err.Error()
		}
		if calls.Load() == 0 {
			return "the webhook is not called yet"
		}
		return ""
	})
}
