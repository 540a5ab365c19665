package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab/nodeinit"
)

// cgroupRoot is where distributions mount cgroups: the unified hierarchy itself, or a directory per v1 hierarchy.
const cgroupRoot = "/sys/fs/cgroup"

// cgroupParents says where the nodes' groups go. lines is /proc/self/cgroup (cgroups(7): ID:CONTROLLERS:PATH). On a machine
// whose memory controller is in a v1 hierarchy, that is below the caller's own group of every v1 hierarchy; on any other,
// below the root of the one unified hierarchy that can be seen.
func cgroupParents(lines string) nodeinit.Cgroup {
	var v1 []nodeinit.Group
	memory := false
	for line := range strings.Lines(lines) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] == "" {
			continue
		}
		root := filepath.Join(cgroupRoot, strings.TrimPrefix(parts[1], "name="))
		v1 = append(v1, nodeinit.Group{Controllers: parts[1], Dir: filepath.Join(root, parts[2])})
		memory = memory || slices.Contains(strings.Split(parts[1], ","), "memory")
	}
	if memory {
		return nodeinit.Cgroup{Groups: v1}
	}
	return nodeinit.Cgroup{V2: true, Groups: []nodeinit.Group{{Dir: cgroupRoot}}}
}

// makeCgroups makes the groups of a node, and writes their names down before they exist. What an earlier life of the node left
// there goes first, as in a boot: kubelet would look for the containers of every group that it finds, 3 s for each.
func (l *Lab) makeCgroups(nodeName string) (nodeinit.Cgroup, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nodeinit.Cgroup{}, fmt.Errorf("finding the own cgroup: %w", err)
	}
	made := cgroupParents(string(own))
	for i, g := range made.Groups {
		parent := filepath.Join(g.Dir, "steelyard-lab-"+l.Name)
		made.Groups[i].Dir = filepath.Join(parent, nodeName)
		if err := addLine(l.path("cgroups"), parent); err != nil {
			return made, err
		}
		if err := removeGroupSoon(made.Groups[i].Dir); err != nil {
			return made, err
		}
		if err := makeGroup(g.Dir, parent, made.V2, g.Controllers); err != nil {
			return made, err
		}
		if err := makeGroup(parent, made.Groups[i].Dir, made.V2, g.Controllers); err != nil {
			return made, err
		}
	}
	return made, nil
}

// v2Controllers are those that a kubelet with these settings needs, of which a kernel may lack some. A distribution hands most
// of them out already; what is added at the root stays, and changes nothing for anybody.
func v2Controllers() []string { return []string{"cpu", "cpuset", "memory", "pids"} }

// makeGroup makes a child group and gives it what it needs to hold processes and groups of its own.
func makeGroup(parent, dir string, v2 bool, controllers string) error {
	if v2 {
		for _, c := range v2Controllers() {
			err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+c), 0)
			if c == "memory" && err != nil {
				return fmt.Errorf("this machine's cgroup v2 hierarchy does not hand out the memory controller at %s: %w", parent, err)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the node's cgroup: %w", err)
	}
	if v2 || !slices.Contains(strings.Split(controllers, ","), "cpuset") {
		return nil
	}
	// A v1 cpuset begins empty, and an empty one takes no process.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), value, 0)
		}
		if err != nil {
			return fmt.Errorf("preparing the node's cpuset: %w", err)
		}
	}
	return nil
}

// cgroupLimit is how long a group may stay busy after its last process was killed.
const cgroupLimit = 5 * time.Second

// removeCgroups removes every group on the list, with those below it. No list means no groups.
func removeCgroups(list string) error {
	dirs, err := readLines(list)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := removeGroupSoon(dir); err != nil {
			return err
		}
	}
	return nil
}

// removeGroupSoon removes a group and those below it, once the processes that were killed in it are really gone.
func removeGroupSoon(dir string) error {
	for end := time.Now().Add(cgroupLimit); ; time.Sleep(10 * time.Millisecond) {
		err := removeGroup(dir)
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("removing a cgroup: %w", err)
		}
	}
}

// removeGroup removes one group, those below it first: the kernel removes only empty ones, and the files in it are no files.
func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
