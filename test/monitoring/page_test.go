package monitoring

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented reads the tables below a heading of docs/metrics.md: name, type, labels.
func documented(t *testing.T, heading string) map[string]string {
	t.Helper()
	_, after, ok := strings.Cut(read(t, metricsPage), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/metrics.md has no section %s", heading)
	}
	section, _, _ := strings.Cut(after, "\n## ")
	out := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| (.*?) \\| (.+) \\|$")
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		if _, twice := out[m[1]]; twice {
			t.Errorf("docs/metrics.md lists %s twice below %s", m[1], heading)
		}
		out[m[1]] = m[2] + " " + strings.NewReplacer("`", "", ",", "").Replace(m[3])
	}
	return out
}

// said is what the page should say of metrics. That every one of a speaker has the label node is said once.
func said(all map[string]metric, implied string) map[string]string {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		own := slices.DeleteFunc(slices.Clone(all[name].labels), func(l string) bool { return l == implied })
		out[name] = all[name].kind + " " + strings.Join(own, " ")
	}
	return out
}

func TestThePageListsEveryMetricAndNoOther(t *testing.T) {
	for _, c := range []struct {
		heading string
		all     map[string]metric
		implied string
	}{
		{"The controller", controller(t), ""},
		{"The speakers", speaking(t), "node"},
	} {
		if diff := cmp.Diff(said(c.all, c.implied), documented(t, c.heading)); diff != "" {
			t.Errorf("%s: type and labels, as the program says and as the page says (-program +page):\n%s", c.heading, diff)
		}
	}
}
