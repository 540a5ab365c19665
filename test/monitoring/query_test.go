package monitoring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// exported is what there is to ask for: the metrics of both programs and of their libraries. A metric that both have counts with the
// labels of either.
func exported(t *testing.T) map[string]metric {
	t.Helper()
	out := common(t)
	for _, more := range []map[string]metric{controller(t), speaking(t)} {
		for name, m := range more {
			m.labels = union(out[name].labels, m.labels)
			out[name] = m
		}
	}
	return out
}

// union returns the names in either list, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// check says what is wrong with a query: metrics, labels and values of labels that are not exported, and labels that its reader
// uses, in a legend or an annotation, and that its result has not.
func check(all map[string]metric, query string, shown []string) []string {
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return []string{fmt.Sprintf("does not parse: %v", err)}
	}
	c := &checker{all: all}
	have := c.labels(tree)
	for _, name := range shown {
		if !slices.Contains(have, name) {
			c.complain("its result has no label %s", name)
		}
	}
	return c.problems
}

// checker collects what is wrong with a query.
type checker struct {
	all      map[string]metric
	problems []string
}

func (c *checker) complain(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// labels returns the labels that the result of an expression may have, and checks the expression on the way.
func (c *checker) labels(node parser.Node) []string {
	switch e := node.(type) {
	case *parser.VectorSelector:
		return c.selector(e)
	case *parser.AggregateExpr:
		return c.aggregate(e)
	case *parser.BinaryExpr:
		return c.binary(e)
	}
	var out []string
	for child := range parser.ChildrenIter(node) {
		out = union(out, c.labels(child))
	}
	return out
}

// selector checks the names and values that a selector asks for.
func (c *checker) selector(e *parser.VectorSelector) []string {
	name, part := e.Name, ""
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && c.all[base].kind == "histogram" {
			name, part = base, suffix
		}
	}
	m, ok := c.all[name]
	if !ok || m.kind == "histogram" && part == "" {
		c.complain("there is no metric %s", e.Name)
		return nil
	}
	have := union(m.labels, []string{"instance", "job"}) // every Prometheus adds these two
	if part == "_bucket" {
		have = union(have, []string{"le"})
	}
	for _, by := range e.LabelMatchers {
		known, positive := m.values[by.Name], by.Type == labels.MatchEqual || by.Type == labels.MatchRegexp
		switch {
		case by.Name == "__name__":
		case !slices.Contains(have, by.Name):
			c.complain("%s has no label %s", name, by.Name)
		case positive && len(known) > 0 && !slices.ContainsFunc(known, by.Matches):
			c.complain("no %s=%q of %s is ever exported", by.Name, by.Value, name)
		}
	}
	return have
}

func (c *checker) aggregate(e *parser.AggregateExpr) []string {
	have := c.labels(e.Expr)
	if e.Param != nil {
		c.labels(e.Param)
	}
	for _, name := range e.Grouping {
		if !slices.Contains(have, name) {
			c.complain("groups by %s, which is no label of %s", name, e.Expr)
		}
	}
	switch {
	case e.Op == parser.TOPK || e.Op == parser.BOTTOMK:
		return have
	case e.Without:
		return slices.DeleteFunc(have, func(l string) bool { return slices.Contains(e.Grouping, l) })
	}
	return e.Grouping
}

// binary checks what is matched on. The result of "or" may have the labels of either side; any other has those of the left.
func (c *checker) binary(e *parser.BinaryExpr) []string {
	left, right := c.labels(e.LHS), c.labels(e.RHS)
	if e.VectorMatching == nil {
		return union(left, right) // one of them is a number
	}
	if e.VectorMatching.On {
		for _, name := range e.VectorMatching.MatchingLabels {
			if !slices.Contains(left, name) || !slices.Contains(right, name) {
				c.complain("matches on %s, which not both sides have", name)
			}
		}
	}
	if e.Op == parser.LOR {
		return union(left, right)
	}
	return left
}

// The check would be worth nothing if it let these pass.
func TestWhatIsNotExportedIsFound(t *testing.T) {
	all := exported(t)
	for _, c := range []struct {
		query string
		shown []string
		want  string // empty: nothing
	}{
		{"max(steelyard_services_pending)", nil, ""},
		{`sum by (pool) (steelyard_pool_addresses{state="free"})`, []string{"pool"}, ""},
		{`max by (node) (metallb_k8s_client_config_stale_bool)`, []string{"node"}, ""},
		{"histogram_quantile(0.9, sum by (le) (rate(steelyard_plan_duration_seconds_bucket[5m])))", nil, ""},
		{"rate(steelyard_plan_duration_seconds_count[5m])", []string{"instance"}, ""},
		{`up`, nil, "there is no metric up"},
		{"max(steelyard_services_waiting)", nil, "there is no metric steelyard_services_waiting"},
		{"steelyard_plan_duration_seconds", nil, "there is no metric steelyard_plan_duration_seconds"},
		{`steelyard_pool_addresses{color="red"}`, nil, "steelyard_pool_addresses has no label color"},
		{`steelyard_pool_addresses{state="empty"}`, nil, `no state="empty" of steelyard_pool_addresses is ever exported`},
		{`steelyard_gossip_dropped_total{reason=~"kee|y"}`, nil, `no reason="kee|y" of steelyard_gossip_dropped_total is ever exported`},
		{"sum by (node) (steelyard_services_pending)", nil, "groups by node, which is no label of steelyard_services_pending"},
		{"sum by (pool) (steelyard_pool_addresses)", []string{"family"}, "its result has no label family"},
		{"steelyard_pool_conflicts * on (node) steelyard_pool_addresses", nil, "matches on node, which not both sides have"},
		{"topk(3, sum by (ip) (metallb_layer2_requests_received))", []string{"ip"}, ""},
		{"topk(scalar(steelyard_none), steelyard_pool_conflicts)", nil, "there is no metric steelyard_none"},
		{`steelyard_pool_conflicts{pool!="lan"}`, nil, ""},
		{"max(steelyard_pool_conflicts", nil, "does not parse"},
	} {
		got := strings.Join(check(all, c.query, c.shown), "; ")
		if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %s", c.query, cmp.Diff(c.want, got))
		}
	}
}
