package chart

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const metallbValues = "test/chart/testdata/metallb.values.yaml"

func TestAFileOfMetalLBsValuesIsUnderstood(t *testing.T) {
	rendered := objects(t, template(t, "--values="+metallbValues))
	controller, speaker := find(t, rendered, "Deployment/metallb-controller"), find(t, rendered, "DaemonSet/metallb-speaker")
	for _, row := range []struct {
		value    string
		workload object
		args     []string
	}{
		{"logLevel=all, and no port of MetalLB", controller, []string{"--log-level=debug", "--metrics-bind-address=:17945"}},
		{"logLevel=none, and no port of MetalLB", speaker, []string{"--log-level=error", "--metrics-bind-address=:17947"}},
		{"excludeInterfaces.enabled=false", speaker, []string{"--exclude-interfaces="}},
	} {
		for _, want := range row.args {
			if got := args(t, row.workload); !slices.Contains(got, want) {
				t.Errorf("%s: %s has no %s, it has %v", row.value, row.workload.name(), want, got)
			}
		}
	}
	for secret, workload := range map[string]object{"for-controller": controller, "for-speaker": speaker, "my-memberlist": speaker} {
		if got := volumeSecrets(workload); !slices.Contains(got, secret) {
			t.Errorf("%s has the Secrets %v, want %s among them", workload.name(), got, secret)
		}
	}
	if _, made := rendered["Secret/metallb-gossip"]; made {
		t.Error("a Secret is made beside speaker.secretName")
	}
	for _, name := range []string{"ServiceMonitor/metallb-speaker", "ClusterRoleBinding/metallb-metrics-reader"} {
		find(t, rendered, name)
	}
}

func volumeSecrets(workload object) []string {
	var out []string
	volumes, _ := workload.at("spec", "template", "spec", "volumes").([]any)
	for _, v := range volumes {
		if name, ok := object(v.(map[string]any)).at("secret", "secretName").(string); ok {
			out = append(out, name)
		}
	}
	return out
}

// problems are the lines that helm shows for a set of values.
func problems(t *testing.T, args ...string) []string {
	t.Helper()
	_, err := helm(t, append([]string{"template", "steelyard", "charts/steelyard"}, args...)...)
	if err == nil {
		return nil
	}
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^- (.*)$`).FindAllStringSubmatch(err.Error(), -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Errorf("helm %v: %v", args, err)
	}
	return out
}

func TestWhatCannotBeHadIsRefusedWithWhatToWriteInstead(t *testing.T) {
	for _, row := range []struct{ set, value, instead string }{
		{"frrk8s.enabled=true", "frrk8s", "Set frrk8s.enabled=false"},
		{"frrk8s.external=true", "frrk8s", "frrk8s.external=false"},
		{"speaker.frr.enabled=true", "speaker.frr.enabled", "Set it to false"},
		{"controller.enabled=false", "controller.enabled", "controller.replicas=0"},
		{"speaker.enabled=false", "speaker.enabled", "speaker.nodeSelector"},
		{"controller.command=/controller", "controller.command", "leave it out"},
		{"speaker.image.repository=quay.io/metallb/speaker", "speaker.image.repository", "Leave it out"},
		{"controller.webhookMode=onlywebhook", "controller.webhookMode", "controller.replicas=0"},
		{"speaker.tolerateMaster=false", "speaker.tolerateMaster", "to []"},
		{"speaker.securityContext.runAsNonRoot=true", "speaker.securityContext", "Leave it out"},
		{"tls.minVersion=VersionTLS13", "tls.minVersion", "Leave it out"},
		{"tls.cipherSuites=VersionTLS12", "tls.cipherSuites", "Leave it out"},
		{"prometheus.podMonitor.enabled=true,prometheus.rbacPrometheus=false", "prometheus.podMonitor.enabled", "prometheus.serviceMonitor.enabled"},
		{"prometheus.serviceMonitor.enabled=true,prometheus.serviceAccount=p", "prometheus.rbacPrometheus", "prometheus.namespace"},
		{"prometheus.prometheusRule.enabled=true,prometheus.prometheusRule.addressPoolUsage.enabled=false", "prometheus.prometheusRule.addressPoolUsage", "disabledAlerts"},
		{"speaker.memberlist.enabled=false", "speaker.memberlist.enabled", "gossip.profile"},
		{"speaker.memberlist.mlBindAddrOverride=0.0.0.0", "speaker.memberlist.mlBindAddrOverride", "Leave it out"},
		{"speaker.memberlist.mlBindPort=7947", "speaker.memberlist.mlBindPort", "gossip.port"},
		{"prometheus.metricsPort=7472", "prometheus.metricsPort", "speaker.metricsPort"},
		{"speaker.secretName=a,gossip.existingSecret=b", "speaker.secretName", "gossip.existingSecret=b"},
		{"networkpolicies.defaultDeny=true", "networkpolicies.defaultDeny", "networkpolicies.enabled=true"},
	} {
		t.Run(row.set, func(t *testing.T) {
			got := problems(t, "--set="+row.set)
			if len(got) != 1 || !strings.HasPrefix(got[0], row.value) || !strings.Contains(got[0], row.instead) {
				t.Errorf("helm says %q, want one line about %s with %q", got, row.value, row.instead)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		if got := problems(t, "--set=frrk8s.enabled=true,controller.enabled=false,tls.cipherSuites=a,speaker.memberlist.enabled=false"); len(got) != 4 {
			t.Errorf("helm names %d of 4 problems: %q", len(got), got)
		}
	})
}

// What --reuse-values gives a newer chart.
func TestTheValuesOfAnOlderChartAreRefusedWithTheRemedy(t *testing.T) {
	for _, missing := range []string{"prometheus", "networkpolicies", "rbac"} {
		_, err := helm(t, "template", "steelyard", "charts/steelyard", "--set="+missing+"=null")
		if err == nil || !strings.Contains(err.Error(), "--reset-then-reuse-values") {
			t.Errorf("without %s: error %v, want one with the remedy", missing, err)
		}
	}
}

func TestSpeakersTolerate(t *testing.T) {
	const master, controlPlane = "node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"
	for _, row := range []struct {
		set  string
		want []any // the keys
	}{
		{"logLevel=info", []any{nil}}, // the default: every taint
		{"speaker.tolerations=", []any{controlPlane, master}},
		{"speaker.tolerations[0].key=gpu,speaker.tolerations[0].operator=Exists", []any{"gpu", controlPlane, master}},
		{"speaker.tolerations[0].key=gpu,speaker.tolerations[0].operator=Exists,speaker.tolerateMaster=false", []any{"gpu"}},
	} {
		t.Run(row.set, func(t *testing.T) {
			args := []string{"--set=" + row.set}
			if strings.HasSuffix(row.set, "tolerations=") {
				args = []string{"--set-json=speaker.tolerations=[]"}
			}
			var got []any
			list, _ := find(t, objects(t, template(t, args...)), "DaemonSet/steelyard-speaker").at("spec", "template", "spec", "tolerations").([]any)
			for _, one := range list {
				got = append(got, one.(map[string]any)["key"])
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("tolerated keys %v, want %v", got, row.want)
			}
		})
	}
}
