package chart

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// byHand keeps the golden files to what is written by hand: CRDs and rules are generated, what Prometheus and Grafana read has
// another author, and all have tests of their own.
func byHand(manifest string) string {
	var out []string
	for _, document := range strings.SplitAfter(manifest, "---\n") {
		if !elsewhere.MatchString(document) {
			out = append(out, document)
		}
	}
	return strings.Join(out, "")
}

var elsewhere = regexp.MustCompile(`# Source: steelyard/templates/(rbac|crds|monitoring)\.yaml`)

func TestHelmLintFindsNothing(t *testing.T) {
	if _, err := helm(t, "lint", "--strict", "--quiet", "charts/steelyard"); err != nil {
		t.Error(err)
	}
}

func TestDefaults(t *testing.T) {
	golden(t, "defaults", byHand(template(t, "--set=gossip.secretKey=a-fixed-key")))
}

func TestEverythingSet(t *testing.T) {
	const values = "test/chart/testdata/everything.values.yaml"
	golden(t, "everything", byHand(template(t, "--values="+values)))

	var defaults, set map[string]any
	for path, into := range map[string]*map[string]any{"charts/steelyard/values.yaml": &defaults, values: &set} {
		if err := yaml.Unmarshal([]byte(read(t, path)), into); err != nil {
			t.Fatal(err)
		}
	}
	for _, same := range unchanged("", defaults, set) {
		t.Errorf("%s has its default in %s", same, values)
	}
}

// hiding lists what everything.values.yaml leaves as it is, because a change would hide others: the rest of gossip, a service account's
// annotations, all alerts but one.
var hiding = []string{"gossip.encryption", "speaker.serviceAccount.create", "prometheus.prometheusRule.disabledAlerts"}

