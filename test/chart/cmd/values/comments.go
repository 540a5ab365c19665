package main

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value is a value of the chart.
type value struct {
	path    string // such as controller.image.tag
	fallsTo string // its default as YAML on one line; "" for a group of values
	about   string // its comment on one line
}

// readValues returns the values of values.yaml in its order. What has a comment is a value; of what has none, such as the fields of
// a default, nothing is said.
func readValues(text []byte) ([]value, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("reading the values: %w", err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("reading the values: there are none")
	}
	return appendValues(nil, "", document.Content[0])
}

func appendValues(out []value, prefix string, mapping *yaml.Node) ([]value, error) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, node := mapping.Content[i], mapping.Content[i+1]
		v := value{path: prefix + key.Value, about: oneLine(key.HeadComment)}
		group := isGroup(node)
		if !group {
			if v.about == "" {
				return nil, fmt.Errorf("values.yaml, line %d: %s has no comment above it", key.Line, v.path)
			}
			var err error
			if v.fallsTo, err = flow(node); err != nil {
				return nil, fmt.Errorf("values.yaml, line %d: %w", key.Line, err)
			}
		}
		if v.about != "" {
			out = append(out, v)
		}
		if group {
			var err error
			if out, err = appendValues(out, v.path+".", node); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// isGroup says whether the fields of a node are values of their own, or groups: the first has a comment, on a line of its own.
func isGroup(node *yaml.Node) bool {
	return node.Kind == yaml.MappingNode && len(node.Content) > 0 && (node.Content[0].HeadComment != "" || isGroup(node.Content[1]))
}

// flow writes a node on one line, without its comments.
func flow(node *yaml.Node) (string, error) {
	var plain any
	if err := node.Decode(&plain); err != nil {
		return "", fmt.Errorf("reading a default: %w", err)
	}
	var again yaml.Node
	if err := again.Encode(plain); err != nil {
		return "", fmt.Errorf("writing a default: %w", err)
	}
	again.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(&again)
	if err != nil {
		return "", fmt.Errorf("writing a default: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// oneLine makes a sentence of a comment.
func oneLine(comment string) string {
	var words []string
	for line := range strings.Lines(comment) {
		words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "#"))...)
	}
	return strings.Join(words, " ")
}
