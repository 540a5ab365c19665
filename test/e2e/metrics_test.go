package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// readerYAML is who may read the metrics, as docs/install.md says.
const readerYAML = `
apiVersion: v1
kind: ServiceAccount
metadata:
  name: metrics-test
  namespace: metallb-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: metrics-test
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: steelyard-metrics-reader
subjects:
  - kind: ServiceAccount
    name: metrics-test
    namespace: metallb-system
`

// This is the one scenario about Steelyard's own metrics: that they are there, and right, in a real cluster.
func TestMetricsTellWhoAnswersByMetalLBsNamesToo(t *testing.T) {
	s := begin(t)
	token := s.reader()
	s.pool("metrics", "192.168.1.248/32")
	svc := s.service("metrics", "metrics")
	addr := s.address(svc)
	node := s.owner(addr)
	s.web(addr, 80) // which the client resolves it for

	announced := fmt.Sprintf(`metallb_speaker_announced{ip="%s",node="%s",protocol="layer2",service="%s/metrics"}`, addr, node, ns)
	about := func(name string) string { return fmt.Sprintf(`metallb_layer2_%s{ip="%s",node="%s"}`, name, addr, node) }
	var all exposition
	s.eventually("the speakers say who answers", func(ctx context.Context) (err error) {
		if all, err = s.scrape(ctx, "speaker", token); err != nil {
			return err
		}
		return errors.Join(all.sum(announced, 1, 1), all.sum("metallb_speaker_announced{ip=\""+addr.String()+"\"", 1, 1),
			all.sum(about("requests_received"), 1, 1000), all.sum(about("responses_sent"), 1, 1000), all.sum(about("gratuitous_sent"), 2, 1000),
			all.sum("metallb_k8s_client_config_loaded_bool", 3, 3), all.sum("metallb_k8s_client_config_stale_bool", 0, 0))
	})
	s.listed("speaker", all, 30)
	s.eventually("the leader says how full the pool is", func(ctx context.Context) (err error) {
		if all, err = s.scrape(ctx, "controller", token); err != nil {
			return err
		}
		return errors.Join(all.sum(`metallb_allocator_addresses_in_use_total{pool="metrics"}`, 1, 1), all.sum(`metallb_allocator_addresses_total{pool="metrics"}`, 1, 1),
			all.sum(`metallb_allocator_ipv4_addresses_in_use_total{pool="metrics"}`, 1, 1), all.sum("steelyard_controller_leader", 1, 1),
			all.sum(`steelyard_pool_addresses{family="IPv4",pool="metrics",state="free"}`, 0, 0))
	})
	s.listed("controller", all, 15)
	s.do("deleting the Service", func(ctx context.Context) error { return client.IgnoreNotFound(s.API.Delete(ctx, svc)) })
	s.eventually("nothing is said of an address that was released", func(ctx context.Context) (err error) {
		if all, err = s.scrape(ctx, "speaker", token); err == nil && strings.Contains(all.text, `ip="`+addr.String()+`"`) {
			err = fmt.Errorf("there are series of %s", addr)
		}
		return err
	})
}

// listed wants every metric of Steelyard in docs/metrics.md with its type: what registries say in a unit test is what is served.
func (s *scenario) listed(component string, all exposition, atLeast int) {
	s.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		s.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE ((?:steelyard|metallb)_\w+) (\w+)$`).FindAllStringSubmatch(all.text, -1) {
		seen[m[1]] = true
		if !strings.Contains(string(page), "\n| `"+m[1]+"` | "+m[2]+" | ") {
			s.Errorf("the %s serves the %s %s, which docs/metrics.md does not list", component, m[2], m[1])
		}
	}
	if len(seen) < atLeast {
		s.Errorf("the %s serves %d metrics, want %d or more", component, len(seen), atLeast)
	}
}

// reader makes somebody who may read the metrics and returns the token.
func (s *scenario) reader() string {
	s.Helper()
	s.apply(readerYAML)
	return strings.TrimSpace(s.kubectl("", "create", "token", "metrics-test", "-n", rig.Namespace))
}

// exposition is what the pods of a component serve, one after the other.
type exposition struct{ text string }

// sum wants the values of all series that begin with prefix to add up to something from least to most, and at least one series.
func (e exposition) sum(prefix string, least, most float64) error {
	total, found := 0.0, 0
	for line := range strings.Lines(e.text) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			return fmt.Errorf("reading %q: %w", line, err)
		}
		total, found = total+v, found+1
	}
	if found == 0 || total < least || total > most {
		return fmt.Errorf("%s: %d series with the sum %v, want one or more with %v to %v", prefix, found, total, least, most)
	}
	return nil
}

// scrape reads the metrics of every pod of a component, from a node, as the holder of a token.
func (s *scenario) scrape(ctx context.Context, component, token string) (exposition, error) {
	port := map[string]uint16{"controller": 17945, "speaker": 17947}[component]
	var pods corev1.PodList
	if err := s.API.List(ctx, &pods, client.InNamespace(rig.Namespace), client.MatchingLabels{"app.kubernetes.io/component": component}); err != nil {
		return exposition{}, fmt.Errorf("listing the pods of the %s: %w", component, err)
	}
	var out strings.Builder
	for _, p := range pods.Items {
		addr, err := netip.ParseAddr(p.Status.PodIP)
		if err != nil {
			return exposition{}, fmt.Errorf("the address of pod %s: %w", p.Name, err)
		}
		body, err := s.Lab.Node(p.Spec.NodeName).Command(ctx, "curl", "--silent", "--show-error", "--fail", "--insecure", "--max-time", "10",
			"--header", "Authorization: Bearer "+token, fmt.Sprintf("https://%s/metrics", netip.AddrPortFrom(addr, port))).Output()
		if err != nil {
			return exposition{}, fmt.Errorf("reading the metrics of %s: %w", p.Name, err)
		}
		out.Write(body)
	}
	return exposition{out.String()}, nil
}
