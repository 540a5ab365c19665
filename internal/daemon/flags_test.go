package daemon

import (
	"errors"
	"flag"
	"strings"
	"testing"
)

func TestParseTakesFlagsThenEnvironment(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		want string // namespace
		err  string // part of the error
	}{
		{"the default", nil, nil, "metallb-system", ""},
		{"the flag", []string{"--namespace=a"}, nil, "a", ""},
		{"the variable", nil, map[string]string{"STEELYARD_NAMESPACE": "b"}, "b", ""},
		{"the variable that pods set", nil, map[string]string{"POD_NAMESPACE": "c"}, "c", ""},
		{"ours before the one that pods set", nil, map[string]string{"STEELYARD_NAMESPACE": "b", "POD_NAMESPACE": "c"}, "b", ""},
		{"the flag before both", []string{"--namespace", "a"}, map[string]string{"STEELYARD_NAMESPACE": "b", "POD_NAMESPACE": "c"}, "a", ""},
		{"an unknown flag", []string{"--nmespace=a"}, nil, "", "-nmespace"},
		{"a stray argument", []string{"a"}, nil, "", `unexpected argument "a"`},
		{"a variable that does not fit", nil, map[string]string{"STEELYARD_RETRIES": "many"}, "", `STEELYARD_RETRIES="many"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := flag.NewFlagSet("steelyard-test", flag.ContinueOnError)
			var common Common
			common.AddTo(fs, ":1", ":2")
			fs.Int("retries", 3, "how often")
			err := Parse(fs, "about", c.args, func(k string) string { return c.env[k] })
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("error = %v, want one line with %q", err, c.err)
				}
				return
			}
			if err != nil || common.Namespace != c.want {
				t.Errorf("namespace = %q, error = %v; want %q", common.Namespace, err, c.want)
			}
		})
	}
}

func TestTheVersionIsPrintedOnlyWhenAFlagAsksForIt(t *testing.T) {
	for _, c := range []struct {
		args []string
		want error
	}{{[]string{"--version"}, flag.ErrHelp}, {nil, nil}} {
		fs := flag.NewFlagSet("steelyard-test", flag.ContinueOnError)
		variable := func(name string) string { return map[string]string{"STEELYARD_VERSION": "true"}[name] }
		if err := Parse(fs, "about", c.args, variable); !errors.Is(err, c.want) {
			t.Errorf("%q: error %v, want %v", c.args, err, c.want)
		}
	}
}

func TestHelpNamesEveryFlagAndItsVariable(t *testing.T) {
	fs := flag.NewFlagSet("steelyard-test", flag.ContinueOnError)
	new(Common).AddTo(fs, ":1", ":2")
	var out strings.Builder
	printHelp(&out, fs, "What it is for.")
	fs.VisitAll(func(f *flag.Flag) {
		for _, want := range append(envNames(f.Name), "--"+f.Name) {
			if !strings.Contains(out.String(), want) {
				t.Errorf("help does not name %s", want)
			}
		}
	})
	if !strings.HasPrefix(out.String(), "What it is for.") {
		t.Error("help does not begin with what the binary is for")
	}
}
