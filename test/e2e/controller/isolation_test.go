package controller

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
)

// TestOneThatIsDeniedIsTriedSeldomWhileOthersAreServedAtOnce: how often the API server denied is read from its own metrics.
func TestOneThatIsDeniedIsTriedSeldomWhileOthersAreServedAtOnce(t *testing.T) {
	const others, watched = 50, 5 * time.Second
	s := newStage(t, "backoff")
	s.pool("p", "192.168.1.0/24")
	deny := s.denyStatusWrites("denied")
	s.start()
	svc := s.newService("denied")
	svc.Labels = map[string]string{"denied": "true"}
	probes := s.denials()
	s.create(svc)
	s.eventually(func() string { return differ(s.reasons("denied"), "StatusWriteFailed", 1) })
	began := time.Now()
	var took []time.Duration
	for i := range others {
		name := fmt.Sprintf("fine%02d", i)
		start := time.Now()
		s.service(name)
		s.eventually(func() string {
			if addresses(s.get(name)) == "" {
				return name + " has no address"
			}
			return ""
		})
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("beside a denied Service, %d others had their address after %v (median), %v (worst)", others, took[others/2], took[others-1])
	if took[others/2] > time.Second {
		t.Errorf("the median of the others waited %v", took[others/2])
	}
	time.Sleep(time.Until(began.Add(watched))) // the number of tries in this time is what is tested
	tries := s.denials() - probes
	t.Logf("%d tries in %v", tries, time.Since(began))
	if tries < 4 || tries > 10 { // 0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3 s
		t.Errorf("the denied Service was tried %d times, want about 7: once, and then with a delay that doubles from 0.1 s", tries)
	}
	for _, o := range deny {
		if err := s.Delete(s.ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	s.hasAddress("denied", "192.168.1.0")
}

// denials is how often the API server has denied a request by the stage's admission policy.
func (s *stage) denials() (n int) {
	s.t.Helper()
	clients, err := kubernetes.NewForConfig(s.lab.RESTConfig())
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := clients.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "apiserver_validating_admission_policy_check_total{") && strings.Contains(line, `enforcement_action="deny"`) &&
			strings.Contains(line, fmt.Sprintf("policy=%q", s.name)) {
			value := line[strings.LastIndexByte(line, ' ')+1:]
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatalf("metric %q: %v", line, err)
			}
			n += int(v)
		}
	}
	return n
}
