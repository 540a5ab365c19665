package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/test/lab/nodeinit"
)

func TestCgroupParents(t *testing.T) {
	for _, tc := range []struct {
		name, lines string
		want        nodeinit.Cgroup
	}{
		{"one unified hierarchy", "0::/user.slice/session-1.scope\n", nodeinit.Cgroup{V2: true, Groups: []nodeinit.Group{{Dir: "/sys/fs/cgroup"}}}},
		{
			"v1, below the own groups, the unified one left alone",
			"3:name=systemd:/\n2:memory:/own/group\n1:cpu,cpuacct:/\n0::/\n",
			nodeinit.Cgroup{Groups: []nodeinit.Group{
				{Controllers: "name=systemd", Dir: "/sys/fs/cgroup/systemd"},
				{Controllers: "memory", Dir: "/sys/fs/cgroup/memory/own/group"},
				{Controllers: "cpu,cpuacct", Dir: "/sys/fs/cgroup/cpu,cpuacct"},
			}},
		},
		{"a v1 hierarchy without memory does not count", "1:name=systemd:/\n0::/\n", nodeinit.Cgroup{V2: true, Groups: []nodeinit.Group{{Dir: "/sys/fs/cgroup"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, cgroupParents(tc.lines)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRemoveCgroupsRemovesWhatWasNotedAndWhatIsBelow(t *testing.T) {
	root := t.TempDir()
	list, ours, other := filepath.Join(root, "list"), filepath.Join(root, "ours"), filepath.Join(root, "other")
	for _, dir := range []string{filepath.Join(ours, "node1", "kubepods", "pod"), other} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{ours, filepath.Join(root, "never-made")} {
		if err := addLine(list, dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeCgroups(list); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ours); err == nil {
		t.Error("a group that was noted is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("a group that was not noted is gone")
	}
}
