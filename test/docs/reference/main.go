// Command reference writes the configuration reference, docs/reference.md, from the CRDs: their descriptions are the
// documentation, here as in `kubectl explain`.
//
//	go run ./test/docs/reference config/crd/bases > docs/reference.md
package main

import (
	"fmt"
	"os"
	"path/filepath"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("reference %q: want the directory with the CRDs", args)
	}
	files, err := filepath.Glob(filepath.Join(args[0], "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no CRDs in %s: %w", args[0], err)
	}
	var crds []apiextensions.CustomResourceDefinition
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return fmt.Errorf("reading a CRD: %w", err)
		}
		var crd apiextensions.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
			return fmt.Errorf("reading %s: %w", f, err)
		}
		crds = append(crds, crd)
	}
	_, err = os.Stdout.WriteString(page(crds))
	return err
}
