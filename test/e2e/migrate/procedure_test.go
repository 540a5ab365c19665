package migrate

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/steelyard-lb/steelyard/test/docs"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// page is the procedure. Its commands are run as they stand there, in one directory, with two exceptions, because no kubelet runs a
// Pod here: nothing waits until Pods are ready, and doctor may find errors. What Pods would do, the test does: InstallBare starts
// Steelyard's processes, and oldSpeakers are MetalLB's.
const page = "docs/migrate-from-metallb.md"

// shell prepares the directory, and what the page defines for all its blocks.
func (s *town) shell() {
	s.t.Helper()
	s.dir = s.t.TempDir()
	charts, err := filepath.Abs(filepath.Join(root, "charts"))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(charts, filepath.Join(s.dir, "charts")); err != nil {
		s.t.Fatal(err)
	}
	function, _, _ := strings.Cut(s.block("clean()"), "\n")
	s.setup = s.block("NS=metallb-system") + "\n" + function + "\n"
}

// block returns the block of the page that is the text, or the only one that has it.
func (s *town) block(text string) string {
	s.t.Helper()
	all, err := docs.Blocks(root, page)
	if err != nil {
		s.t.Fatal(err)
	}
	var found []string
	for _, b := range all {
		if b.Text == text {
			return text
		}
		if strings.Contains(b.Text, text) {
			found = append(found, b.Text)
		}
	}
	if len(found) != 1 {
		s.t.Fatalf("%d blocks of %s have %q, want one", len(found), page, text)
	}
	return found[0]
}

// follow runs the block of the page that has the text, less the lines that begin with one of without: those the test runs elsewhere.
func (s *town) follow(ctx context.Context, text string, without ...string) string {
	s.t.Helper()
	script := s.setup
	for line := range strings.Lines(s.block(text)) {
		line = strings.TrimRight(strings.ReplaceAll(line, " --wait", ""), "\n")
		switch {
		case begins(line, append(without, "kubectl -n $NS rollout status")):
			continue
		case begins(line, []string{"kubectl steelyard doctor"}):
			line = "kubectl steelyard doctor || [ $? = 1 ]"
		}
		script += line + "\n"
	}
	cmd := s.Lab.ShellCommand(ctx, script, s.bin)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("following %s failed: %v\n%s\nprinted\n%s", page, err, script, out)
	}
	return string(out)
}

func begins(line string, with []string) bool {
	for _, w := range with {
		if strings.HasPrefix(strings.TrimSpace(line), w) {
			return true
		}
	}
	return false
}

// poolsAreThere wants the configuration to be as MetalLB left it.
func (s *town) poolsAreThere(ctx context.Context, after string) {
	s.t.Helper()
	got := strings.Fields(s.kubectl(ctx, "", "get", "ipaddresspools,l2advertisements", "-n", rig.Namespace, "-o", "name"))
	if len(got) != 3 {
		s.t.Errorf("after %s the pools and advertisements are %q, want 2 and 1", after, got)
	}
}
