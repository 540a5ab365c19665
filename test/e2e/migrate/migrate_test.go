// Package migrate moves a cluster from MetalLB to Steelyard and back, as docs/migrate-from-metallb.md says, and measures from the
// client what happens to ARP and NDP meanwhile.
//
// Contract: MetalLB itself is not run. Its objects are there as it leaves them, and a stand-in on each node (oldSpeaker) has the ports
// of its speaker and answers as it does. Steelyard runs as processes on a lite lab. Every verdict comes from the patrol and the
// witness in the client's namespace.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

const (
	// root is of the project, from where go test runs this package.
	root = "../../.."
	// pace is that of the patrol, and so the exactness of what it measures.
	pace = 50 * time.Millisecond
	// calm is how long a state is looked at after a change.
	calm = 2 * time.Second
	// noGap is the silence that a change may make when the old answer until the new do: questions are lost on a busy machine.
	noGap = 500 * time.Millisecond
	// gap is the same when the old stop first: the time to write and to see that the label is gone, and the probes. It would be 5 s
	// more if Steelyard had asked before and been answered.
	gap = 2 * time.Second
)

// ghost is whose IP addresses the patrol asks from: nobody has them.
func ghost() witness.Station {
	return witness.Station{IPv4: netip.MustParseAddr("192.168.1.90"), IPv6: netip.MustParseAddr("fd00:1::90")}
}

// town is the lab, the old speakers, and the patrol.
type town struct {
	*rig.Rig
	t      *testing.T
	bin    string
	old    oldSpeakers
	patrol *witness.Patrol
	// dir is where the procedure writes its copies, setup what it defines first.
	dir, setup string
}

func TestMovingFromMetalLBAndBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute) // the very first run builds Kubernetes
	defer cancel()
	s := bringUp(ctx, t)
	s.shell()
	before := s.statuses(ctx)
	s.old.answer(ctx, t, s.Rig, everybody())
	s.startPatrol(ctx)
	s.adoptionIsClean(ctx)
	for _, step := range []string{"> metallb-objects.yaml", "delete secret -l owner=helm", "--replicas=0"} {
		s.follow(ctx, step)
	}

	installed := time.Now()
	s.install(ctx)
	t.Logf("Steelyard is installed beside MetalLB and ready after %v", time.Since(installed).Round(100*time.Millisecond))
	s.during("installing beside MetalLB", installed, time.Now().Add(calm), 0, noGap)
	s.onlyTheOldAnswer(ctx)

	s.measure("to Steelyard, MetalLB stops last", noGap, func() {
		s.follow(ctx, `"steelyard-migration":"parked"`)
		s.ownedBySteelyard(ctx)
		s.old.stop(t)
	})
	s.oneAnswersForEach(ctx)
	s.unchanged(ctx, before)
	s.follow(ctx, "# finds no MetalLB any more")

	s.measure("back to MetalLB, Steelyard stops last", noGap, func() {
		s.old.answer(ctx, t, s.Rig, everybody())
		// Here no Pod ends with the release, so the label stays until the next change.
		s.follow(ctx, "helm uninstall steelyard", "kubectl label nodes --all metallb.io/drained-")
	})
	s.onlyTheOldAnswer(ctx)
	s.unchanged(ctx, before)
	s.poolsAreThere(ctx, "helm uninstall")

	s.measure("to Steelyard, MetalLB stops first", gap, func() {
		s.old.stop(t)
		s.kubectl(ctx, "", "label", "nodes", "--all", "metallb.io/drained-")
	})
	s.oneAnswersForEach(ctx)
	s.follow(ctx, "kubectl delete clusterrole")
	s.poolsAreThere(ctx, "removing what is left of MetalLB")
	s.unchanged(ctx, before)
}

// install follows the step that installs: the chart, of which no process runs here, and then those processes. Helm must not take the CRDs
// of another release without being told to.
func (s *town) install(ctx context.Context) {
	s.t.Helper()
	if out, err := s.Lab.Helm(ctx, "install", "steelyard", filepath.Join(root, "charts/steelyard"), "--namespace", rig.Namespace); err == nil {
		s.t.Errorf("Helm takes MetalLB's CRDs without being told to: %s", out)
	}
	s.follow(ctx, "helm install steelyard")
	if _, err := rig.InstallBare(ctx, s.Rig, s.bin, s.t.TempDir(), "--rebalance-interval=0"); err != nil {
		s.t.Fatal(err)
	}
	s.poolsAreThere(ctx, "helm install")
	s.t.Logf("before the switch\n%s", s.follow(ctx, "kubectl steelyard status\nkubectl steelyard doctor"))
}

