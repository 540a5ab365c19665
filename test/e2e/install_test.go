package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
