package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

const release = "steelyard"

// The next version of the chart, with which every pod is replaced, comes while a client opens connections and asks who has each
// address.
func TestAnUpgradeUnderTrafficMovesNoAddress(t *testing.T) {
	s := begin(t)
	s.pool("upgrade", "192.168.1.219-192.168.1.223")
	held := s.several("upgrade", 4)
	var addrs []netip.Addr
	versions := map[string]string{}
	for svc, addr := range held {
		s.steady(addr)
		s.web(addr, 80)
		addrs = append(addrs, addr)
		versions[svc.Name] = s.current(svc).ResourceVersion
	}
	secret, before := s.gossipSecret(), s.pods()

	watch := s.watch(addrs)
	s.upgrade(s.nextChart())
	seen := watch.end()

	for _, uid := range s.pods() {
		if slices.Contains(before, uid) {
			t.Error("a pod is still the old one: this was no upgrade")
		}
	}
	if now := s.controllers(); len(now) != 2 || now[0].Spec.NodeName == now[1].Spec.NodeName {
		t.Errorf("there are %d controllers, want 2 on two nodes", len(now))
	}
	if s.gossipSecret() != secret {
		t.Error("the upgrade changed the gossip key: speakers with the old and the new one would not hear each other")
	}
	for svc, addr := range held {
		now := s.current(svc)
		if got, err := rig.ExternalIPs(now); err != nil || len(got) != 1 || got[0] != addr || now.ResourceVersion != versions[svc.Name] {
			t.Errorf("%s has %v (version %s), %v; it had %s (version %s)", svc.Name, got, now.ResourceVersion, err, addr, versions[svc.Name])
		}
		if v := seen.verdicts[addr]; v.Moves() != 0 || v.Asked < 20 {
			t.Errorf("of %d questions for %s, the answers named %v, want one owner", v.Asked, addr, v.Owners)
		}
	}
	t.Logf("%s; %d of %d new connections failed; the longest silence of an address was %v", seen.took, seen.failed, seen.attempts, seen.silence())
	if seen.attempts < 20 || seen.failed > 0 {
		t.Errorf("%d of %d new connections failed, want none of 20 at least", seen.failed, seen.attempts)
	}
}

// pods are the UIDs of Steelyard's pods.
func (s *scenario) pods() []string {
	s.Helper()
	var list corev1.PodList
	s.do("listing the pods", func(ctx context.Context) error { return s.API.List(ctx, &list, client.InNamespace(rig.Namespace)) })
	var out []string
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			out = append(out, string(p.UID))
		}
	}
	return out
}

// nextChart is a copy of the chart with a later version.
func (s *scenario) nextChart() string {
	s.Helper()
	dir := s.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "charts", "steelyard"))); err != nil {
		s.Fatal(err)
	}
	path := filepath.Join(dir, "Chart.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	later := strings.NewReplacer("\nversion: 0.", "\nversion: 9.", "\nappVersion: \"0.", "\nappVersion: \"9.").Replace(string(text))
	if strings.Count(later, "9.") < 2 {
		s.Fatalf("the chart's version was not found in\n%s", text)
	}
	if err := os.WriteFile(path, []byte(later), 0o644); err != nil {
		s.Fatal(err)
	}
	return dir
}

// upgrade brings a chart as the documentation says, with pods that differ from those that run.
func (s *scenario) upgrade(chart string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 3*wait)
	defer cancel()
	different := fmt.Sprintf("podAnnotations.example\\.com/upgraded=%d", time.Now().UnixNano())
	out, err := s.Lab.Helm(ctx, "upgrade", release, chart, "--namespace", rig.Namespace, "--reset-then-reuse-values", "--wait", "--timeout", "85s",
		"--set-string", "controller."+different, "--set-string", "speaker."+different)
	if err != nil {
		s.Fatalf("helm upgrade: %v\n%s", err, out)
	}
	s.do("Steelyard is ready", func(ctx context.Context) error { return s.Settled(ctx) })
}

func (s *scenario) gossipSecret() string {
	s.Helper()
	var secret corev1.Secret
	s.do("reading the gossip Secret", func(ctx context.Context) error {
		return s.API.Get(ctx, client.ObjectKey{Namespace: rig.Namespace, Name: release + "-gossip"}, &secret)
	})
	key := secret.Data["secretkey"]
	if len(key) < 16 {
		s.Fatalf("the gossip key has %d bytes", len(key))
	}
	return string(key)
}

// watching is a client that asks for addresses and opens connections to the first.
type watching struct {
	*scenario
	addrs     []netip.Addr
	began     time.Time
	patrol    *witness.Patrol
	connector *witness.Connector
	stop      func()
}

// watched is what it saw.
type watched struct {
	took             time.Duration
	verdicts         map[netip.Addr]witness.Verdict
	attempts, failed int
}

// patrolPace is how often each address is asked for. It is far below what a move takes to be seen.
const patrolPace = 100 * time.Millisecond

func (s *scenario) watch(addrs []netip.Addr) *watching {
	s.Helper()
	place := s.Lab.Client()
	nobody := witness.Station{IPv4: netip.MustParseAddr("192.168.1.90"), IPv6: netip.MustParseAddr("fd00:1::90")}
	patrol, err := witness.NewPatrol(place, place.Interface, nobody, addrs, s.MACs(), patrolPace)
	if err != nil {
		s.Fatal(err)
	}
	w := &watching{scenario: s, addrs: addrs, began: time.Now(), patrol: patrol, connector: witness.NewConnector(place, netip.AddrPortFrom(addrs[0], 80), 20, 5*time.Second)}
	ctx, cancel := context.WithCancel(s.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := patrol.Run(ctx); err != nil {
			s.Errorf("the patrol: %v", err)
		}
	})
	running.Go(func() { w.connector.Run(ctx) })
	w.stop = func() { cancel(); running.Wait() }
	s.Cleanup(w.stop)
	return w
}

// end stops watching. The last rounds are left out: they may have been asked and not answered.
func (w *watching) end() watched {
	end := time.Now().Add(-2 * patrolPace)
	w.stop()
	record, rounds := w.Witness.Since(w.began), w.patrol.Rounds(w.began)
	name := func(m witness.MAC) string { return w.NodeOf(m) }
	out := watched{took: end.Sub(w.began), verdicts: map[netip.Addr]witness.Verdict{}}
	for _, addr := range w.addrs {
		out.verdicts[addr] = witness.Judge(record.Looks(addr, rounds), name, w.began, end)
	}
	for _, a := range w.connector.Attempts().Between(w.began, end) {
		if out.attempts++; !a.OK() {
			out.failed++
		}
	}
	return out
}

// silence is the longest of any address.
func (w watched) silence() time.Duration {
	var out time.Duration
	for _, v := range w.verdicts {
		out = max(out, v.Silence)
	}
	return out
}
