package nodeinit

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigSurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.json")
	want := Config{
		Node: "node1", Record: "/r", Dir: "/d", Log: "/l", Path: "/p",
		Cgroup: Cgroup{Groups: []Group{{Controllers: "name=systemd", Dir: "/sys/fs/cgroup/systemd/x"}}},
		Images: []string{"/i"}, Containerd: []string{"c"}, Kubelet: []string{"k", "--v"}, KubeProxy: []string{"p"},
	}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTheEndOfADaemonIsPutIntoWords(t *testing.T) {
	for script, want := range map[string]string{"exit 3": "exit code 3", "exit 0": "exit code 0", "kill -9 $$": "signal killed"} {
		cmd := exec.Command("sh", "-c", script)
		_ = cmd.Run() // its state is what is looked at
		if got := ending(cmd.ProcessState.Sys().(syscall.WaitStatus)); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
}

func TestADaemonThatIsNotThereIsNamed(t *testing.T) {
	_, err := start(filepath.Join(t.TempDir(), "log"), []string{"/no/such/kubelet"})
	if err == nil || !strings.Contains(err.Error(), "/no/such/kubelet") {
		t.Error(err)
	}
}
