package chart

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// ruleNames lists the alerts of a PrometheusRule, or of a file of rules.
func ruleNames(t *testing.T, groups any) []string {
	t.Helper()
	var out []string
	list, _ := groups.([]any)
	for _, g := range list {
		rules, _ := g.(map[string]any)["rules"].([]any)
		for _, r := range rules {
			out = append(out, fmt.Sprint(r.(map[string]any)["alert"]))
		}
	}
	return out
}

func TestPrometheusGetsTheAlertsAsTheyAre(t *testing.T) {
	var file object
	if err := yaml.Unmarshal([]byte(read(t, "charts", "steelyard", "files", "monitoring", "alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	const name, on = "PrometheusRule/steelyard", "--set=prometheus.prometheusRule.enabled=true"
	all := find(t, objects(t, template(t, on)), name)
	if diff := cmp.Diff(file["groups"], all.at("spec", "groups")); diff != "" {
		t.Errorf("the rules are not those of the file (-file +rendered):\n%s", diff)
	}
	alerts := ruleNames(t, file["groups"])
	if len(alerts) < 3 {
		t.Fatalf("the file has the alerts %v", alerts)
	}
	fewer := find(t, objects(t, template(t, on, "--set=prometheus.prometheusRule.disabledAlerts={"+alerts[0]+"}",
		"--set=prometheus.prometheusRule.extraAlerts[0].alert=Mine,prometheus.prometheusRule.extraAlerts[0].expr=vector(1)")), name)
	if diff := cmp.Diff(append(slices.Clone(alerts[1:]), "Mine"), ruleNames(t, fewer.at("spec", "groups"))); diff != "" {
		t.Errorf("with one left out and one added (-want +got):\n%s", diff)
	}
	if _, err := helm(t, "template", "steelyard", "charts/steelyard", on, "--set=prometheus.prometheusRule.disabledAlerts={Nothing}"); err == nil ||
		!strings.Contains(err.Error(), alerts[0]) {
		t.Errorf("an unknown name is no error that names the known ones: %v", err)
	}
}

func TestGrafanaGetsTheDashboardAsItIs(t *testing.T) {
	o := find(t, objects(t, template(t, "--set=prometheus.dashboard.enabled=true")), "ConfigMap/steelyard-dashboard")
	if o.at("metadata", "labels", "grafana_dashboard") != "1" {
		t.Errorf("Grafana's sidecar does not find it by the labels %v", o.at("metadata", "labels"))
	}
	text, _ := o.at("data", "steelyard.json").(string)
	var got, want any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	if err := json.Unmarshal([]byte(read(t, "charts", "steelyard", "files", "monitoring", "dashboard.json")), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the dashboard is not that of the file (-file +rendered):\n%s", diff)
	}
}

func TestMonitorsScrapeAsMetricsAreServed(t *testing.T) {
	const account = "prometheus.serviceAccount=p,prometheus.namespace=monitoring"
	for _, row := range []struct {
		name, set string
		kind      string
		endpoint  map[string]any
		bound     bool // whether Prometheus is bound to the role that reads metrics
	}{
		{"ServiceMonitor, secure", "prometheus.serviceMonitor.enabled=true," + account, "ServiceMonitor", map[string]any{
			"port": "metrics", "path": "/metrics", "scheme": "https",
			"bearerTokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token", "tlsConfig": map[string]any{"insecureSkipVerify": true}}, true},
		{"ServiceMonitor, in the clear", "prometheus.serviceMonitor.enabled=true,metrics.secure=false," + account, "ServiceMonitor", map[string]any{
			"port": "metrics", "path": "/metrics", "scheme": "http"}, false},
		{"PodMonitor, secure", "prometheus.podMonitor.enabled=true,prometheus.podMonitor.authorization.credentials.name=s," + account, "PodMonitor", map[string]any{
			"port": "metrics", "path": "/metrics", "scheme": "https",
			"authorization": map[string]any{"credentials": map[string]any{"name": "s"}}, "tlsConfig": map[string]any{"insecureSkipVerify": true}}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			rendered := objects(t, template(t, "--set="+row.set))
			for _, component := range []string{"controller", "speaker"} {
				m := find(t, rendered, row.kind+"/steelyard-"+component)
				endpoints := m.at("spec", "endpoints")
				if row.kind == "PodMonitor" {
					endpoints = m.at("spec", "podMetricsEndpoints")
				}
				if diff := cmp.Diff([]any{row.endpoint}, endpoints); diff != "" {
					t.Errorf("%s (-want +got):\n%s", m.name(), diff)
				}
			}
			if _, bound := rendered["ClusterRoleBinding/steelyard-metrics-reader"]; bound != row.bound {
				t.Errorf("Prometheus is bound to the role that reads metrics: %v, want %v", bound, row.bound)
			}
		})
	}
}
