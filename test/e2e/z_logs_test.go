package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// alarming is what a log must not contain: the API server's refusals, and crashes.
var alarming = regexp.MustCompile(`(?i)is forbidden|cannot (get|list|watch|create|update|patch|delete) resource|panic`)

// The name of this file makes it the last test of the package: it reads the logs of all that went before.
func TestNothingWasForbiddenAndNothingCrashed(t *testing.T) {
	s := begin(t)
	for _, component := range []string{"controller", "speaker"} {
		log := s.kubectl("", "logs", "-n", rig.Namespace, "-l", "app.kubernetes.io/component="+component, "--tail=-1", "--prefix")
		for line := range strings.SplitSeq(log, "\n") {
			if alarming.MatchString(line) {
				t.Errorf("the %s logged: %s", component, line)
			}
		}
	}
	if lost, err := s.Witness.Lost(); err != nil || lost > 0 {
		t.Errorf("the witness missed %d frames, %v: what it did not hear proves nothing", lost, err)
	}
	s.do("looking for crashes", func(ctx context.Context) error {
		var pods corev1.PodList
		if err := s.API.List(ctx, &pods, client.InNamespace(rig.Namespace)); err != nil {
			return fmt.Errorf("listing pods: %w", err)
		}
		for _, p := range pods.Items {
			for _, c := range p.Status.ContainerStatuses {
				// 137 and 255 are what a power cut leaves.
				if last := c.LastTerminationState.Terminated; last != nil && last.ExitCode != 0 && last.ExitCode != 137 && last.ExitCode != 255 {
					t.Errorf("%s on %s ended with %d: %s", c.Name, p.Spec.NodeName, last.ExitCode, last.Message)
				}
			}
		}
		return nil
	})
}
