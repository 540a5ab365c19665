package plugin

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheManualShowsWhatTheCommandsTell compares the outputs in docs/kubectl.md with the golden ones. Each names its file in a comment.
func TestTheManualShowsWhatTheCommandsTell(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "kubectl.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("<!-- internal/plugin/(testdata/[a-z0-9./-]+) -->\n\n```text\n\\$ [^\n]*\n((?s).*?)```\n")
	shown := block.FindAllSubmatch(page, -1)
	if len(shown) < 5 {
		t.Fatalf("found %d outputs, want at least one of each command", len(shown))
	}
	for _, m := range shown {
		want, err := os.ReadFile(string(m[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(want), string(m[2])); diff != "" {
			t.Errorf("%s is shown as it is no more (-want +got):\n%s", m[1], diff)
		}
	}
}
