package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/rig"
)

func TestTheFirstYAMLOfAUserWorksAsItIs(t *testing.T) {
	s := begin(t)
	since := time.Now()
	s.apply(rig.Nginx)
	s.apply(rig.Quickstart)

	nginx := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "nginx-service", Namespace: "default"}}
	addr := s.address(nginx)
	// Which one of the pool depends on who held one before: addresses that were given up lately come last.
	first, last := netip.MustParseAddr("192.168.1.200"), netip.MustParseAddr("192.168.1.210")
	if addr.Less(first) || last.Less(addr) {
		t.Errorf("the address is %s, want one of the pool's, %s-%s", addr, first, last)
	}
	node := s.owner(addr)
	body := s.web(addr, 80).Body
	if !strings.Contains(body, "pod=nginx-") {
		t.Errorf("the answer is %q, want one of an nginx pod", body)
	}
	out, err := s.Lab.Client().Command(t.Context(), "curl", "--silent", "--show-error", "--fail", "--max-time", "10", "http://"+addr.String()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "pod=nginx-") {
		t.Errorf("curl on the client: %v: %s", err, out)
	}
	if got, want := s.neighbour(addr), s.MACOf(node).String(); got != want {
		t.Errorf("the client's neighbour entry is %s, want the owner's %s", got, want)
	}
	if macs := s.Witness.Since(since).MACs(addr, since, time.Time{}); len(macs) != 1 || macs[0] != s.MACOf(node) {
		t.Errorf("on the wire %v said to have %s, want the owner's %s only:\n%s", macs, addr, s.MACOf(node), s.Witness.Since(since).Of(addr))
	}
	if _, ok := s.Witness.Since(since).FirstAnnouncementBy(addr, s.MACOf(node), since); !ok {
		t.Errorf("the owner announced nothing; heard:\n%s", s.Witness.Since(since).Of(addr))
	}
	s.statusSays(nginx, node)
	s.quickstartColumns(addr)
}

// quickstartColumns checks what kubectl get shows of the objects of quickstart.yaml.
func (s *scenario) quickstartColumns(addr netip.Addr) {
	s.Helper()
	if out := s.kubectl("", "get", "svc", "nginx-service", "-n", "default"); !strings.Contains(out, addr.String()) {
		s.Errorf("kubectl get svc shows no EXTERNAL-IP %s:\n%s", addr, out)
	}
	s.eventually("kubectl get ipaddresspool shows usage", func(context.Context) error {
		out := s.kubectl("", "get", "ipaddresspool", "my-pool", "-n", rig.Namespace)
		head, row, _ := strings.Cut(strings.TrimSpace(out), "\n")
		for _, column := range []string{"AUTO ASSIGN", "AVOID BUGGY IPS", "ADDRESSES"} {
			if !strings.Contains(head, column) {
				return fmt.Errorf("no column %s in:\n%s", column, out)
			}
		}
		fields := strings.Fields(row)
		if !strings.Contains(row, "192.168.1.200-192.168.1.210") || !contains(fields, "1") || !contains(fields, "10") {
			return fmt.Errorf("want the range, 1 address assigned and 10 available in:\n%s", out)
		}
		return nil
	})
	if out := s.kubectl("", "get", "l2advertisement", "-n", rig.Namespace); !strings.Contains(out, "IPADDRESSPOOLS") || !strings.Contains(out, `my-pool`) {
		s.Errorf("kubectl get l2advertisement does not show the pool:\n%s", out)
	}
}

func contains(words []string, want string) bool {
	for _, w := range words {
		if w == want {
			return true
		}
	}
	return false
}

// statusSays waits until the ServiceL2Status objects of a Service are one, and it names the node.
func (s *scenario) statusSays(svc *corev1.Service, node string) {
	s.Helper()
	s.eventually("the ServiceL2Status names "+node, func(ctx context.Context) error {
		var list v1beta1.ServiceL2StatusList
		err := s.API.List(ctx, &list, client.InNamespace(rig.Namespace),
			client.MatchingLabels{v1beta1.LabelServiceName: svc.Name, v1beta1.LabelServiceNamespace: svc.Namespace})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("there are %d of them", len(list.Items))
		}
		st := list.Items[0]
		if st.Status.Node != node || st.Labels[v1beta1.LabelNode] != node || st.Status.ServiceName != svc.Name || st.Status.ServiceNamespace != svc.Namespace {
			return fmt.Errorf("it says %+v with labels %v", st.Status, st.Labels)
		}
		if len(st.OwnerReferences) != 0 {
			return errors.New("a pod owns it, and would take it along when it is restarted")
		}
		return nil
	})
}
