package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// binaries are the two programs, with what each needs to start outside a pod.
func binaries(t *testing.T) map[string][]string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string][]string{
		"steelyard-controller": nil,
		"steelyard-speaker":    {"--node-name=node1", "--gossip-bind-address=127.0.0.1:" + freePort(t), "--gossip-key-file=" + key},
	}
}

func binary(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return path
}

// freePort returns a port of the loopback that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestAWrongFlagOrKubeconfigGivesOneLineAndAnExitCode(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("clusters: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mistakes := []mistake{
		{"an unknown flag", "--no-such-flag", "no-such-flag"},
		{"a log level that does not exist", "--log-level=loud", "loud"},
		{"a kubeconfig that does not exist", "--kubeconfig=" + missing, missing},
		{"a kubeconfig that is none", "--kubeconfig=" + broken, broken},
	}
	for name, base := range binaries(t) {
		for _, m := range mistakes {
			t.Run(name+" with "+m.what, func(t *testing.T) { m.refusedBy(t, name, base) })
		}
	}
	speaker := append(binaries(t)["steelyard-speaker"], "--kubeconfig="+unreachableKubeconfig(t))
	for _, m := range []mistake{
		{"a gossip address that is none", "--gossip-bind-address=node1:7946", "node1:7946"},
		{"a gossip key that does not exist", "--gossip-key-file=" + missing, missing},
		{"an expression that does not parse", "--exclude-interfaces=eth[", "eth["},
	} {
		t.Run("steelyard-speaker with "+m.what, func(t *testing.T) { m.refusedBy(t, "steelyard-speaker", speaker) })
	}
}

// mistake is an argument that a program must refuse, and a word of its complaint.
type mistake struct{ what, arg, word string }

func (m mistake) refusedBy(t *testing.T, name string, base []string) {
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary(t, name), append(base[:len(base):len(base)], m.arg)...).CombinedOutput()
	if err == nil {
		t.Errorf("it ended as if all were well: %s", out)
	}
	if lines := strings.Count(strings.TrimSpace(string(out)), "\n") + 1; lines != 1 || !strings.Contains(string(out), m.word) {
		t.Errorf("it printed %d lines, want one with %q:\n%s", lines, m.word, out)
	}
}

// unreachable is a kubeconfig for an API server that does not answer: port 9 of the loopback.
const unreachable = `
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {}}]
`

func unreachableKubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(unreachable), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnUnreachableAPIServerIsWaitedFor(t *testing.T) {
	kubeconfig := unreachableKubeconfig(t)
	for name, base := range binaries(t) {
		t.Run(name, func(t *testing.T) {
			probe := "127.0.0.1:" + freePort(t)
			var log bytes.Buffer
			cmd := exec.Command(binary(t, name), append(base[:len(base):len(base)], "--kubeconfig="+kubeconfig,
				"--health-probe-bind-address="+probe, "--metrics-bind-address=0")...)
			cmd.Stdout, cmd.Stderr = &log, &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			waits := rig.Poll(ctx, func() error { return saysItWaits(ctx, probe) })
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Errorf("it did not stay: %v", err)
			}
			if err := waitOrKill(cmd, wait); err != nil {
				t.Errorf("after SIGTERM it ended with %v:\n%s", err, log.String())
			}
			if waits != nil {
				t.Errorf("%v\n%s", waits, log.String())
			}
			if !strings.Contains(log.String(), "127.0.0.1:9") {
				t.Errorf("the log does not name the server:\n%s", log.String())
			}
		})
	}
}

// saysItWaits checks that /healthz is well and /readyz says that the API server does not answer.
func saysItWaits(ctx context.Context, probe string) error {
	if code, body, err := get(ctx, "http://"+probe+"/healthz"); err != nil || code != http.StatusOK {
		return fmt.Errorf("/healthz gives %d %q, %v", code, body, err)
	}
	code, body, err := get(ctx, "http://"+probe+"/readyz")
	if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "API server") {
		return fmt.Errorf("/readyz gives %d %q, %v; want 503 and that the API server does not answer", code, body, err)
	}
	return nil
}

func get(ctx context.Context, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func waitOrKill(cmd *exec.Cmd, limit time.Duration) error {
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	return cmd.Wait()
}
