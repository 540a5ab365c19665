package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// NodeCommand is exec.CommandContext for a program inside all namespaces of a node of a full lab: its file tree, processes
// and network. It is killed when ctx ends. On a lite one, which has only network namespaces, it is Host.Command.
func (l *Lab) NodeCommand(ctx context.Context, nodeName, name string, args ...string) *exec.Cmd {
	if l.Tier != Full {
		return l.Node(nodeName).Command(ctx, name, args...)
	}
	r, err := l.record(nodeName)
	if err != nil || !r.Alive() {
		cmd := exec.CommandContext(ctx, "nsenter")
		cmd.Err = fmt.Errorf("running %s on %s: the node is down", name, nodeName)
		return cmd
	}
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(r.PID), "-m", "-u", "-i", "-n", "-p", "-C", "--", name}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+l.searchPath())
	// nsenter forks to get into the PID namespace, and would die alone; a group of its own can be ended as a whole.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// LoadImage gives an OCI archive to the containerd of every node, under the name it carries; ref is for messages.
func (l *Lab) LoadImage(ctx context.Context, ref, archive string) error {
	if l.Tier != Full {
		return fmt.Errorf("loading %s: a %s lab has no containerd", ref, l.Tier)
	}
	return l.eachNode(func(n node) error {
		out, err := l.NodeCommand(ctx, n.Name, "ctr", "--namespace", "k8s.io", "images", "import", "--local", archive).CombinedOutput()
		if err != nil {
			return fmt.Errorf("loading %s on %s: %w: %s", ref, n.Name, err, out)
		}
		return nil
	})
}