// bringUp makes a lab with what MetalLB leaves.
func bringUp(ctx context.Context, t *testing.T) *town {
	t.Helper()
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"steelyard-controller", "steelyard-speaker", "kubectl-steelyard"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Fatalf("%v: run make build first", err)
		}
	}
	l, err := lab.Up(ctx, lab.Options{Tier: lab.Lite, Name: "steelyard-mig", Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	r, err := rig.New(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &town{Rig: r, t: t, bin: bin}
	s.leaveWhatMetalLBLeaves(ctx)
	return s
}

// kubectl runs a command of the procedure.
func (s *town) kubectl(ctx context.Context, stdin string, args ...string) string {
	s.t.Helper()
	out, err := s.Lab.Kubectl(ctx, stdin, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *town) startPatrol(ctx context.Context) {
	s.t.Helper()
	c := s.Lab.Client()
	var err error
	if s.patrol, err = witness.NewPatrol(c, c.Interface, ghost(), everybody(), s.MACs(), pace); err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.patrol.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Errorf("the patrol: %v", err)
		}
	})
}

// adoptionIsClean runs the first step of the procedure.
func (s *town) adoptionIsClean(ctx context.Context) {
	s.t.Helper()
	out := s.follow(ctx, "kubectl steelyard adopt --check") // which fails when the command does
	s.t.Logf("kubectl steelyard adopt --check\n%s", out)
	if want := fmt.Sprintf("Addresses: %d of %d stay", len(everybody()), len(everybody())); !strings.Contains(out, want) {
		s.t.Errorf("adopt --check does not say %q", want)
	}
}

// measure makes a change, waits until calm is over, and says what a client saw of it.
func (s *town) measure(what string, silence time.Duration, change func()) {
	s.t.Helper()
	began := time.Now()
	change()
	s.during(what, began, time.Now().Add(calm), -1, silence)
}

// during waits until the end and judges every address from the beginning on. doubt is how long two may answer; -1 as long as they like.
func (s *town) during(what string, began, end time.Time, doubt, silence time.Duration) {
	s.t.Helper()
	time.Sleep(time.Until(end.Add(2 * pace)))
	began = began.Add(-time.Second)
	record, rounds := s.Witness.Since(began), s.patrol.Rounds(began)
	for _, a := range everybody() {
		v := witness.Judge(record.Looks(a, rounds), s.name, began, end)
		s.t.Logf("%s: %s silent for %v, two answered for %v, owners %s", what, a, v.Silence.Round(time.Millisecond), v.Doubt.Round(time.Millisecond), strings.Join(v.Owners, ", "))
		if v.Silence > silence || doubt >= 0 && v.Doubt > doubt {
			s.t.Errorf("%s: %s was silent for %v (limit %v), two answered for %v", what, a, v.Silence, silence, v.Doubt)
		}
	}
	if lost, err := s.Witness.Lost(); err != nil || lost > 0 {
		s.t.Errorf("the witness missed %d frames, %v: what it did not hear proves nothing", lost, err)
	}
}

func (s *town) name(m witness.MAC) string {
	if n := s.NodeOf(m); n != "" {
		return n
	}
	return m.String()
}

// ownedBySteelyard waits until a ServiceL2Status of Steelyard names every address.
func (s *town) ownedBySteelyard(ctx context.Context) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := rig.Poll(ctx, func() error {
		out, err := s.Lab.Kubectl(ctx, "", "get", "servicel2statuses", "-n", rig.Namespace, "-o", "jsonpath={.items[*].status.addresses[*].address}")
		for _, a := range everybody() {
			if !strings.Contains(" "+out+" ", " "+a.String()+" ") {
				err = errors.Join(err, fmt.Errorf("no status names %s (they name %s)", a, out))
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *town) oneAnswersForEach(ctx context.Context) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, a := range everybody() {
		if _, err := s.Owner(ctx, a); err != nil {
			s.t.Error(err)
		}
	}
}

// onlyTheOldAnswer wants each address to be answered for by the node whose old speaker has it, and no other.
func (s *town) onlyTheOldAnswer(ctx context.Context) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i, a := range everybody() {
		want := s.Lab.Nodes()[i%len(s.Lab.Nodes())].Name
		if got, err := s.Owner(ctx, a); err != nil || got != want {
			s.t.Errorf("%s is answered for by %q, %v; want the old speaker on %s", a, got, err, want)
		}
	}
}