// unchanged returns the paths of the defaults that set leaves as they are.
func unchanged(prefix string, defaults, set map[string]any) []string {
	var out []string
	for key, value := range defaults {
		path := strings.TrimPrefix(prefix+"."+key, ".")
		inner, isMap := value.(map[string]any)
		other, _ := set[key].(map[string]any)
		switch {
		case isMap && len(inner) > 0 && key != "resources":
			out = append(out, unchanged(path, inner, other)...)
		case cmp.Equal(value, set[key]) && !slices.Contains(hiding, path):
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

func TestUnknownAndWrongValuesAreRefused(t *testing.T) {
	rows := []struct{ set, want string }{
		{"controler.replicas=2", "controler"},
		{"speaker.level=debug", "level"},
		{"speaker.logLevel=loud", "/speaker/logLevel"},
		{"controller.image.digest=sha256:12", "/controller/image/digest"},
		{"logLevel=loud", "/logLevel"},
		{"gossip.port=70000", "/gossip/port"},
		{"speaker.image.pullPolicy=Sometimes", "/speaker/image/pullPolicy"},
	}
	for _, row := range rows {
		t.Run(row.set, func(t *testing.T) {
			_, err := helm(t, "template", "steelyard", "charts/steelyard", "--set="+row.set)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want one that names %s", err, row.want)
			}
		})
	}
}

func TestManifestIsTheChart(t *testing.T) {
	manifest := objects(t, read(t, "config", "manifests", "steelyard.yaml"))
	namespace := find(t, manifest, "Namespace/metallb-system")
	if got := namespace.at("metadata", "labels", "pod-security.kubernetes.io/enforce"); got != "privileged" {
		t.Errorf("the namespace enforces Pod Security %q, which refuses the speaker", got)
	}
	delete(manifest, "Namespace/metallb-system")
	if diff := cmp.Diff(objects(t, template(t, "--set=gossip.encryption=false")), manifest); diff != "" {
		t.Errorf("make generate writes another manifest (-chart +manifest):\n%s", diff)
	}
	for name := range manifest {
		if strings.HasPrefix(name, "Secret/") {
			t.Errorf("%s is in a public file", name)
		}
	}
}

func TestChartHasTheGeneratedCRDs(t *testing.T) {
	rendered := objects(t, template(t))
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) != 3 {
		t.Fatalf("CRDs: %v, %v; want 3", files, err)
	}
	for _, file := range files {
		for name, want := range objects(t, read(t, "config", "crd", "bases", filepath.Base(file))) {
			got := find(t, rendered, name)
			if got.at("metadata", "annotations", "helm.sh/resource-policy") != "keep" {
				t.Errorf("%s would be deleted by helm uninstall, and every object of its kind with it", name)
			}
			if diff := cmp.Diff(want["spec"], got["spec"]); diff != "" {
				t.Errorf("%s is not the generated one (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestChartHasTheGeneratedRules(t *testing.T) {
	rendered := objects(t, template(t))
	for _, component := range []string{"controller", "speaker"} {
		generated := objects(t, read(t, "config", "rbac", component+".yaml"))
		if diff := cmp.Diff([]string{"ClusterRole/steelyard-" + component, "Role/steelyard-" + component}, names(generated)); diff != "" {
			t.Errorf("config/rbac/%s.yaml (-want +got):\n%s", component, diff)
		}
		for name, want := range generated {
			if diff := cmp.Diff(want["rules"], find(t, rendered, name)["rules"]); diff != "" {
				t.Errorf("%s has other rules than the generated ones (-want +got):\n%s", name, diff)
			}
			kind, _, _ := strings.Cut(name, "/")
			binding := find(t, rendered, kind+"Binding/steelyard-"+component)
			wantSubject := []any{map[string]any{"kind": "ServiceAccount", "name": "steelyard-" + component, "namespace": "metallb-system"}}
			if diff := cmp.Diff(wantSubject, binding["subjects"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", binding.name(), diff)
			}
		}
	}
}

// Nobody may read Secrets or write what is not ours: the gossip key reaches the speaker by a volume.
func TestNoRuleReachesSecretsOrEverything(t *testing.T) {
	for name, o := range objects(t, template(t)) {
		rules, _ := o["rules"].([]any)
		for _, r := range rules {
			text := fmt.Sprint(r)
			if strings.Contains(text, "secrets") || strings.Contains(text, "*") {
				t.Errorf("%s: %s", name, text)
			}
		}
	}
}

func TestPodsHaveNoMorePowerThanTheyNeed(t *testing.T) {
	rendered := objects(t, template(t))
	for workload, capabilities := range map[string]map[string]any{
		"Deployment/steelyard-controller": {"drop": []any{"ALL"}},
		"DaemonSet/steelyard-speaker":     {"drop": []any{"ALL"}, "add": []any{"NET_RAW"}},
	} {
		o := find(t, rendered, workload)
		c := container(t, o)
		for _, want := range []struct {
			field string
			value any
		}{{"capabilities", capabilities}, {"allowPrivilegeEscalation", false}, {"readOnlyRootFilesystem", true}, {"privileged", nil}} {
			if diff := cmp.Diff(want.value, c.at("securityContext", want.field)); diff != "" {
				t.Errorf("%s securityContext.%s (-want +got):\n%s", workload, want.field, diff)
			}
		}
		if got := o.at("spec", "template", "spec", "securityContext", "seccompProfile", "type"); got != "RuntimeDefault" {
			t.Errorf("%s has seccomp profile %v", workload, got)
		}
	}
	controller := find(t, rendered, "Deployment/steelyard-controller")
	if controller.at("spec", "template", "spec", "securityContext", "runAsNonRoot") != true || controller.at("spec", "template", "spec", "hostNetwork") != nil {
		t.Error("the controller needs neither root nor the host's network")
	}
}

func TestGossipKey(t *testing.T) {
	key := func(args ...string) any {
		return find(t, objects(t, template(t, args...)), "Secret/steelyard-gossip").at("data", "secretkey")
	}
	if a, b := key(), key(); a == b {
		t.Errorf("two installations get the same key %v", a)
	}
	if got := key("--set=gossip.secretKey=fixed"); got != "Zml4ZWQ=" {
		t.Errorf("the key is %v, want the base64 of the given one", got)
	}
	if _, made := objects(t, template(t, "--set=gossip.existingSecret=mine"))["Secret/steelyard-gossip"]; made {
		t.Error("a Secret is made beside the existing one")
	}
}

func TestMetricsAreForThoseWhoMay(t *testing.T) {
	const auth, reader, binding = "ClusterRole/steelyard-metrics-auth", "ClusterRole/steelyard-metrics-reader", "ClusterRoleBinding/steelyard-metrics-auth"
	for _, row := range []struct {
		name   string
		values []string
		args   []string // of both workloads, about metrics
		roles  bool
		volume bool
	}{
		{"by default", nil, []string{"--metrics-secure=true"}, true, false},
		{"with a certificate", []string{"--set=metrics.certSecret=tls"}, []string{"--metrics-secure=true", "--metrics-cert-dir=/etc/steelyard/metrics"}, true, true},
		{"in the clear", []string{"--set=metrics.secure=false,metrics.certSecret=tls"}, []string{"--metrics-secure=false"}, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			rendered := objects(t, template(t, row.values...))
			for _, role := range []string{auth, reader, binding} {
				if _, there := rendered[role]; there != row.roles {
					t.Errorf("%s is rendered: %v, want %v", role, there, row.roles)
				}
			}
			for _, workload := range []string{"Deployment/steelyard-controller", "DaemonSet/steelyard-speaker"} {
				o := find(t, rendered, workload)
				var got []string
				for _, a := range args(t, o) {
					if strings.HasPrefix(a, "--metrics-") && !strings.HasPrefix(a, "--metrics-bind") {
						got = append(got, a)
					}
				}
				if diff := cmp.Diff(row.args, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", workload, diff)
				}
				volumes := fmt.Sprint(o.at("spec", "template", "spec", "volumes"))
				if strings.Contains(volumes, "secretName:tls") != row.volume {
					t.Errorf("%s has the volumes %s", workload, volumes)
				}
			}
		})
	}
}

func TestOneControllerStaysWhenNodesAreDrained(t *testing.T) {
	const budget = "PodDisruptionBudget/steelyard-controller"
	if got := find(t, objects(t, template(t)), budget).at("spec", "minAvailable"); got != float64(1) {
		t.Errorf("minAvailable is %v, want 1", got)
	}
	if _, there := objects(t, template(t, "--set=controller.replicas=1"))[budget]; there {
		t.Error("a budget for a single controller would block every drain")
	}
}

// What the chart passes is what the binaries know: a renamed flag would keep every pod from starting.
func TestEveryFlagExists(t *testing.T) {
	rendered := objects(t, template(t, "--values=test/chart/testdata/everything.values.yaml"))
	for workload, binary := range map[string]string{"Deployment/lan-controller": "steelyard-controller", "DaemonSet/lan-speaker": "steelyard-speaker"} {
		cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/"+binary, "--help")
		cmd.Dir = root
		help, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s --help: %v", binary, err)
		}
		for _, arg := range args(t, find(t, rendered, workload)) {
			flag, _, _ := strings.Cut(arg, "=")
			if !slices.Contains(strings.Fields(string(help)), flag) {
				t.Errorf("%s has no flag %s", binary, flag)
			}
		}
	}
	manifest := read(t, "config", "manifests", "steelyard.yaml")
	if !strings.Contains(manifest, "STEELYARD_GOSSIP_KEY_FILE=/etc/steelyard/gossip/secretkey") {
		t.Error("the manifest does not say how to encrypt the gossip")
	}
}
