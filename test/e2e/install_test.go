package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/steelyard-lb/steelyard/test/rig"
)

func TestTheOneFileInstallIsAccepted(t *testing.T) {
	s := begin(t)
	yaml, err := os.ReadFile(filepath.Join(root, "config", "manifests", "steelyard.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := s.kubectl(string(yaml), "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
	for _, want := range []string{"deployment", "daemonset", "ipaddresspools.metallb.io", "l2advertisements.metallb.io", "servicel2statuses.metallb.io", "clusterrole", "serviceaccount"} {
		if !strings.Contains(out, want) {
			t.Errorf("the manifest has no %s:\n%s", want, out)
		}
	}
}

// Every value away from its default, but for the kinds of the Prometheus operator, which is not there.
func TestTheChartWithEverythingSetIsAccepted(t *testing.T) {
	s := begin(t)
	var rendered string
	s.do("helm template", func(ctx context.Context) (err error) {
		rendered, err = s.Lab.Helm(ctx, "template", "everything", absolute(t, "charts", "steelyard"), "--namespace", rig.Namespace,
			"--values", absolute(t, "test", "chart", "testdata", "everything.values.yaml"))
		return err
	})
	documents := slices.DeleteFunc(strings.Split(rendered, "\n---\n"), func(d string) bool {
		return strings.Contains(d, "apiVersion: monitoring.coreos.com/")
	})
	out := s.kubectl(strings.Join(documents, "\n---\n"), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
	for _, want := range []string{"deployment", "daemonset", "networkpolicy", "poddisruptionbudget", "configmap", "service/"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %s:\n%s", want, out)
		}
	}
}

// absolute is a path below the project's root, for programs with another working directory.
func absolute(t *testing.T, elem ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{root}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheSamplesAreAccepted(t *testing.T) {
	dir := filepath.Join(root, "config", "samples")
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples in %s: %v", dir, err)
	}
	for _, f := range files {
		if filepath.Base(f) == "kustomization.yaml" {
			continue
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			s := begin(t)
			yaml, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			s.apply(string(yaml))
		})
	}
}
