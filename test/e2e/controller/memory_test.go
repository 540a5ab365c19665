package controller

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// myPool reads the pool.
func (s *stage) myPool() (p v1beta1.IPAddressPool) {
	s.t.Helper()
	if err := s.Get(s.ctx, client.ObjectKey{Namespace: s.poolNamespace(), Name: "my-pool"}, &p); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func TestADeletedServiceGetsItsAddressBackAlsoFromAnotherLeader(t *testing.T) {
	s := newStage(t, "retain")
	p := &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.poolNamespace(), Name: "my-pool"},
		Spec: v1beta1.IPAddressPoolSpec{
			Addresses: []string{"192.168.7.0/30"}, Reserved: []string{"192.168.7.0/32"}, RetainFor: &metav1.Duration{Duration: time.Hour},
			Quotas: []v1beta1.Quota{{Namespaces: []string{s.name}, Max: 2}},
		},
	}
	s.create(p)
	first := s.start()
	web := s.service("web")
	s.hasAddress("web", "192.168.7.1")
	if err := s.Delete(s.ctx, web); err != nil {
		t.Fatal(err)
	}
	s.eventually(func() string {
		if got := s.myPool().Status.Retained; len(got) != 1 || got[0].Address != "192.168.7.1" || got[0].Namespace != s.name || got[0].Name != "web" {
			return fmt.Sprintf("retained %+v", got)
		}
		return ""
	})
	first.stop(syscall.SIGTERM)
	s.start()
	s.service("a")
	s.hasAddress("a", "192.168.7.2")
	s.service("web")
	s.hasAddress("web", "192.168.7.1")
	s.eventually(func() string {
		if got := s.myPool().Status; len(got.Retained) != 0 || got.AssignedIPv4 != 2 || got.AvailableIPv4 != 1 {
			return fmt.Sprintf("status %+v", got)
		}
		return ""
	})
	s.service("c")
	s.waits("c", "QuotaExceeded")
}

func TestAReportedConflictIsAvoidedUntilItEnds(t *testing.T) {
	s := newStage(t, "conflict")
	s.pool("my-pool", "192.168.8.0/32")
	p := s.myPool()
	until := metav1.NewTime(time.Now().Add(5 * time.Second).Truncate(time.Second)) // the API has whole seconds
	p.Status.Conflicts = []v1beta1.AddressConflict{{Address: "192.168.8.0", MAC: "02:00:00:00:00:01", Node: "node1", Until: until}}
	if err := s.Status().Update(s.ctx, &p); err != nil {
		t.Fatal(err)
	}
	s.service("web")
	s.start()
	s.waits("web", "Exhausted")
	s.eventually(func() string {
		for _, c := range s.myPool().Status.Conditions {
			if c.Type == v1beta1.ConditionConflict && c.Status == metav1.ConditionTrue {
				return ""
			}
		}
		return fmt.Sprintf("conditions %+v", s.myPool().Status.Conditions)
	})
	s.hasAddress("web", "192.168.8.0")
	if time.Now().Before(until.Time) {
		t.Error("given before the conflict ended")
	}
	s.eventually(func() string {
		if got := s.myPool().Status.Conflicts; len(got) != 0 {
			return fmt.Sprintf("conflicts %+v", got)
		}
		return ""
	})
}
