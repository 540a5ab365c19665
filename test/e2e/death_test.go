package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

func TestAnotherNodeTakesOverWhenTheOwnersPowerIsCut(t *testing.T) {
	s := begin(t)
	s.pool("power", "192.168.1.216/32", "fd00:1::216/128")
	addrs := s.addresses(s.service("power", "power", families(corev1.IPv4Protocol, corev1.IPv6Protocol)), 2)
	for _, addr := range addrs {
		dead := s.owner(addr)
		s.web(addr, 80)

		s.Cleanup(func() { s.restorePower(dead) })
		cut := time.Now()
		if err := s.Lab.CutPower(dead); err != nil {
			t.Fatalf("cutting the power of %s: %v", dead, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), takeover)
		defer cancel()
		heard, err := s.Witness.Await(ctx, cut, func(r witness.Record) bool {
			_, ok := r.FirstAnnouncementByOther(addr, s.MACOf(dead), cut)
			return ok
		})
		if err != nil {
			t.Fatalf("nobody took %s over within %v of the death of %s; heard:\n%s", addr, takeover, dead, heard.Of(addr))
		}
		first, _ := heard.FirstAnnouncementByOther(addr, s.MACOf(dead), cut)
		heir := s.owner(addr)
		if heir == dead {
			t.Errorf("%s answers for %s although its power is cut", dead, addr)
		}
		if by := s.NodeOf(first.Src); by != heir {
			t.Errorf("the first to announce %s was %q, but %s answers for it", addr, by, heir)
		}
		if now := s.steady(addr); now != heir {
			t.Errorf("%s moved on from %s to %s", addr, heir, now)
		}
		t.Logf("%s: %s took over from %s, announced after %v", addr, heir, dead, first.Time.Sub(cut).Round(time.Millisecond))
		for _, other := range addrs {
			s.owner(other)
		}
		s.web(addr, 80)
		s.restorePower(dead)
		for _, other := range addrs {
			s.steady(other)
			s.web(other, 80)
		}
	}
}

// restorePower starts a node again and waits until everything on it is ready; on a node that has power it only waits.
func (s *scenario) restorePower(node string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 2*wait)
	defer cancel()
	if !slices.Contains(s.Lab.Processes(), node) {
		restored := metav1.Now()
		if err := s.Lab.RestorePower(ctx, node); err != nil {
			s.Fatalf("giving %s its power back: %v", node, err)
		}
		if err := rig.Poll(ctx, func() error { return s.rebooted(ctx, node, restored) }); err != nil {
			s.Fatalf("%s is not whole again: %v", node, err)
		}
	}
	if err := s.Settled(ctx); err != nil {
		s.Fatalf("the cluster is not whole again: %v", err)
	}
}

// rebooted says whether the pods of a node run again. Until kubelet has looked at them, the API server shows them as they were before
// the cut, ready ones included, so only a container that was started since counts.
func (s *scenario) rebooted(ctx context.Context, node string, since metav1.Time) error {
	var pods corev1.PodList
	if err := s.API.List(ctx, &pods); err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	for _, p := range pods.Items {
		if p.Spec.NodeName != node || p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded {
			continue
		}
		for _, c := range p.Status.ContainerStatuses {
			// The API server keeps seconds.
			if c.State.Running == nil || c.State.Running.StartedAt.Before(new(metav1.NewTime(since.Truncate(time.Second)))) {
				return fmt.Errorf("container %s of pod %s has not been started again: %+v", c.Name, p.Name, c.State)
			}
		}
		if !rig.PodReady(&p) {
			return fmt.Errorf("pod %s is not ready", p.Name)
		}
	}
	return nil
}

// speakerOn returns the speaker's pod on a node.
func (s *scenario) speakerOn(node string) *corev1.Pod {
	s.Helper()
	var out *corev1.Pod
	s.eventually("the speaker's pod on "+node, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := s.API.List(ctx, &pods, client.InNamespace(rig.Namespace), client.MatchingLabels{"app.kubernetes.io/component": "speaker"}); err != nil {
			return err
		}
		for i, p := range pods.Items {
			if p.Spec.NodeName == node && p.DeletionTimestamp == nil {
				out = &pods.Items[i]
				return nil
			}
		}
		return fmt.Errorf("none among %d", len(pods.Items))
	})
	return out
}

func TestTheAddressWaitsForASpeakerThatIsRestarted(t *testing.T) {
	s := begin(t)
	s.pool("stop", "192.168.1.217/32")
	addr := s.address(s.service("stop", "stop"))
	stopped := s.owner(addr)
	pod := s.speakerOn(stopped)
	since := time.Now()
	s.do("deleting the owner's speaker", func(ctx context.Context) error { return s.API.Delete(ctx, pod) })
	s.do("the speaker is back", func(ctx context.Context) error { return s.Settled(ctx) })
	if now := s.steady(addr); now != stopped {
		t.Errorf("%s moved from %s to %s by a restart of the speaker", addr, stopped, now)
	}
	if by, moved := s.Witness.Since(since).FirstAnnouncementByOther(addr, s.MACOf(stopped), since); moved {
		t.Errorf("%s was announced by %q while its speaker on %s was restarted", addr, s.NodeOf(by.Src), stopped)
	}
	s.web(addr, 80)
}

func TestALostLANLinkMovesTheAddress(t *testing.T) {
	s := begin(t)
	s.pool("cable", "192.168.1.218/32", "fd00:1::218/128")
	addrs := s.addresses(s.service("cable", "cable", families(corev1.IPv4Protocol, corev1.IPv6Protocol)), 2)
	addr := addrs[0]
	first := s.owner(addr)
	if err := s.Lab.SetLink(first, "lan", false); err != nil {
		t.Fatal(err)
	}
	s.Cleanup(func() {
		if err := s.Lab.SetLink(first, "lan", true); err != nil {
			s.Error(err)
		}
		s.owner(s.Lab.Node(first).IPv4) // the node itself: the addresses have another owner in any case
		for _, a := range addrs {
			s.owner(a)
		}
	})
	for _, a := range addrs {
		s.ownerIs(a, func(n string) bool { return n != first }, "another node than "+first)
	}
}

func TestAnOutageOfTheAPIServerSilencesNobody(t *testing.T) {
	s := begin(t)
	s.pool("outage", "192.168.1.244/32", "fd00:1::244/128")
	addrs := s.addresses(s.service("outage", "outage", families(corev1.IPv4Protocol, corev1.IPv6Protocol)), 2)
	owners := map[netip.Addr]string{}
	for _, addr := range addrs {
		owners[addr] = s.owner(addr)
		s.web(addr, 80)
	}
	started := false
	start := func() {
		if started {
			return
		}
		started = true
		s.do("starting the API server", s.Lab.StartAPIServer)
		s.do("the cluster is whole", func(ctx context.Context) error { return s.Settled(ctx) })
	}
	s.Cleanup(start)
	if err := s.Lab.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	for addr, node := range owners {
		if now := s.steady(addr); now != node {
			t.Errorf("%s is answered by %s, it was %s before the API server's outage", addr, now, node)
		}
		s.web(addr, 80)
	}
	start()
	for addr, node := range owners {
		if now := s.owner(addr); now != node {
			t.Errorf("%s is answered by %s, it was %s before the API server's outage", addr, now, node)
		}
	}
}
