package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kubectl runs kubectl as administrator and returns its output. stdin is for `-f -`. The error has what it wrote to stderr.
func (l *Lab) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return collect(l.KubectlCommand(ctx, args...), "kubectl", stdin, args)
}

// Helm runs helm as administrator and returns its output. The error has what it wrote to stderr.
func (l *Lab) Helm(ctx context.Context, args ...string) (string, error) {
	return collect(l.HelmCommand(ctx, args...), "helm", "", args)
}

// KubectlCommand is kubectl as a command, for those who want its streams.
func (l *Lab) KubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	return l.tool(ctx, "kubectl", args)
}

// HelmCommand is helm as a command.
func (l *Lab) HelmCommand(ctx context.Context, args ...string) *exec.Cmd {
	return l.tool(ctx, "helm", args)
}

// ShellCommand is a script for bash as an administrator would run it: kubectl and helm are those of the lab, and the programs in the
// directories bin come before all others. It ends at the first command that fails.
func (l *Lab) ShellCommand(ctx context.Context, script string, bin ...string) *exec.Cmd {
	cmd := l.tool(ctx, "kubectl", nil)
	path := strings.Join(append(bin, filepath.Dir(l.program("kubectl")), filepath.Dir(l.program("helm")), os.Getenv("PATH")), ":")
	shell := l.cp.Command(ctx, "bash", "-euo", "pipefail", "-c", script)
	shell.Env = append(cmd.Env, "PATH="+path)
	return shell
}

// tool is a program of the lab in the control plane's namespace, with its caches in the lab's directory.
func (l *Lab) tool(ctx context.Context, name string, args []string) *exec.Cmd {
	cmd := l.cp.Command(ctx, l.program(name), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+l.Kubeconfig(), "KUBECACHEDIR="+l.path("kubectl-cache"),
		"HELM_CACHE_HOME="+l.path("helm", "cache"), "HELM_CONFIG_HOME="+l.path("helm", "config"), "HELM_DATA_HOME="+l.path("helm", "data"))
	return cmd
}

// collect runs a command and returns what it printed.
func collect(cmd *exec.Cmd, name, stdin string, args []string) (string, error) {
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
