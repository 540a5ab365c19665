// Values writes what charts/steelyard/values.yaml says of each value to two more places: the descriptions in values.schema.json,
// which editors show, and the tables of docs/chart-values.md. The comment above a value is the only place where it is explained.
//
// Contract: the root of the project is the working directory. It fails, and writes nothing, when a value has no comment, when
// values.yaml and the schema do not have the same values, or when a marker is missing in the document. What only MetalLB's chart has
// stands in the schema alone, marked with "x-metallb" (mapped, no effect or refused), and is explained there.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "values:", err)
		os.Exit(1)
	}
}

// run reads and writes below root.
func run(root string) error {
	paths := []string{
		filepath.Join(root, "charts", "steelyard", "values.yaml"),
		filepath.Join(root, "charts", "steelyard", "values.schema.json"),
		filepath.Join(root, "docs", "chart-values.md"),
	}
	var in [3][]byte
	for i, p := range paths {
		var err error
		if in[i], err = os.ReadFile(p); err != nil {
			return fmt.Errorf("reading: %w", err)
		}
	}
	schema, document, err := generate(in[0], in[1], in[2])
	if err != nil {
		return err
	}
	for p, content := range map[string][]byte{paths[1]: schema, paths[2]: document} {
		if err := os.WriteFile(p, content, 0o644); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

// generate returns the schema with the descriptions and the document with the tables.
func generate(values, schema, document []byte) (newSchema, newDocument []byte, err error) {
	explained, err := readValues(values)
	if err != nil {
		return nil, nil, err
	}
	s, err := readSchema(schema)
	if err != nil {
		return nil, nil, err
	}
	if err := s.describe(explained); err != nil {
		return nil, nil, err
	}
	if newSchema, err = s.text(); err != nil {
		return nil, nil, err
	}
	newDocument, err = fill(document, map[string]string{"values": tableOfValues(explained), "metallb": tableOfMetalLB(s.metallb())})
	return newSchema, newDocument, err
}
