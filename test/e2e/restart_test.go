package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// several makes n Services and returns them with their addresses.
func (s *scenario) several(pool string, n int) map[*corev1.Service]netip.Addr {
	s.Helper()
	var list []*corev1.Service
	for i := range n {
		list = append(list, s.service(fmt.Sprintf("%s-%d", pool, i), pool))
	}
	out := map[*corev1.Service]netip.Addr{}
	for _, svc := range list {
		out[svc] = s.address(svc)
	}
	return out
}

func TestARestartOfTheControllerChangesNothing(t *testing.T) {
	s := begin(t)
	s.pool("restart", "192.168.1.219-192.168.1.223")
	before := s.several("restart", 4)
	versions := map[string]string{}
	for svc := range before {
		versions[svc.Name] = s.current(svc).ResourceVersion
	}
	s.kubectl("", "rollout", "restart", "deployment", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=controller")
	s.kubectl("", "rollout", "status", "deployment", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=controller", "--timeout=25s")
	s.do("Steelyard is ready", func(ctx context.Context) error { return s.Settled(ctx) })
	// The new controller has seen the old Services when it has served a new one.
	late := s.service("restart-late", "restart")
	s.address(late)
	for svc, addr := range before {
		now := s.current(svc)
		if got, err := rig.ExternalIPs(now); err != nil || len(got) != 1 || got[0] != addr {
			t.Errorf("%s has %v, %v; it had %s", svc.Name, got, err, addr)
		}
		if now.ResourceVersion != versions[svc.Name] {
			t.Errorf("%s was written although nothing changed", svc.Name)
		}
	}
}

func (s *scenario) current(svc *corev1.Service) *corev1.Service {
	s.Helper()
	var out corev1.Service
	s.do("reading "+svc.Name, func(ctx context.Context) error { return s.API.Get(ctx, client.ObjectKeyFromObject(svc), &out) })
	return &out
}

func TestARolloutOfTheSpeakersKeepsOneAnswererForEachAddress(t *testing.T) {
	s := begin(t)
	s.pool("rollout", "192.168.1.219-192.168.1.223")
	held := s.several("rollout", 4)
	s.kubectl("", "rollout", "restart", "daemonset", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=speaker")
	s.do("the rollout ends", func(ctx context.Context) error {
		_, err := s.Lab.Kubectl(ctx, "", "rollout", "status", "daemonset", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=speaker", "--timeout=29s")
		return err
	})
	s.do("Steelyard is ready", func(ctx context.Context) error { return s.Settled(ctx) })
	for svc, addr := range held {
		node := s.steady(addr)
		s.web(addr, 80)
		s.statusSays(svc, node)
	}
}
