package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgressOfOthersIsIndentedLineByLine(t *testing.T) {
	var out strings.Builder
	s := newStage(&out)
	for _, part := range []string{"building ", "etcd\nbuilding", " kubelet\n"} {
		if n, err := s.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	const pad = "              "
	if diff := cmp.Diff(pad+"building etcd\n"+pad+"building kubelet\n", out.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestStepsAreNumbered(t *testing.T) {
	var out strings.Builder
	s := newStage(&out)
	s.say("one")
	s.say("two %d", 2)
	if text := out.String(); !strings.Contains(text, "1. one\n") || !strings.Contains(text, "2. two 2\n") {
		t.Errorf("the steps are printed as\n%s", text)
	}
}
