package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const peerHelp = `
A peer file is YAML (test/bench/peer.example.yaml is one):

  name: other                    # in the table
  namespace: metallb-system      # where it looks for its pools
  manifests: [crds.yaml]         # applied first, paths relative to the file: its CRDs, at least
  controller:
    command: [/path/controller, "--kubeconfig={{kubeconfig}}"]
    env: {NAMESPACE: "{{namespace}}"}
  speaker:                       # one is started on each node
    command: [/path/speaker, "--node-name={{node}}"]
    env: {POD_NAME: "{{pod}}"}

Placeholders: {{kubeconfig}} of an administrator, {{namespace}}, {{dir}} (the file's directory), {{secretDir}} (a directory
with a random gossip key in the file "secretkey"), and for the speaker {{node}}, {{nodeIP}} and {{pod}}. The programs run as processes, the controller beside the API server and a speaker in
each node's network namespace, as root. Since implementations find their peers by the speakers' pods, a placeholder pod
with the node's address runs on every node, named {{pod}}, with the labels component=speaker, app=metallb and
app.kubernetes.io/component=speaker; further ones can be given as podLabels: {key: value}.
`

// peer is another implementation of the API, as a peer file describes it.
type peer struct {
	Name       string            `json:"name"`
	Namespace  string            `json:"namespace"`
	Manifests  []string          `json:"manifests"`
	PodLabels  map[string]string `json:"podLabels"`
	Controller program           `json:"controller"`
	Speaker    program           `json:"speaker"`

	dir, secretDir string
}

// program is a command line with placeholders.
type program struct {
	Command []string          `json:"command"`
	Env     map[string]string `json:"env"`
}

func readPeer(path string) (*peer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the peer file: %w", err)
	}
	var p peer
	if err := yaml.UnmarshalStrict(text, &p); err != nil {
		return nil, fmt.Errorf("reading the peer file %s: %w", path, err)
	}
	if p.dir, err = filepath.Abs(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("reading the peer file: %w", err)
	}
	if p.Namespace == "" {
		p.Namespace = "metallb-system"
	}
	return &p, p.check(path)
}

func (p *peer) check(path string) error {
	var missing []error
	for _, field := range []struct {
		name  string
		there bool
	}{{"name", p.Name != ""}, {"controller.command", len(p.Controller.Command) > 0}, {"speaker.command", len(p.Speaker.Command) > 0}} {
		if !field.there {
			missing = append(missing, fmt.Errorf("the peer file %s has no %s", path, field.name))
		}
	}
	return errors.Join(missing...)
}

// fill returns the command with its placeholders replaced, run through env(1) when it has an environment. A placeholder
// that is not in values is an error.
func (p *peer) fill(prog program, values map[string]string) ([]string, error) {
	all := map[string]string{"namespace": p.Namespace, "dir": p.dir, "secretDir": p.secretDir}
	maps.Copy(all, values)
	var out []string
	if len(prog.Env) > 0 {
		out = append(out, "env")
		for _, key := range slices.Sorted(maps.Keys(prog.Env)) {
			out = append(out, key+"="+prog.Env[key])
		}
	}
	out = append(out, prog.Command...)
	for i := range out {
		for key, value := range all {
			out[i] = strings.ReplaceAll(out[i], "{{"+key+"}}", value)
		}
		if strings.Contains(out[i], "{{") {
			return nil, fmt.Errorf("unknown placeholder in %q", out[i])
		}
	}
	return out, nil
}

// makeSecret writes a random gossip key below a directory.
func (p *peer) makeSecret(below string) error {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	p.secretDir = below
	if err := os.WriteFile(filepath.Join(below, "secretkey"), []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		return fmt.Errorf("writing the peer's gossip key: %w", err)
	}
	return nil
}
