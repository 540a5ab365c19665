package e2e

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// foretold is the part of a forecast that the tests read.
type foretold struct {
	Changes []struct {
		Service, Kind, OldAddress, NewAddress, From, To, Reason string
	}
}

// node returns who is foretold to answer for an address.
func (f foretold) node(s *scenario, addr netip.Addr) string {
	s.Helper()
	for _, c := range f.Changes {
		if c.NewAddress == addr.String() {
			return c.To
		}
	}
	s.Fatalf("nothing is foretold of %s: %+v", addr, f)
	return ""
}

// answersNow fails unless the client hears this node, and no other, at the first look.
func (s *scenario) answersNow(addr netip.Addr, node string) {
	s.Helper()
	if now := s.owner(addr); now != node {
		s.Errorf("the witness hears %s for %s, want %s", now, addr, node)
	}
}

// labels are those of a Node.
func (s *scenario) labels(node string) map[string]string {
	s.Helper()
	var n corev1.Node
	if err := s.API.Get(s.ctx, client.ObjectKey{Name: node}, &n); err != nil {
		s.Fatal(err)
	}
	return n.Labels
}

// other is a node that is none of these.
func (s *scenario) other(nodes ...string) string {
	for _, n := range s.Lab.Nodes() {
		if !slices.Contains(nodes, n.Name) {
			return n.Name
		}
	}
	s.Fatalf("there is no node but %v", nodes)
	return ""
}

func TestThePluginMovesAddressesAsItForetells(t *testing.T) {
	s := begin(t)
	s.pool("act", "192.168.1.251/32")
	svc := s.service("act", "act")
	addr := s.address(svc)
	first := s.owner(addr)
	second := s.other(first)

	s.plugin("move", "svc/act", "-n", ns, "--to", second)
	s.answersNow(addr, second) // the command has waited
	s.plugin("move", "svc/act", "-n", ns, "--unset")
	s.answersNow(addr, second)

	before := s.labels(second)
	third := pluginJSON[foretold](s, "what-if", "drain", second).node(s, addr)
	s.Cleanup(func() { s.plugin("undrain", second) })
	text := s.plugin("drain", second)
	s.answersNow(addr, third)
	for _, word := range []string{addr.String() + " (" + ns + "/act): " + third + " answers for it now", second + " has no address any more"} {
		if !strings.Contains(text, word) {
			s.Errorf("drain does not say %q:\n%s", word, text)
		}
	}
	if drained := s.kubectl("", "get", "nodes", "-o", "name", "-l", v1beta1.LabelDrained); drained != "node/"+second+"\n" {
		s.Errorf("the drained nodes are %q, want %s", drained, second)
	}
	s.plugin("undrain", second)
	if after := s.labels(second); len(after) != len(before) {
		s.Errorf("labels before the drain %v, after the undrain %v", before, after)
	}
	if now := s.steady(addr); now != third {
		s.Errorf("%s went to %s when %s was undrained, want it to stay with %s", addr, now, second, third)
	}
}

func TestThePluginForetellsWhatAnEditedPoolDoes(t *testing.T) {
	s := begin(t)
	p := s.pool("edited", "192.168.1.252/32")
	svc := s.service("edited", "edited")
	addr := s.address(svc)
	file := filepath.Join(t.TempDir(), "pool.yaml")
	yaml := "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: edited, namespace: metallb-system}\n" +
		"spec: {addresses: [192.168.1.253/32], autoAssign: false}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	f := pluginJSON[foretold](s, "what-if", "edit-pool", "-f", file)
	if len(f.Changes) != 1 || f.Changes[0].Kind != "Renumbered" || f.Changes[0].OldAddress != addr.String() || f.Changes[0].NewAddress != "192.168.1.253" {
		s.Fatalf("foretold %+v, want that %s is replaced", f, addr)
	}
	if now := s.address(svc); now != addr {
		s.Errorf("the Service has %s, though nothing was written", now)
	}
	s.kubectl(yaml, "apply", "-f", "-")
	next := netip.MustParseAddr("192.168.1.253")
	want := f.node(s, next)
	s.ownerIs(next, func(n string) bool { return n == want }, want)
	if got := s.plugin("what-if", "cordon", want); !strings.Contains(got, "Nothing would change") {
		s.Errorf("what-if cordon says\n%s", got)
	}
	s.failsOnChange("delete-pool", p.Name)
	if got := pluginJSON[foretold](s, "what-if", "delete-pool", p.Name); len(got.Changes) != 1 || got.Changes[0].Kind != "Pending" {
		s.Errorf("what-if delete-pool foretells %+v, want that the Service waits", got)
	}
}

// failsOnChange checks what a pipeline looks at: the exit status.
func (s *scenario) failsOnChange(args ...string) {
	s.Helper()
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		s.Fatal(err)
	}
	cmd := s.Lab.KubectlCommand(s.ctx, append([]string{"steelyard", "what-if"}, append(args, "--fail-on-change")...)...)
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		s.Errorf("%v, want exit status 2; it printed\n%s", err, out)
	}
}
