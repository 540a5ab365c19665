package controller

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lateWrite is how long the API server may apply a write of a leader that was killed, after the next one took over.
const lateWrite = 2 * time.Second

// TestALeaderThatIsAskedToEndFinishesItsWriteAndThenReleasesTheLease: the API server takes its time over a status while the
// leader gets a SIGTERM.
func TestALeaderThatIsAskedToEndFinishesItsWriteAndThenReleasesTheLease(t *testing.T) {
	s := newStage(t, "stopped")
	s.pool("p", "192.168.1.0/24")
	calls := s.delayStatusWrites("slow", 1, 1500*time.Millisecond)
	leader := s.start()
	slow := s.newService("slow")
	slow.Labels = map[string]string{"slow": "true"}
	s.create(slow)
	s.eventually(func() string {
		if calls.Load() == 0 {
			return "no status was written"
		}
		return ""
	})
	leader.stop(syscall.SIGTERM) // and waits until it has ended
	slow = s.get("slow")
	if got := addresses(slow); got != "192.168.1.0" {
		t.Errorf("the write under way was cut off: %q", got)
	}
	lease := s.lease()
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
		t.Errorf("the lease is still held by %s", *holder)
	}
	if written, released := revision(t, slow), revision(t, lease); written > released {
		t.Errorf("the lease was released at revision %d, before the write at %d", released, written)
	}
	started := time.Now()
	s.start()
	s.service("next")
	s.hasAddress("next", "192.168.1.1")
	t.Logf("the next leader gave its first address %v after it was started", time.Since(started))
}

// TestWhoFollowsAKilledLeaderWaitsForItsLateWrites: what was held stays, and nothing free is given before.
func TestWhoFollowsAKilledLeaderWaitsForItsLateWrites(t *testing.T) {
	s := newStage(t, "killed")
	s.pool("p", "192.168.1.0/24")
	first := s.start()
	s.service("before")
	s.hasAddress("before", "192.168.1.0")
	holder := s.leader("")
	s.start()
	first.stop(syscall.SIGKILL)
	killed := time.Now()
	s.service("after")
	s.leader(holder)
	s.hasAddress("after", "192.168.1.1")
	served := time.Now()
	acquired := s.lease().Spec.AcquireTime.Time
	if waited := served.Sub(acquired); waited < lateWrite {
		t.Errorf("an address was given %v after the takeover, want %v at least", waited, lateWrite)
	}
	s.hasAddress("before", "192.168.1.0")
	t.Logf("taken over %v after the kill, first address %v after it", acquired.Sub(killed), served.Sub(killed))
}

func (s *stage) lease() *coordinationv1.Lease {
	s.t.Helper()
	var lease coordinationv1.Lease
	if err := s.Get(s.ctx, client.ObjectKey{Namespace: s.poolNamespace(), Name: "steelyard-controller"}, &lease); err != nil {
		s.t.Fatal(err)
	}
	return &lease
}

// revision is that of etcd at which the object was written: one count for all kinds.
func revision(t *testing.T, obj client.Object) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
