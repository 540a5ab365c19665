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

	"github.com/steelyard-lb/steelyard/test/lab/image"
	"github.com/steelyard-lb/steelyard/test/rig"
)

const imagePod = `
apiVersion: v1
kind: Pod
metadata: {name: image, namespace: %s}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  # kubelet refuses the image if it does not name a user, by number, that is not root.
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: controller
    image: %s
    imagePullPolicy: Never
    args: [--version]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// An image as a release has it, for two architectures and with a user, is taken by a real containerd, which finds the one that it runs.
// The other architecture's program is a file that no machine runs.
func TestAnImageOfARelease(t *testing.T) {
	s := begin(t)
	const ref = "lab.local/release:1"
	foreign := filepath.Join(t.TempDir(), "steelyard-controller")
	if err := os.WriteFile(foreign, []byte("for another machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "release.tar")
	img := image.Image{Ref: ref, User: "65534:65534", Binaries: []image.Binary{{Arch: "riscv64", Path: foreign}, {Arch: s.arch(), Path: binary(t, "steelyard-controller")}}}
	if err := img.Write(archive); err != nil {
		t.Fatal(err)
	}
	s.do("loading the image", func(ctx context.Context) error { return s.Lab.LoadImage(ctx, ref, archive) })
	s.apply(fmt.Sprintf(imagePod, rig.Namespace, ref))
	s.eventually("the image has run", func(ctx context.Context) error {
		var pod corev1.Pod
		if err := s.API.Get(ctx, client.ObjectKey{Namespace: rig.Namespace, Name: "image"}, &pod); err != nil {
			return err
		}
		if pod.Status.Phase != corev1.PodSucceeded {
			return fmt.Errorf("the pod is %s: %v", pod.Status.Phase, pod.Status.ContainerStatuses)
		}
		return nil
	})
	if said := s.kubectl("", "logs", "image", "-n", rig.Namespace); !strings.HasPrefix(said, "steelyard-controller ") {
		t.Errorf("it says %q", said)
	}
}

// arch is the architecture of the nodes.
func (s *scenario) arch() string {
	s.Helper()
	var nodes corev1.NodeList
	s.do("listing the nodes", func(ctx context.Context) error { return s.API.List(ctx, &nodes) })
	return nodes.Items[0].Status.NodeInfo.Architecture
}
