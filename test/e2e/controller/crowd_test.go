package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// TestWhoWaitsIsNotWrittenWhenOthersComeAndGo: the numbers of a full pool are in its own condition, and no Service that waits for
// it is written when they change.
func TestWhoWaitsIsNotWrittenWhenOthersComeAndGo(t *testing.T) {
	s := newStage(t, "crowd")
	s.create(&v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.poolNamespace(), Name: "my-pool"},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{"192.168.1.0/31"}, RetainFor: &metav1.Duration{Duration: time.Hour}},
	})
	s.start()
	s.service("one")
	s.hasAddress("one", "192.168.1.0")
	s.service("two")
	s.hasAddress("two", "192.168.1.1")
	for i := range 20 {
		s.service(fmt.Sprintf("waits%02d", i))
	}
	for i := range 20 {
		s.waits(fmt.Sprintf("waits%02d", i), "Exhausted")
	}
	s.poolSays("20 (2 IPv4 in use)")
	before := s.versions()
	for _, c := range []struct{ leaves, says string }{
		{"one", "20 (1 IPv4 in use, 1 kept for deleted Services)"},
		{"two", "20 (0 IPv4 in use, 2 kept for deleted Services)"},
	} {
		if err := s.Delete(s.ctx, s.get(c.leaves)); err != nil {
			t.Fatal(err)
		}
		s.poolSays(c.says)
	}
	s.service("late") // once it is told, what the plans before wanted has been written
	s.waits("late", "Exhausted")
	after := s.versions()
	for name, v := range before {
		if strings.HasPrefix(name, "waits") && after[name] != v {
			t.Errorf("%s was %q and is %q: it was written though nothing of its reasons changed", name, v, after[name])
		}
	}
}

// poolSays waits until the pool's condition Exhausted says so.
func (s *stage) poolSays(want string) {
	s.t.Helper()
	s.eventually(func() string {
		p := s.myPool()
		c := meta.FindStatusCondition(p.Status.Conditions, v1beta1.ConditionExhausted)
		if c == nil || !strings.Contains(c.Message, want) {
			return fmt.Sprintf("the condition is %+v, want it to say %q", c, want)
		}
		return ""
	})
}
