package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBlocks(t *testing.T) {
	const page = `# Title

Text with ` + "`code`" + `.

    kubectl get pods
    kubectl get nodes

<!-- illustrative: needs a registry -->

    docker build .

` + "```sh" + `
helm list \
  --all
` + "```" + `

` + "```yaml" + `
kind: Pod
` + "```" + `

<!-- run by TestX -->
    make demo

`
	want := []Block{
		{"p", 5, "kubectl get pods\nkubectl get nodes", ""},
		{"p", 10, "docker build .", "illustrative: needs a registry"},
		{"p", 13, "helm list \\\n  --all", ""},
		{"p", 22, "make demo", "run by TestX"},
	}
	if d := cmp.Diff(want, blocks("p", page)); d != "" {
		t.Errorf("blocks (-want +got):\n%s", d)
	}
}

// What no test runs must say so; what a test is said to run must have that test, and the test must run it from the page or name it.
func TestEveryCommandIsRunOrIllustrative(t *testing.T) {
	tests := testSources(t)
	pages, err := Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	run := 0
	for _, page := range pages {
		list, err := Blocks(root, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range list {
			switch by := b.RunBy(); {
			case b.Illustrative():
				if b.Mark == "illustrative" {
					t.Errorf("%v is illustrative and does not say why", b)
				}
			case by != "":
				run++
				if !strings.Contains(tests, "func "+by+"(") && !strings.Contains(read(t, ".ci/run"), by) {
					t.Errorf("%v is said to be run by %s, which is no test and no step of .ci/run", b, by)
				}
			default:
				run++
			}
		}
	}
	if run < 20 {
		t.Errorf("%d blocks are run, want more", run)
	}
}

// testSources are all Go files of tests, one after the other.
func testSources(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		b.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
