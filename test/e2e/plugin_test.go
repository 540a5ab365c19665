package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// plugin runs `kubectl steelyard`, the binary of make build, as a user does who has it on the PATH. It returns what was printed.
func (s *scenario) plugin(args ...string) string {
	s.Helper()
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		s.Fatal(err)
	}
	var out string
	s.do("kubectl steelyard "+strings.Join(args, " "), func(ctx context.Context) error {
		cmd := s.Lab.KubectlCommand(ctx, append([]string{"steelyard"}, args...)...)
		cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
		var errs strings.Builder
		cmd.Stderr = &errs
		raw, err := cmd.Output()
		if out = string(raw); err != nil {
			s.Logf("kubectl steelyard %s wrote: %s", strings.Join(args, " "), errs.String())
		}
		return err
	})
	return out
}

// pluginJSON runs a command of the plugin with -o json and reads its value.
func pluginJSON[T any](s *scenario, args ...string) (v T) {
	s.Helper()
	out := s.plugin(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		s.Fatalf("kubectl steelyard %s -o json: %v in\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// told is the part of the plugin's JSON that the tests read.
type told struct {
	Address    string   `json:"address"`
	Owner      string   `json:"owner"`
	Standby    string   `json:"standby"`
	MACs       []string `json:"macs"`
	Claimants  []string `json:"claimants"`
	Source     string   `json:"source"`
	Interfaces []string `json:"interfaces"`
}

func TestThePluginTellsWhatTheWitnessSees(t *testing.T) {
	s := begin(t)
	s.pool("plugin", "192.168.1.249/32")
	svc := s.service("told", "plugin")
	addr := s.address(svc)
	node := s.owner(addr)

	status := pluginJSON[struct {
		Speakers []struct {
			Node, State string
			Hears       int
		}
		Addresses []told
	}](s, "status")
	nodes := s.Lab.Nodes()
	if len(status.Speakers) != len(nodes) {
		s.Errorf("status tells of %d speakers, want one on each of the %d nodes: %+v", len(status.Speakers), len(nodes), status.Speakers)
	}
	for _, sp := range status.Speakers {
		if sp.State != "ready" || sp.Hears != len(nodes)-1 {
			s.Errorf("status says %+v, want ready, and all others heard", sp)
		}
	}
	at := slices.IndexFunc(status.Addresses, func(a told) bool { return a.Address == addr.String() })
	if at < 0 || status.Addresses[at].Owner != node {
		s.Errorf("the witness hears %s for %s; status says %+v", node, addr, status.Addresses)
	}
	who := pluginJSON[told](s, "who-has", addr.String())
	if who.Owner != node || who.Source != node || !slices.Contains(who.MACs, s.MACOf(node).String()) || len(who.Claimants) != 0 || len(who.Interfaces) == 0 || who.Standby == "" {
		s.Errorf("the witness hears %s with %s; who-has says %+v", node, s.MACOf(node), who)
	}
	text := s.plugin("status")
	for _, word := range []string{"Pools", "plugin", "[####################]", addr.String(), ns + "/told"} {
		if !strings.Contains(text, word) {
			s.Errorf("status does not say %q:\n%s", word, text)
		}
	}
	s.event(svc, "nodeAssigned", node)
	s.explains(addr.String(), node)
	s.rightsSuffice()
}

// bindings give the roles of docs/kubectl.md to a user.
const bindings = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: steelyard-viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: steelyard-viewer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: steelyard-viewer, namespace: metallb-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: steelyard-viewer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
`

// rightsSuffice looks at the cluster as a user who has the rights that docs/kubectl.md lists, and no other.
func (s *scenario) rightsSuffice() {
	s.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "kubectl.md"))
	if err != nil {
		s.Fatal(err)
	}
	_, roles, _ := strings.Cut(string(page), "\n```yaml\napiVersion: rbac")
	roles, _, _ = strings.Cut(roles, "\n```\n")
	s.apply("apiVersion: rbac" + roles)
	s.apply(bindings)
	s.eventually("both roles are in force", func(ctx context.Context) error { // the API server learns of them in a moment
		for _, what := range [][]string{{"nodes"}, {"pods", "-n", rig.Namespace}} {
			if out, err := s.Lab.Kubectl(ctx, "", append([]string{"auth", "can-i", "list", "--as=viewer"}, what...)...); err != nil {
				return fmt.Errorf("listing %v: %s %w", what, out, err)
			}
		}
		return nil
	})
	status := pluginJSON[struct {
		Speakers  []struct{ Node, State, Why string }
		Addresses []told
	}](s, "status", "--as=viewer")
	for _, sp := range status.Speakers {
		if sp.State != "ready" {
			s.Errorf("the viewer is told %+v of a speaker that is ready", sp)
		}
	}
	if text := s.plugin("explain", "svc/told", "-n", ns, "--as=viewer"); !strings.Contains(text, "nodeAssigned") || !strings.Contains(text, "owns it") {
		s.Errorf("the viewer is told less than an administrator:\n%s", text)
	}
}

// explains checks explain and pools: of the Service that has the pool's only address, and of one that waits for it.
func (s *scenario) explains(addr, node string) {
	s.Helper()
	text := s.plugin("explain", "svc/told", "-n", ns)
	for _, word := range []string{"gives it " + addr, node + " answers for it", "owns it", "standby: takes it if the owner dies", "nodeAssigned"} {
		if !strings.Contains(text, word) {
			s.Errorf("explain does not say %q:\n%s", word, text)
		}
	}
	for _, n := range s.Lab.Nodes() {
		if !strings.Contains(text, n.Name+" ") {
			s.Errorf("explain says nothing of %s:\n%s", n.Name, text)
		}
	}
	s.condition(s.service("waits", "plugin"), metav1.ConditionFalse, "Exhausted")
	s.poolCondition(&v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: "plugin", Namespace: rig.Namespace}}, metav1.ConditionFalse, "Exhausted")
	text = s.plugin("explain", "waits", "-n", ns)
	if !strings.Contains(text, "waits for an address: Exhausted") || !strings.Contains(text, "is full (1 IPv4 in use)") {
		s.Errorf("explain does not say that the pool is full:\n%s", text)
	}
	if text := s.plugin("pools", "-o", "wide"); !strings.Contains(text, addr+"/32") || !strings.Contains(text, "Exhausted") {
		s.Errorf("pools does not show that the pool is full:\n%s", text)
	}
	if text := s.plugin("__completeNoDesc", "explain", "--namespace", ns, "svc/"); !strings.Contains(text, "svc/told\nsvc/waits\n") {
		s.Errorf("the Services are not completed:\n%s", text)
	}
}
