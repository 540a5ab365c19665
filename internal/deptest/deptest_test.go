package deptest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/steelyard-lb/steelyard"

// A rule forbids imports to some folders. It looks at what is built into the product, not at tests. A pattern ending in
// "/..." names a folder and everything below it; any other names itself.
type rule struct {
	name   string
	in     []string // folders of this module that the rule is about
	except []string // folders of those that it is not about
	forbid []string // import paths
	why    string
}

func pure() []string {
	return []string{"internal/lb", "internal/adopt", "internal/allocate", "internal/doctor", "internal/live", "internal/liveness", "internal/neighbor", "internal/ownership",
		"internal/statuspage", "internal/whatif"}
}

func rules() []rule {
	product := []string{"api/...", "cmd/...", "controllers/...", "internal/...", "speaker/..."}
	return []rule{
		{
			name: "a decision has no I/O", in: pure(),
			forbid: []string{"os/...", "net", "net/http/...", "io/fs", "syscall", "golang.org/x/sys/...", "golang.org/x/net/...", "database/...", "plugin"},
			why:    "the same world must give the same decision: explain, what-if and every test run these packages on a value",
		},
		{
			name: "a decision has no logger", in: pure(),
			forbid: []string{"log/...", "github.com/go-logr/...", "go.uber.org/zap/...", "k8s.io/klog/..."},
			why:    "what there is to say is in the result, so that a condition, an Event and explain say the same",
		},
		{
			name: "a decision knows no Kubernetes", in: pure(),
			forbid: []string{"k8s.io/...", "sigs.k8s.io/...", module + "/api/...", module + "/internal/kube"},
			why:    "internal/kube is the only place that knows how Kubernetes spells things",
		},
		{
			name: "a decision knows no gossip", in: pure(),
			forbid: []string{"github.com/hashicorp/..."},
			why:    "who is alive enters as a value",
		},
		{
			name: "a decision is not random and waits for nothing", in: pure(),
			forbid: []string{"math/rand/...", "crypto/rand", "context", "sync/..."},
			why:    "two nodes with the same view must come to the same decision, at once",
		},
		{
			name: "the border reads objects, not clusters", in: []string{"internal/kube", "api/..."},
			forbid: []string{"k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/...", "net/http/...", "os/..."},
			why:    "a plugin or a test converts objects that it has from anywhere",
		},
		{
			name: "gossip is spoken in one folder", in: product, except: []string{"speaker/gossip"},
			forbid: []string{"github.com/hashicorp/memberlist/..."},
			why:    "the library can be replaced there",
		},
		{
			name: "packets are sent in one folder", in: product, except: []string{"speaker/wire"},
			forbid: []string{"github.com/mdlayher/packet/...", "github.com/vishvananda/netlink/...", "golang.org/x/net/bpf"},
			why:    "what a node says on the LAN is read in one place",
		},
		{
			name: "the two binaries do not know each other", in: []string{"controllers/..."},
			forbid: []string{module + "/speaker/...", "github.com/mdlayher/..."},
			why:    "they meet in the API only, so that either can be replaced or upgraded alone",
		},
		{
			name: "the speaker does not allocate", in: []string{"speaker/..."},
			forbid: []string{module + "/controllers/...", module + "/internal/allocate"},
			why:    "a speaker announces what the Services' status says; two who choose addresses would choose two",
		},
		{
			name: "dependencies point inward", in: []string{"internal/...", "api/..."},
			forbid: []string{module + "/controllers/...", module + "/speaker/...", module + "/cmd/..."},
			why:    "what decides must not know who asks",
		},
		{
			name: "who serves does not explain", in: []string{"controllers/...", "speaker/...", "cmd/steelyard-controller", "cmd/steelyard-speaker"},
			forbid: []string{module + "/internal/plugin/...", module + "/internal/live/fetch", "github.com/spf13/...", "k8s.io/cli-runtime/..."},
			why:    "the plugin looks at what the two do from outside; they must not need it, nor carry a client of the speakers",
		},
		{
			name: "the virtual network is for tests", in: product,
			forbid: []string{module + "/internal/simnet/..."},
			why:    "a host that answers by our own code proves nothing about a kernel; nothing of it may end up in a binary",
		},
		{
			name: "the product does not need its tests", in: product,
			forbid: []string{module + "/test/...", "testing/..."},
			why:    "test/ can run anything as root; nothing of it may end up in a binary",
		},
	}
}

// clockCalls are the functions of package time that read the clock or wait.
func clockCalls() []string {
	return []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
}

// source is one Go file of the product, its folder relative to the module's root.
type source struct {
	folder, path string
	file         *ast.File
}

// sources parses every Go file outside testdata and test files.
func sources(t *testing.T, fset *token.FileSet) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(fset, filepath.Join(root, p), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, source{folder: path.Dir(p), path: p, file: file})
		return nil
	})
	if err != nil {
		t.Fatalf("reading the sources: %v", err)
	}
	return out
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, isTree := strings.CutSuffix(p, "/...")
		return name == below || isTree && strings.HasPrefix(name, below+"/")
	})
}

// violations returns the imports of one file that a rule forbids.
func (r rule) violations(s source) []string {
	if !matches(r.in, s.folder) || matches(r.except, s.folder) {
		return nil
	}
	var out []string
	for _, spec := range s.file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err == nil && matches(r.forbid, name) {
			out = append(out, name)
		}
	}
	return out
}

// readsClock returns the clock functions that a file uses. A renamed or dot import of package time counts as one.
func readsClock(file *ast.File) []string {
	var out []string
	for _, spec := range file.Imports {
		if spec.Path.Value == `"time"` && spec.Name != nil {
			out = append(out, "import "+spec.Name.Name+` "time"`)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clockCalls(), sel.Sel.Name) {
				out = append(out, "time."+sel.Sel.Name)
			}
		}
		return true
	})
	return out
}

func TestImports(t *testing.T) {
	all := sources(t, token.NewFileSet())
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			looked := 0
			for _, s := range all {
				if matches(r.in, s.folder) {
					looked++
				}
				for _, name := range r.violations(s) {
					t.Errorf("%s imports %s, which is forbidden here: %s", s.path, name, r.why)
				}
			}
			if looked == 0 {
				t.Errorf("no file is in %v: the rule guards nothing any more", r.in)
			}
		})
	}
}

func TestDecisionsReadNoClock(t *testing.T) {
	for _, s := range sources(t, token.NewFileSet()) {
		if !matches(pure(), s.folder) {
			continue
		}
		for _, call := range readsClock(s.file) {
			t.Errorf("%s uses %s: time enters a pure package as a value, or a test could not choose it", s.path, call)
		}
	}
}

func TestNoFolderIsNamedForNothing(t *testing.T) {
	for _, s := range sources(t, token.NewFileSet()) {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "base"}, path.Base(s.folder)) {
			t.Errorf("%s: folders are named for what they do", s.path)
		}
	}
}

// The test of the test: a file that breaks the rules is caught.
func TestTheRulesCatch(t *testing.T) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "bad.go", `package allocate
import ("net"; "net/netip"; "time"; "k8s.io/api/core/v1")
var a = time.Now()
var b = time.Second`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rules() {
		got = append(got, r.violations(source{folder: "internal/allocate", file: file})...)
	}
	if want := []string{"net", "k8s.io/api/core/v1"}; !slices.Equal(got, want) {
		t.Errorf("forbidden imports: got %v, want %v", got, want)
	}
	if got, want := readsClock(file), []string{"time.Now"}; !slices.Equal(got, want) {
		t.Errorf("clock calls: got %v, want %v", got, want)
	}
}
