// Package nemesis breaks the cluster on purpose and judges Steelyard's promises by what a client on the LAN sees meanwhile.
//
// Contract: every verdict comes from the patrol and the witness in the client's namespace, which look at the hardware address in
// a payload and at the Ethernet source alike, and from the client's connections. Every scenario asks for IPv4 and IPv6
// addresses, prints what it measured beside its limits, and fails when one is passed. A scenario leaves the lab whole. Most run
// on a lite lab, where nothing restarts a speaker but the test; those that need real nodes on a full one.
//
// `go test` runs the scenarios marked short; NEMESIS=REGEXP those whose names match (make nemesis ONLY=REGEXP), as -run
// of go test does with tests: 'cable|deaf' those of two kinds, '.' every one. PCAP=DIR keeps a capture of what the client's interface heard and sent in each.
package nemesis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

const (
	// root is of the project, from where go test runs this package.
	root = "../../.."
	// patient bounds what takes seconds at most on an idle machine.
	patient = time.Minute
)

// TestNemesis runs the scenarios, those of one kind of lab after those of the other, and prints the table of what it measured.
func TestNemesis(t *testing.T) {
	var table table
	defer func() { fmt.Print(table.String()) }()
	name, err := choice()
	if err != nil {
		t.Fatal(err)
	}
	if len(choose(lab.Lite, name))+len(choose(lab.Full, name)) == 0 {
		t.Fatalf("no scenario's name matches %q; the tests' sources name them all (ONLY= of make nemesis)", name)
	}
	for _, tier := range []lab.Tier{lab.Lite, lab.Full} {
		chosen := choose(tier, name)
		if len(chosen) == 0 {
			continue
		}
		t.Run(string(tier), func(t *testing.T) {
			s := bringUp(t, tier)
			if tier == lab.Lite {
				t.Run("every fault is mended", s.testFaults)
			}
			for _, c := range chosen {
				t.Run(c.name, func(t *testing.T) { s.play(t, c, name == nil, &table) })
			}
		})
	}
}

// bringUp makes a lab with Steelyard and four Services in it; the end of the test takes it down.
func bringUp(t *testing.T, tier lab.Tier) *stage {
	t.Helper()
	for _, name := range []string{"steelyard-controller", "steelyard-speaker"} {
		if _, err := os.Stat(filepath.Join(root, "bin", name)); err != nil {
			t.Fatalf("%v: run make build first", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the very first run builds Kubernetes
	defer cancel()
	l, err := lab.Up(ctx, lab.Options{Tier: tier, Name: "steelyard-nem", Log: os.Stderr})
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
	s := &stage{Rig: r}
	if err := s.install(ctx, tier, t.TempDir()); err != nil {
		t.Fatal(errors.Join(err, fmt.Errorf("logs:\n%s", s.logs())))
	}
	if err := s.populate(ctx); err != nil {
		t.Fatal(errors.Join(err, fmt.Errorf("logs:\n%s", s.logs())))
	}
	return s
}
