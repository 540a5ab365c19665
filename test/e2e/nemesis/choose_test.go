package nemesis

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/steelyard-lb/steelyard/test/lab"
)

// choose returns the scenarios of a tier whose names match, and without an expression the short ones.
func choose(tier lab.Tier, name *regexp.Regexp) []scenario {
	return slices.DeleteFunc(scenarios(), func(c scenario) bool {
		if name == nil {
			return c.tier != tier || !c.short
		}
		return c.tier != tier || !name.MatchString(c.name)
	})
}

// choice is what the environment says; nil is none.
func choice() (*regexp.Regexp, error) {
	text := os.Getenv("NEMESIS")
	if text == "" {
		return nil, nil
	}
	name, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("which scenarios (ONLY= of make nemesis): %w", err)
	}
	return name, nil
}

func TestScenariosAreChosenByAnExpression(t *testing.T) {
	for text, want := range map[string][]string{
		"explicit move, strict":                {"explicit move, strict conntrack"},
		"LAN cable out for 5 s$|^interface re": {"LAN cable out for 5 s", "interface renamed"},
		"no such scenario":                     nil,
	} {
		t.Setenv("NEMESIS", text)
		name, err := choice()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range choose(lab.Lite, name) {
			got = append(got, c.name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q chooses %q, want %q", text, got, want)
		}
	}
	t.Setenv("NEMESIS", "(")
	if name, err := choice(); err == nil {
		t.Errorf("a broken expression is taken for %v", name)
	}
}
