package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func TestSecretsInTextsAreLeftOut(t *testing.T) {
	for in, want := range map[string]string{
		"-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----\nrest":           "(left out)\nrest",
		"-----BEGIN PRIVATE KEY-----\nhunter2 cut off":                                          "(left out)",
		"got eyJhbGciOiJSUzI1NiJ9.eyJodW50ZXIyIn0.sig-nature from":                              "got (left out) from",
		"Authorization: Bearer hunter2hunter2":                                                  "Authorization: (left out) (left out)",
		"dial https://me:hunter2@example.org/x: refused":                                        "dial https://(left out)@example.org/x: refused",
		`{"msg":"x","password":"hunter2 and more","n":1}`:                                       `{"msg":"x","password":"(left out)","n":1}`,
		`{"msg":"{\"token\": \"hunter2\"}"}`:                                                    `{"msg":"{\"token\": \"(left out)\"}"}`,
		"DB_PASSWORD=hunter2 next":                                                              "DB_PASSWORD=(left out) next",
		"secret_key: hunter2":                                                                   "secret_key: (left out)",
		"--gossip-key-file=/etc/steelyard/gossip/secretkey automountServiceAccountToken: false": "--gossip-key-file=/etc/steelyard/gossip/secretkey automountServiceAccountToken: false",
		"192.0.2.1 moved from node1 to node2: death":                                            "192.0.2.1 moved from node1 to node2: death",
	} {
		if got := string(redact([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		if got := string(redact([]byte(in))); strings.Contains(got, "hunter2") {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// TestAPodIsShownWithoutItsSecrets plants one in every field in which a user can write what he likes.
func TestAPodIsShownWithoutItsSecrets(t *testing.T) {
	const s = "hunter2"
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{HTTPHeaders: []corev1.HTTPHeader{{Name: "X", Value: s}}}, Exec: &corev1.ExecAction{Command: []string{s}}}}
	side := corev1.Container{Name: "side", Image: "side:1", Command: []string{s}, Args: []string{s}, Env: []corev1.EnvVar{{Name: "KEY", Value: s}}, LivenessProbe: probe, ReadinessProbe: probe, StartupProbe: probe,
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{s}}}}}
	own := side
	own.Name, own.Command, own.Args = "speaker", nil, []string{"--hold=10s"}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": s, "vault": s, "metallb.io/address-pool": "lan"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: metav1.NewFieldsV1(`{"f:` + s + `":{}}`)}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{own, side}, InitContainers: []corev1.Container{side}, HostAliases: []corev1.HostAlias{{Hostnames: []string{s}}},
			Volumes: []corev1.Volume{{Name: "csi", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{VolumeAttributes: map[string]string{"a": s}}}},
				{Name: "key", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "steelyard-gossip"}}}}}}
	raw, err := yaml.Marshal(Pod(pod))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), s) {
		t.Errorf("the secret is in\n%s", raw)
	}
	for _, want := range []string{"--hold=10s", "side:1", "name: KEY", "steelyard-gossip", "metallb.io/address-pool: lan", "last-applied-configuration: (left out)", "manager: m"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%q is not in\n%s", want, raw)
		}
	}
}

func TestTheArchiveHasTheFilesInOneFolder(t *testing.T) {
	var buf bytes.Buffer
	w := New(&buf, "top", time.Unix(1e9, 0))
	for _, name := range []string{"a.txt", "logs/b.txt"} {
		if err := w.Add(name, []byte("token=x "+name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(content)
	}
	want := map[string]string{"top/a.txt": "token=(left out) a.txt", "top/logs/b.txt": "token=(left out) logs/b.txt"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
