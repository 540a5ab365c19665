package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const intro = `# Configuration reference

<!-- Written by "make generate" from the CRDs; change api/v1beta1 instead. -->

Every field of the kinds of ` + "`metallb.io/v1beta1`" + `. The same text is in the cluster: ` + "`kubectl explain ipaddresspool.spec`" + `.
Annotations of Services are in [annotations.md](annotations.md), the chart's values in [chart-values.md](chart-values.md).
`

// page returns the whole reference in Markdown.
func page(crds []apiextensions.CustomResourceDefinition) string {
	var b strings.Builder
	b.WriteString(intro)
	for _, crd := range crds {
		for _, v := range crd.Spec.Versions {
			schema := v.Schema.OpenAPIV3Schema
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", crd.Spec.Names.Kind, cell(schema.Description))
			if names := crd.Spec.Names.ShortNames; len(names) > 0 {
				fmt.Fprintf(&b, "\nShort names for kubectl: `%s`.\n", strings.Join(names, "`, `"))
			}
			for _, part := range []string{"spec", "status"} {
				if p, ok := schema.Properties[part]; ok && len(p.Properties) > 0 {
					fmt.Fprintf(&b, "\n### %s %s\n\n%s| field | type | what it says |\n|---|---|---|\n", crd.Spec.Names.Kind, part, rules(p))
					rows(&b, "", p)
				}
			}
		}
	}
	return b.String()
}

// rules are what is checked of an object as a whole, as a list.
func rules(p apiextensions.JSONSchemaProps) string {
	var b strings.Builder
	for _, r := range p.XValidations {
		if r.Message != "" {
			fmt.Fprintf(&b, "- %s\n", cell(r.Message))
		}
	}
	if b.Len() > 0 {
		return "Refused otherwise:\n\n" + b.String() + "\n"
	}
	return ""
}

// rows writes a line for every property, and for those below it.
func rows(b *strings.Builder, prefix string, p apiextensions.JSONSchemaProps) {
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		field := p.Properties[name]
		path := prefix + name
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", path, kind(field, slices.Contains(p.Required, name)), cell(text(field)))
		if field.Items != nil && field.Items.Schema != nil {
			path, field = path+"[]", *field.Items.Schema
		}
		if known(field) == "" {
			rows(b, path+".", field)
		}
	}
}

// known names the types of Kubernetes' own that every reader knows; empty for others.
func known(p apiextensions.JSONSchemaProps) string {
	if _, ok := p.Properties["matchExpressions"]; ok {
		return "label selector"
	}
	if _, ok := p.Properties["lastTransitionTime"]; ok {
		return "condition"
	}
	return ""
}

// kind is the type in words, with what narrows it.
func kind(p apiextensions.JSONSchemaProps, required bool) string {
	out := p.Type
	switch {
	case p.XIntOrString:
		out = "number or string"
	case known(p) != "":
		out = known(p)
	case p.Type == "array" && p.Items != nil && p.Items.Schema != nil:
		out = "list of " + kind(*p.Items.Schema, false)
	case p.AdditionalProperties != nil && p.AdditionalProperties.Schema != nil:
		out = "map to " + kind(*p.AdditionalProperties.Schema, false)
	case p.Format != "" && p.Type == "string":
		out = p.Format
	}
	for _, e := range p.Enum {
		out += fmt.Sprintf(" `%s`", strings.Trim(string(e.Raw), `"`))
	}
	if p.Minimum != nil {
		out += fmt.Sprintf(" ≥ %.0f", *p.Minimum)
	}
	if p.Maximum != nil && *p.Maximum < math.MaxInt32 {
		out += fmt.Sprintf(" ≤ %.0f", *p.Maximum)
	}
	if required {
		out += ", required"
	}
	if p.Default != nil {
		out += fmt.Sprintf(", default `%s`", p.Default.Raw)
	}
	return out
}

// text is the description with what else is checked.
func text(p apiextensions.JSONSchemaProps) string {
	out := p.Description
	for _, r := range p.XValidations {
		if r.Message != "" {
			out += " Refused otherwise: " + r.Message + "."
		}
	}
	return out
}

// cell is text on one line of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
