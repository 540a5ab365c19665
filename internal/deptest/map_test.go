package deptest

import (
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// codeMap is the table of folders in docs/architecture.md.
type codeMap struct {
	named []string // whatever stands in backquotes
	pure  []string // the folders that are said to be pure, sorted
}

func readMap(t *testing.T) codeMap {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	var c codeMap
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			c.named = append(c.named, m[1])
		}
		if strings.HasPrefix(strings.TrimSpace(cells[3]), "yes") && !strings.Contains(cells[3], "imports Kubernetes types") {
			c.pure = append(c.pure, strings.Trim(cells[1], " `"))
		}
	}
	slices.Sort(c.pure)
	return c
}

func TestTheMapOfTheCodeCallsPureWhatTheRulesGuard(t *testing.T) {
	want := slices.Sorted(slices.Values(pure()))
	if diff := cmp.Diff(want, readMap(t).pure); diff != "" {
		t.Errorf("docs/architecture.md (-the rules +the map):\n%s", diff)
	}
}

// Folders below one that is named count as named in cmd and test only: those of the product each answer a question of their own.
func TestTheMapOfTheCodeNamesEveryFolder(t *testing.T) {
	named := readMap(t).named
	for _, s := range sources(t, token.NewFileSet()) {
		known := slices.Contains(named, s.folder) || slices.Contains(named, path.Dir(s.folder)+"/*")
		if strings.HasPrefix(s.folder, "test/") {
			known = slices.ContainsFunc(named, func(n string) bool { return n == s.folder || strings.HasPrefix(s.folder, n+"/") })
		}
		if !known {
			t.Errorf("docs/architecture.md does not name %s (%s)", s.folder, s.path)
		}
	}
}
