package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// output is how a command prints its result: for people, or as the value that the text was made of.
type output string

// The outputs. The zero value is text; wide is text with more columns.
const (
	outputText output = ""
	outputWide output = "wide"
	outputJSON output = "json"
	outputYAML output = "yaml"
)

// addTo declares -o on the command.
func (o *output) addTo(c *cobra.Command) {
	c.Flags().VarP(o, "output", "o", "wide, json or yaml; text without it")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"wide", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)) // the flag was declared above
}

// String implements pflag.Value.
func (o *output) String() string { return string(*o) }

// Type implements pflag.Value.
func (o *output) Type() string { return "format" }

// Set implements pflag.Value.
func (o *output) Set(s string) error {
	switch output(s) {
	case outputWide, outputJSON, outputYAML:
		*o = output(s)
		return nil
	}
	return errors.New("want wide, json or yaml")
}

// print writes v as JSON or YAML, or calls text to write it for people.
func (o output) print(w io.Writer, v any, text func(w io.Writer, wide bool) error) error {
	var raw []byte
	var err error
	switch o {
	case outputJSON:
		raw, err = json.MarshalIndent(v, "", "  ")
		raw = append(raw, '\n')
	case outputYAML:
		raw, err = yaml.Marshal(v)
	default:
		return text(w, o == outputWide)
	}
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	_, err = w.Write(raw)
	return err
}

// show is print with a page to write the text on.
func (o output) show(w io.Writer, v any, text func(p *page, wide bool)) error {
	return o.print(w, v, func(w io.Writer, wide bool) error {
		p := newPage(w)
		text(p, wide)
		return p.err
	})
}
