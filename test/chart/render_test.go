package chart

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/steelyard-lb/steelyard/test/lab"
)

// update is read by the golden tests only.
var update = flag.Bool("update", false, "write testdata/*.golden.yaml from the chart")

// root is the project's root, seen from this package's directory, in which go test runs.
const root = "../.."

// helmPath builds Helm at the first call, unless the cache has it.
var helmPath = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	return lab.Tool(ctx, "helm", os.Stderr)
})

// helm runs helm in the project's root and returns its standard output; the error has what it said.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := helmPath()
	if err != nil {
		t.Fatalf("building helm: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = root
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// template renders the chart as release "steelyard" in namespace metallb-system.
func template(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, append([]string{"template", "steelyard", "charts/steelyard", "--namespace", "metallb-system"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// object is one document of a manifest.
type object map[string]any

// at follows fields and returns what is there, or nil.
func (o object) at(fields ...string) any {
	var v any = map[string]any(o)
	for _, f := range fields {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[f]
	}
	return v
}

func (o object) name() string {
	return fmt.Sprintf("%v/%v", o["kind"], o.at("metadata", "name"))
}

// objects parses a manifest; every kind and name in it must be there once.
func objects(t *testing.T, manifest string) map[string]object {
	t.Helper()
	out := map[string]object{}
	for _, document := range strings.Split("\n"+manifest, "\n---") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("parsing YAML: %v\n%s", err, document)
		}
		if len(o) == 0 {
			continue
		}
		if _, twice := out[o.name()]; twice {
			t.Errorf("%s is there twice", o.name())
		}
		out[o.name()] = o
	}
	return out
}

func names(objects map[string]object) []string {
	var out []string
	for name := range objects {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func find(t *testing.T, objects map[string]object, name string) object {
	t.Helper()
	o, ok := objects[name]
	if !ok {
		t.Fatalf("%s is missing; there are %v", name, names(objects))
	}
	return o
}

// container is the first container of a workload, ours.
func container(t *testing.T, workload object) object {
	t.Helper()
	list, _ := workload.at("spec", "template", "spec", "containers").([]any)
	if len(list) == 0 {
		t.Fatalf("%s has no container", workload.name())
	}
	return list[0].(map[string]any)
}

func args(t *testing.T, workload object) []string {
	t.Helper()
	var out []string
	list, _ := container(t, workload)["args"].([]any)
	for _, a := range list {
		out = append(out, a.(string))
	}
	return out
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{root}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// golden compares with testdata/NAME.golden.yaml, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden.yaml")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./test/chart -update writes it)", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the chart renders something else (-want +got); if that is meant: go test ./test/chart -update\n%s", diff)
	}
}
