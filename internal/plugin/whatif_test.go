package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

func TestWhatIf(t *testing.T) {
	home(t)
	waits := func() *town {
		town := newTown()
		town.serve("default", "waits").Annotations = map[string]string{v1beta1.AnnotationAddressPool: "more"}
		return town
	}
	for _, c := range []struct {
		golden, args string
		town         func() *town
	}{
		{"whatif-drain.txt", "what-if drain node3", newTown},
		{"whatif-drain.json", "what-if drain node3 -o json", newTown},
		{"whatif-cordon.txt", "what-if cordon node3", newTown},
		{"whatif-delete-node.txt", "what-if delete-node node2", newTown},
		{"whatif-delete-pool.txt", "what-if delete-pool default", newTown},
		{"whatif-edit-pool.txt", "what-if edit-pool -f testdata/whatif-pool.yaml", waits},
		{"whatif-edit-advertisement.txt", "what-if edit-advertisement -f testdata/whatif-advertisement.yaml", newTown},
		{"drain-dry-run.txt", "drain node3 --dry-run", newTown},
		{"move-dry-run.txt", "move svc/web --to node3 --dry-run", newTown},
	} {
		t.Run(c.golden, func(t *testing.T) {
			s := newStage(t, c.town())
			before := s.all(t)
			got, err := s.call(t, "", strings.Fields(c.args)...)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.golden, got)
			if diff := cmp.Diff(before, s.all(t)); diff != "" {
				t.Errorf("it was done (-before +after):\n%s", diff)
			}
		})
	}
}

func TestAnEditIsReadFromStandardInput(t *testing.T) {
	home(t)
	raw, err := os.ReadFile(filepath.Join("testdata", "whatif-pool.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := newStage(t, newTown()).call(t, string(raw), "what-if", "edit-pool", "-f", "-")
	if err != nil || !strings.Contains(got, "IPAddressPool default and IPAddressPool more were as in the file") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFailOnChangeTellsByItsError(t *testing.T) {
	home(t)
	s := newStage(t, newTown())
	for args, want := range map[string]bool{"what-if drain node3 --fail-on-change": true, "what-if cordon node3 --fail-on-change": false, "what-if drain node3": false} {
		_, err := s.call(t, "", strings.Fields(args)...)
		if got := errors.As(err, new(WouldChange)); got != want || !want && err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}
