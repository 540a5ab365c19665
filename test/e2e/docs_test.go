package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/test/docs"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// Every block of commands in the documentation that is not marked is run as it stands, page by page, against a cluster with the
// quickstart in it; words in capitals that a reader fills in are filled in here.
func TestTheCommandsInTheDocumentationWork(t *testing.T) {
	s := begin(t)
	s.apply(rig.Nginx)
	s.apply(rig.Quickstart)
	addr := s.address(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "nginx-service", Namespace: "default"}})
	owner := s.owner(addr)
	other := s.Lab.Nodes()[0].Name
	if other == owner {
		other = s.Lab.Nodes()[1].Name
	}
	fill := strings.NewReplacer("NAMESPACE", "default", "NAME", "nginx-service", "ADDRESS", addr.String(), "NODE", other)
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := docs.Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range pages {
		blocks, err := docs.Blocks(root, page)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir() // what a page writes, it may read further down
		for _, b := range blocks {
			if b.Illustrative() || b.RunBy() != "" {
				continue
			}
			ran++
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			cmd := s.Lab.ShellCommand(ctx, fill.Replace(b.Text), bin)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s\n%s", b, err, b.Text, out)
			}
			cancel()
		}
	}
	if ran == 0 {
		t.Error("the documentation has no commands to run")
	}
}
