package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// The pods of this lab run as these accounts, and the last test of the package reads in their logs that nothing was forbidden to
// them; so what is listed here is enough, and nothing else is granted.
func TestTheServiceAccountsMayDoWhatTheChartSaysAndNothingElse(t *testing.T) {
	s := begin(t)
	golden := filepath.Join(root, "test", "chart", "testdata", "rights.golden.txt")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, component := range []string{"controller", "speaker"} {
		for _, namespace := range []string{rig.Namespace, "default"} {
			fmt.Fprintf(&got, "%s in %s\n", component, namespace)
			everybody := s.rights("default", namespace)
			for _, line := range s.rights(s.serviceAccount(component), namespace) {
				if !slices.Contains(everybody, line) {
					got.WriteString("  " + line + "\n")
				}
			}
		}
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the API server grants something else than %s says (-want +got):\n%s", golden, diff)
	}
}

// rights asks the API server what a service account of our namespace may do in a namespace. It answers in a table of resource,
// URLs, names and verbs, the last three in brackets.
func (s *scenario) rights(account, namespace string) []string {
	s.Helper()
	table := s.kubectl("", "auth", "can-i", "--list", "--no-headers", "-n", namespace, "--as", "system:serviceaccount:"+rig.Namespace+":"+account)
	var out []string
	for line := range strings.Lines(table) {
		columns := strings.FieldsFunc(strings.TrimSpace(line), func(r rune) bool { return r == '[' || r == ']' })
		columns = slices.DeleteFunc(columns, func(c string) bool { return strings.TrimSpace(c) == "" })
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
		}
		last := len(columns) - 1
		if last < 1 {
			s.Fatalf("no rights in the line %q", line)
		}
		verbs := strings.Fields(columns[last])
		slices.Sort(verbs)
		out = append(out, strings.Join(columns[:last], " ")+": "+strings.Join(verbs, " "))
	}
	slices.Sort(out)
	return out
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
