package plugin

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// hidden stands in every place in which a secret may be; nothing of it may be in an archive.
const hidden = "hunter2"

// archived unpacks an archive.
func archived(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		out[name] = string(raw)
	}
}

// secretive is a town whose people keep secrets everywhere.
func secretive() *town {
	t := sick()
	labels := map[string]string{"app.kubernetes.io/component": "speaker"}
	spec := corev1.PodSpec{NodeName: "node2", Containers: []corev1.Container{
		{Name: "speaker", Image: "steelyard-speaker:v1", Args: []string{"--hold=10s", "--token=" + hidden}, Env: []corev1.EnvVar{{Name: "STEELYARD_X", Value: hidden}}},
		{Name: "proxy", Image: "proxy:v1", Command: []string{hidden}, Args: []string{hidden}, Env: []corev1.EnvVar{{Name: "CLOUD", Value: hidden}}}}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "speaker-x", Labels: labels}, Spec: spec,
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "speaker", RestartCount: 1, Image: "steelyard-speaker:v1",
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: "password: " + hidden}}}}}}
	daemon := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "speaker", Labels: labels}}
	daemon.Spec.Template.Spec, daemon.Spec.Template.Annotations = spec, map[string]string{"checksum/x": hidden}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "controller", Labels: map[string]string{"app.kubernetes.io/component": "controller"}}}
	deployment.Spec.Template.Spec = corev1.PodSpec{InitContainers: spec.Containers[1:]}
	t.add(pod, daemon, deployment, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "steelyard-gossip"}, Data: map[string][]byte{"secretkey": []byte(hidden)}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "settings"}, Data: map[string]string{"x": hidden}})
	t.event("web", 0, "refused: Bearer "+hidden+hidden)
	for _, o := range t.objects {
		a := o.GetAnnotations()
		if a == nil {
			a = map[string]string{}
		}
		a["kubectl.kubernetes.io/last-applied-configuration"], a["example.org/x"] = hidden, hidden
		o.SetAnnotations(a)
	}
	t.logs = func(_ context.Context, p corev1.Pod, container string, previous bool) ([]byte, error) {
		if previous {
			return nil, errors.New("the log is gone")
		}
		return []byte(p.Name + " " + container + "\nlevel=info token=" + hidden + "\n"), nil
	}
	return t
}

func TestNoSecretIsCollected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.tar.gz")
	said, err := secretive().run(t, "collect", "-f", path)
	if err != nil {
		t.Fatal(err)
	}
	files := archived(t, path)
	for name, text := range files {
		if strings.Contains(text, hidden) {
			t.Errorf("%s has the secret:\n%s", name, text)
		}
	}
	for name, want := range map[string]string{
		"logs/speaker-x.log": "speaker-x speaker", "views/node2.json": `"node": "node2"`, "doctor.txt": "kernel-answers", "doctor.json": `"errors"`, "status.txt": "Speakers:", "status.json": `"pools"`,
		"versions.txt": "API server: v1.37.1", "missing.txt": "the log of speaker-x: the log is gone", "objects/ipaddresspools.yaml": "192.0.2.0/28", "objects/l2advertisements.yaml": "name: all",
		"objects/services.yaml": "metallb.io/address-pool: none", "objects/pods.yaml": "--hold=10s", "objects/daemonsets.yaml": "CLOUD", "objects/deployments.yaml": "proxy:v1", "objects/nodes.yaml": "192.0.2.9",
		"objects/events.yaml": "nodeAssigned", "objects/namespaces.yaml": "shop", "objects/endpointslices.yaml": "10.1.0.1", "objects/servicel2statuses.yaml": "", "objects/leases.yaml": ""} {
		if text, ok := files[name]; !ok || !strings.Contains(text, want) {
			t.Errorf("%s: want %q, have %q", name, want, text)
		}
	}
	for _, want := range []string{"Asking the speakers", "2 speakers answered, 1 did not", "Reading the log of speaker-x", "Look into it before you send it"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q was not said:\n%s", want, said)
		}
	}
}

// TestTheSecretsWerePlanted guards the test above: without collecting, the objects do have the secret.
func TestTheSecretsWerePlanted(t *testing.T) {
	planted := 0
	for _, o := range secretive().objects {
		raw, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), hidden) {
			planted++
		}
	}
	if all := len(secretive().objects); planted != all {
		t.Errorf("%d of %d objects have the secret", planted, all)
	}
}

func TestAnArchiveThatCannotBeWrittenIsAnError(t *testing.T) {
	if _, err := secretive().run(t, "collect", "-f", filepath.Join(t.TempDir(), "none", "x")); err == nil || !strings.Contains(err.Error(), "writing the archive") {
		t.Errorf("error %v", err)
	}
}
