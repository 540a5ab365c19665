package nodeinit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where every distribution and every Kubernetes component expects cgroups.
const cgroupRoot = "/sys/fs/cgroup"

// enterCgroup moves this process into the node's groups and makes them the root of what it can see of cgroups.
func enterCgroup(c Cgroup) error {
	for _, g := range c.Groups {
		// "0" is the writer itself, whichever PID namespace it counts in (cgroup-v1/cgroups.rst).
		if err := os.WriteFile(filepath.Join(g.Dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("entering the node's cgroup: %w", err)
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}
	return nil
}

// mountAll gives the node its own /proc, /sys, /run, /sys/fs/cgroup and state directories.
func mountAll(c Config) error {
	// Nothing mounted here may show up outside; then a peer group of our own, so that the volumes that kubelet mounts
	// reach the containers that containerd starts.
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if err := mount("sysfs", "/sys", "sysfs", 0, ""); err != nil { // shows this network namespace's devices
		return err
	}
	if err := mountCgroups(c.Cgroup); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, d := range []string{"/run/netns", "/run/lock"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("making %s: %w", d, err)
		}
	}
	for _, d := range Covered() {
		if err := bind(filepath.Join(c.Dir, d), d); err != nil {
			return err
		}
	}
	// There is no DNS in the lab: a look-up must fail at once rather than wait for a server that cannot be reached.
	const resolv = "/run/resolv.conf"
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return fmt.Errorf("writing resolv.conf: %w", err)
	}
	return mount(resolv, "/etc/resolv.conf", "", unix.MS_BIND, "")
}

// mountCgroups mounts what the node may see of the machine's hierarchies. For v1 name=systemd has to be among them, or kubelet
// ends with "some missing paths".
func mountCgroups(c Cgroup) error {
	if c.V2 {
		if err := mount("cgroup2", cgroupRoot, "cgroup2", 0, ""); err != nil {
			return err
		}
		// A group that hands controllers to its children may hold no process itself (cgroup-v2.rst, "No Internal Process
		// Constraint"), and kubelet makes children of this one.
		own := filepath.Join(cgroupRoot, "system")
		if err := os.MkdirAll(own, 0o755); err != nil {
			return fmt.Errorf("making the daemons' cgroup: %w", err)
		}
		if err := os.WriteFile(filepath.Join(own, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("entering the daemons' cgroup: %w", err)
		}
		return nil
	}
	if err := mount("cgroup", cgroupRoot, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, g := range c.Groups {
		name, option := strings.TrimPrefix(g.Controllers, "name="), g.Controllers
		if name != g.Controllers {
			option = "none," + g.Controllers
		}
		target := filepath.Join(cgroupRoot, name)
		if err := os.Mkdir(target, 0o755); err != nil {
			return fmt.Errorf("making %s: %w", target, err)
		}
		if err := mount("cgroup", target, "cgroup", 0, option); err != nil {
			return err
		}
	}
	return nil
}

// Covered are the directories of the machine over which every node mounts one of its own. They have to exist.
func Covered() []string {
	return []string{"/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/var/log/pods", "/var/log/containers", "/etc/cni/net.d"}
}

// bind shows the directory from, which is made if it is not there, at to.
func bind(from, to string) error {
	if err := os.MkdirAll(from, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", from, err)
	}
	return mount(from, to, "", unix.MS_BIND, "")
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mounting %s %s on %s: %w", kind, source, target, err)
	}
	return nil
}
