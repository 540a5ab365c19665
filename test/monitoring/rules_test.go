package monitoring

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/steelyard-lb/steelyard/test/lab"
)

// The files under test, seen from this package's directory, in which go test runs.
const (
	root        = "../.."
	alertsFile  = root + "/charts/steelyard/files/monitoring/alerts.yaml"
	dashboard   = root + "/charts/steelyard/files/monitoring/dashboard.json"
	metricsPage = root + "/docs/metrics.md"
	runbook     = root + "/docs/troubleshooting-alerts.md"
	alertTests  = "testdata/alerts_test.yaml"
)

// promtool builds promtool at the first call, unless the cache has it.
var promtool = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	return lab.Tool(ctx, "promtool", os.Stderr)
})

// run runs promtool and returns what it said.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := promtool()
	if err != nil {
		t.Fatalf("building promtool: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

// alert is a rule of the file.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string  `json:"name"`
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, alertsFile)), &file); err != nil {
		t.Fatal(err)
	}
	var out []alert
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) < 10 {
		t.Fatalf("found %d alerts", len(out))
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// inTemplate finds the labels that an annotation shows.
var inTemplate = regexp.MustCompile(`\$labels\.(\w+)`)

func TestAlertsAskForWhatIsExported(t *testing.T) {
	all := exported(t)
	for _, a := range alerts(t) {
		var shown []string
		for _, text := range a.Annotations {
			for _, m := range inTemplate.FindAllStringSubmatch(text, -1) {
				shown = append(shown, m[1])
			}
		}
		for _, problem := range check(all, a.Expr, shown) {
			t.Errorf("%s: %s", a.Alert, problem)
		}
	}
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	page := read(t, runbook)
	for _, a := range alerts(t) {
		url := "https://github.com/steelyard-lb/steelyard/blob/main/docs/troubleshooting-alerts.md#" + strings.ToLower(a.Alert)
		if a.Annotations["runbook_url"] != url {
			t.Errorf("%s: the runbook is %q, want %q", a.Alert, a.Annotations["runbook_url"], url)
		}
		if !strings.Contains(page, "\n## "+a.Alert+"\n") {
			t.Errorf("%s has no section in docs/troubleshooting-alerts.md", a.Alert)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || a.For == "" {
			t.Errorf("%s lacks a summary, a description or a time", a.Alert)
		}
		if !slices.Contains([]string{"critical", "warning"}, a.Labels["severity"]) {
			t.Errorf("%s has severity %q", a.Alert, a.Labels["severity"])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^## (Steelyard\w+)$`).FindAllStringSubmatch(page, -1) {
		if !slices.ContainsFunc(alerts(t), func(a alert) bool { return a.Alert == m[1] }) {
			t.Errorf("docs/troubleshooting-alerts.md explains %s, and there is no such alert", m[1])
		}
	}
}

func TestPrometheusTakesTheRules(t *testing.T) {
	if out, err := run(t, "check", "rules", "--lint=all", "--lint-fatal", alertsFile); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The stories are in testdata.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	if out, err := run(t, "test", "rules", alertTests); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	stories := read(t, alertTests)
	for _, a := range alerts(t) {
		if !strings.Contains(stories, `alertname="`+a.Alert+`",alertstate="firing",severity="`) && !strings.Contains(stories, "alertname: "+a.Alert+"\n") {
			t.Errorf("%s fires in no story", a.Alert)
		}
	}
}

// The series of the stories are those that a Prometheus would scrape.
func TestStoriesAreAboutWhatIsExported(t *testing.T) {
	all := exported(t)
	series := regexp.MustCompile(`series: '([^']+)'`).FindAllStringSubmatch(read(t, alertTests), -1)
	if len(series) < 30 {
		t.Fatalf("found %d series", len(series))
	}
	for _, s := range series {
		for _, problem := range check(everything(all), s[1], nil) {
			t.Errorf("%s: %s", s[1], problem)
		}
	}
}

// everything is all without the values of labels: a story has pools and nodes of its own.
func everything(all map[string]metric) map[string]metric {
	out := make(map[string]metric, len(all))
	for name, m := range all {
		m.values = nil
		out[name] = m
	}
	return out
}
