package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// Who may read the metrics does so in TestMetricsTellWhoAnswers...; here are those who may not, as the API server tells them apart.
func TestMetricsAreRefusedToWhoMayNotReadThem(t *testing.T) {
	s := begin(t)
	s.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: metrics-stranger, namespace: " + rig.Namespace + "}}")
	stranger := strings.TrimSpace(s.kubectl("", "create", "token", "metrics-stranger", "-n", rig.Namespace))
	for component, port := range map[string]uint16{"controller": 17945, "speaker": 17947} {
		for _, row := range []struct{ who, token, want string }{
			{"nobody", "", "401"}, {"a token that is none", "nonsense", "401"}, {"a pod without the right", stranger, "403"},
		} {
			s.eventually(row.who+" is refused by the "+component, func(ctx context.Context) error {
				got, err := s.status(ctx, component, port, row.token)
				if err == nil && got != row.want {
					err = fmt.Errorf("the answer is %s, want %s", got, row.want)
				}
				return err
			})
		}
	}
}

// status asks one pod of a component, from its node, and returns the HTTP status.
func (s *scenario) status(ctx context.Context, component string, port uint16, token string) (string, error) {
	var pods corev1.PodList
	if err := s.API.List(ctx, &pods, client.InNamespace(rig.Namespace), client.MatchingLabels{"app.kubernetes.io/component": component}); err != nil {
		return "", fmt.Errorf("listing the pods of the %s: %w", component, err)
	}
	if len(pods.Items) == 0 {
		return "", fmt.Errorf("the %s has no pods", component)
	}
	p := pods.Items[0]
	addr, err := netip.ParseAddr(p.Status.PodIP)
	if err != nil {
		return "", fmt.Errorf("the address of pod %s: %w", p.Name, err)
	}
	args := []string{"--silent", "--show-error", "--insecure", "--max-time", "10", "--output", "/dev/null", "--write-out", "%{http_code}"}
	if token != "" {
		args = append(args, "--header", "Authorization: Bearer "+token)
	}
	out, err := s.Lab.Node(p.Spec.NodeName).Command(ctx, "curl", append(args, fmt.Sprintf("https://%s/metrics", netip.AddrPortFrom(addr, port)))...).Output()
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", p.Name, err)
	}
	return string(out), nil
}
