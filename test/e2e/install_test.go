package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
)

const release = "steelyard"

func TestAnUpgradeKeepsTheGossipSecretAndTheAddresses(t *testing.T) {
	s := begin(t)
	s.pool("upgrade", "192.168.1.243/32")
	svc := s.service("upgrade", "upgrade")
	addr := s.address(svc)
	s.owner(addr)
	before, version := s.gossipSecret(), s.current(svc).ResourceVersion
	chart, err := filepath.Abs(filepath.Join(root, "charts", "steelyard"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*wait)
	defer cancel()
	if out, err := s.Lab.Helm(ctx, "upgrade", release, chart, "--namespace", rig.Namespace, "--reuse-values", "--wait", "--timeout", "55s"); err != nil {
		t.Fatalf("helm upgrade: %v\n%s", err, out)
	}
	s.do("Steelyard is ready", func(ctx context.Context) error { return s.Settled(ctx) })
	if after := s.gossipSecret(); after != before {
		t.Error("helm upgrade changed the gossip key: speakers with the old and the new one would not hear each other")
	}
	now := s.current(svc)
	if got, err := rig.ExternalIPs(now); err != nil || len(got) != 1 || got[0] != addr || now.ResourceVersion != version {
		t.Errorf("the Service has %v (version %s), %v; it had %s (version %s)", got, now.ResourceVersion, err, addr, version)
	}
	s.owner(addr)
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

func TestTheServiceAccountsMayDoNoMoreThanTheyNeed(t *testing.T) {
	s := begin(t)
	for _, component := range []string{"controller", "speaker"} {
		account := "system:serviceaccount:" + rig.Namespace + ":" + s.serviceAccount(component)
		for _, c := range []struct{ what, want string }{
			{"list services -A", "yes"}, // shows that the question is understood
			{"get secrets -n " + rig.Namespace, "no"},
			{"list secrets -A", "no"},
			{"delete services -A", "no"},
			{"update services -A", "no"},
			{"create pods -A", "no"},
			{"patch nodes", "no"},
			{"get configmaps -A", "no"},
			{"patch ipaddresspools.metallb.io -n " + rig.Namespace, "no"},
			{"delete l2advertisements.metallb.io -n " + rig.Namespace, "no"},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			out, err := s.Lab.Kubectl(ctx, "", append([]string{"auth", "can-i", "--as", account}, strings.Fields(c.what)...)...)
			cancel()
			if said := strings.TrimSpace(out); !strings.HasPrefix(said, c.want) {
				t.Errorf("may the %s %s? %q, %v; want %s", component, c.what, said, err, c.want)
			}
		}
	}
}

func (s *scenario) serviceAccount(component string) string {
	s.Helper()
	var pods corev1.PodList
	s.do("listing the pods", func(ctx context.Context) error {
		err := s.API.List(ctx, &pods, client.InNamespace(rig.Namespace), client.MatchingLabels{"app.kubernetes.io/component": component})
		if err == nil && len(pods.Items) == 0 {
			err = fmt.Errorf("there is no %s", component)
		}
		return err
	})
	return pods.Items[0].Spec.ServiceAccountName
}
