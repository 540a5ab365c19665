package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// schema is values.schema.json: a JSON Schema (draft 7), of which "properties", "description", "oneOf" and references to
// "#/definitions/NAME" are understood.
type schema struct {
	root map[string]any
}

// property is a place in the schema that describes a value.
type property struct {
	path string
	node map[string]any
	// shared is what node refers to, or nil: the same for every value that does so.
	shared map[string]any
}

func readSchema(text []byte) (schema, error) {
	var s schema
	if err := json.Unmarshal(text, &s.root); err != nil {
		return s, fmt.Errorf("reading the schema: %w", err)
	}
	return s, nil
}

// text is the schema as a file, its keys in alphabetical order.
func (s schema) text() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(s.root); err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	return out.Bytes(), nil
}

// properties lists all of them, in the order of their paths; a group comes before what is in it.
func (s schema) properties() []property { return s.below("", s.root) }

func (s schema) below(prefix string, node map[string]any) []property {
	var out []property
	inner, _ := node["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(inner)) {
		child, ok := inner[name].(map[string]any)
		if !ok {
			continue
		}
		p := property{path: prefix + name, node: child, shared: s.target(child)}
		out = append(out, p)
		for _, alternative := range p.shapes() {
			out = append(out, s.below(p.path+".", alternative)...)
		}
	}
	return out
}

// target is the definition that a node refers to, or nil.
func (s schema) target(node map[string]any) map[string]any {
	reference, _ := node["$ref"].(string)
	definitions, _ := s.root["definitions"].(map[string]any)
	target, _ := definitions[strings.TrimPrefix(reference, "#/definitions/")].(map[string]any)
	return target
}

// shapes are the nodes that may have the fields of a value.
func (p property) shapes() []map[string]any {
	out := []map[string]any{p.node}
	if p.shared != nil {
		out = append(out, p.shared)
	}
	list, _ := p.node["oneOf"].([]any)
	for _, one := range list {
		if node, ok := one.(map[string]any); ok {
			out = append(out, node)
		}
	}
	return out
}

// isMetalLB says whether a value is there for users of MetalLB's chart alone.
func (p property) isMetalLB() bool { return p.node["x-metallb"] != nil }

// metallb lists the values that are there for users of MetalLB's chart alone.
func (s schema) metallb() []property {
	return slices.DeleteFunc(s.properties(), func(p property) bool { return !p.isMetalLB() })
}

// describe writes the descriptions. The schema and values must be about the same values.
func (s schema) describe(values []value) error {
	about := map[string]string{}
	for _, v := range values {
		about[v.path] = v.about
	}
	var errs []error
	written := map[string]string{} // by the path; by two paths when a definition is shared
	places := map[string]bool{}
	for _, p := range s.properties() {
		places[p.path] = true
		if text, ok := about[p.path]; ok {
			p.node["description"] = text
			written[p.path] = text
		}
		if p.node["description"] == nil && !hasFields(p) {
			errs = append(errs, fmt.Errorf("%s is in the schema and nothing describes it", p.path))
		}
	}
	for _, v := range values {
		if !places[v.path] {
			errs = append(errs, fmt.Errorf("%s is in values.yaml and not in the schema", v.path))
		} else if written[v.path] != v.about {
			errs = append(errs, fmt.Errorf("%s is described in two ways", v.path))
		}
	}
	return errors.Join(errs...)
}

func hasFields(p property) bool {
	return slices.ContainsFunc(p.shapes(), func(n map[string]any) bool { return n["properties"] != nil })
}
