package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWrongStartsEndWithAStatus(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "") // not in a pod, wherever the test runs
	none := func(string) string { return "" }
	empty := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(empty, []byte("not a kubeconfig"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		want int
	}{
		{"help", []string{"--help"}, nil, 0},
		{"version", []string{"--version"}, nil, 0},
		{"an unknown flag", []string{"--nope"}, nil, 2},
		{"an argument", []string{"start"}, nil, 2},
		{"a wrong log level", []string{"--log-level", "loud"}, nil, 1},
		{"a kubeconfig that does not exist", []string{"--kubeconfig", "/does/not/exist"}, nil, 1},
		{"a kubeconfig that is none", []string{"--kubeconfig", empty}, nil, 1},
		{"neither kubeconfig nor pod", nil, nil, 1},
		{"a wrong environment variable", nil, map[string]string{"STEELYARD_METRICS_SECURE": "perhaps"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			getenv := none
			if c.env != nil {
				getenv = func(k string) string { return c.env[k] }
			}
			if got := command(c.args, getenv); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
		})
	}
}
