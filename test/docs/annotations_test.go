package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// constants returns the string constants of a package whose names or types match, as value → name. A sum of constants is followed.
func constants(t *testing.T, dir string, match *regexp.Regexp) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	exprs, matches := map[string]ast.Expr{}, map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
				for i, id := range spec.Names {
					exprs[id.Name] = spec.Values[i]
					matches[id.Name] = match.MatchString(id.Name) || spec.Type != nil && match.MatchString(types.ExprString(spec.Type))
				}
			}
			return true
		})
	}
	out := map[string]string{}
	for id, e := range exprs {
		if v, ok := text(e, exprs); ok && matches[id] {
			out[v] = id
		}
	}
	if len(out) == 0 {
		t.Fatalf("no constants %v in %s", match, dir)
	}
	return out
}

// text is the value of an expression of strings and names of strings.
func text(e ast.Expr, names map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.Unquote(e.Value)
		return v, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		of, ok := names[e.Name]
		if !ok {
			return "", false
		}
		return text(of, names)
	case *ast.BinaryExpr:
		x, okX := text(e.X, names)
		y, okY := text(e.Y, names)
		return x + y, okX && okY && e.Op == token.ADD
	}
	return "", false
}

// section is the part of a page below a heading, up to the next of the same level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, page), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", page, heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// firstCells are the words in backquotes in the first column of the tables of a text.
func firstCells(text string) (out []string) {
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestEveryAnnotationReasonAndEventIsDocumentedAndExists(t *testing.T) {
	const page = "docs/annotations.md"
	reason := regexp.MustCompile(`^lb\.Reason$`)
	tests := []struct {
		name     string
		sections []string
		from     map[string]*regexp.Regexp // package → constants
		foreign  []string                  // documented here, of Kubernetes or told elsewhere in the section
	}{
		{"annotations", []string{"Annotations on Services that you write", "Annotations that Steelyard writes"},
			map[string]*regexp.Regexp{"api/v1beta1": regexp.MustCompile(`^Annotation[A-Z]`)}, nil},
		{"labels", []string{"Labels"}, map[string]*regexp.Regexp{"api/v1beta1": regexp.MustCompile(`^Label[A-Z]`)},
			[]string{"node.kubernetes.io/exclude-from-external-load-balancers"}},
		{"conditions", []string{"Conditions"}, map[string]*regexp.Regexp{"api/v1beta1": regexp.MustCompile(`^Condition[A-Z]`)}, nil},
		{"why no address", []string{"Why a Service has no address"}, map[string]*regexp.Regexp{"internal/allocate": reason, "internal/kube": reason}, nil},
		{"why no owner", []string{"Why an address has no owner, or a node is no candidate"},
			map[string]*regexp.Regexp{"internal/ownership": reason}, nil},
		{"events", []string{"Events"}, map[string]*regexp.Regexp{"controllers": regexp.MustCompile(`^event[A-Z]`), "speaker": regexp.MustCompile(`^Event[A-Z]`)}, nil},
	}
	// Those are explained with the conditions.
	ofConditions := []string{"Ready", "Invalid", "OlderPool", "NoOverlap", "ServicesWait", "NoneWaits", "SeenOnLAN", "NoConflict"}
	conditions := section(t, page, "Conditions")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var said []string
			for _, s := range tt.sections {
				said = append(said, firstCells(section(t, page, s))...)
			}
			exist := map[string]string{}
			for dir, names := range tt.from {
				for v, id := range constants(t, dir, names) {
					if strings.HasSuffix(v, "/") {
						continue // a prefix
					}
					exist[v] = id
				}
			}
			for v, id := range exist {
				if slices.Contains(ofConditions, v) && strings.Contains(conditions, "`"+v+"`") {
					continue
				}
				if !slices.Contains(said, v) {
					t.Errorf("%s does not explain %q (%s)", page, v, id)
				}
			}
			for _, s := range said {
				if exist[s] == "" && !slices.Contains(tt.foreign, s) {
					t.Errorf("%s explains %q, which the code does not have", page, s)
				}
			}
		})
	}
}

func TestEveryCauseIsDocumented(t *testing.T) {
	var want []string
	for c := lb.CauseFree; c.String() != "unknown"; c++ {
		want = append(want, c.String())
	}
	said := firstCells(section(t, "docs/annotations.md", "Why an address moved"))
	if !slices.Equal(want, said) {
		t.Errorf("docs/annotations.md explains the causes %q, the code has %q", said, want)
	}
}
