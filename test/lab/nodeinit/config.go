// Package nodeinit is what runs as PID 1 of a node of the lab: it makes the node's own view of the machine (mounts, cgroups,
// host name), starts containerd, kube-proxy and kubelet in it, and reaps. Ending it is a crash of the whole node, because the
// kernel ends every process of a PID namespace together with its first.
//
// The lab starts it in new mount, PID, UTS and IPC namespaces, inside the network namespace of the node. All the paths that
// Kubernetes uses are the standard ones, backed by a directory per node, so that nodes do not know of each other. What is
// mounted here is visible nowhere else, and gone with the last process.
package nodeinit

import (
	"encoding/json"
	"fmt"
	"os"
)

// Config says what to start. Every path is absolute and means the machine's file tree.
type Config struct {
	// Node is the host name.
	Node string
	// Record is where the process id goes (package proc), before anything else is done.
	Record string
	// Dir is the node's directory: what is mounted over /var/lib/kubelet and its like. It survives the node, as a disk does.
	Dir string
	// Log is the directory of the daemons' logs, which are called DAEMON-NODE.log.
	Log string
	// Path is the search path of the daemons.
	Path string
	// Cgroup is where the node's processes are counted.
	Cgroup Cgroup
	// Images are the archives that containerd must hold before kubelet starts.
	Images []string
	// Containerd, Kubelet and KubeProxy are command lines.
	Containerd, Kubelet, KubeProxy []string
}

// Cgroup names the node's groups, made by the lab below its own. With cgroup v1 there is one per hierarchy.
type Cgroup struct {
	// V2 says that this is one unified hierarchy, as on a current distribution.
	V2 bool
	// Groups are in the order of their hierarchies.
	Groups []Group
}

// Group is one directory of one hierarchy.
type Group struct {
	// Controllers is the hierarchy's name as /proc/self/cgroup has it: "memory", "cpu,cpuacct", "name=systemd"; empty for v2.
	Controllers string
	// Dir is the absolute path of the group.
	Dir string
}

// Load reads a Config from a JSON file.
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading the node's configuration: %w", err)
	}
	var c Config
	if err := json.Unmarshal(text, &c); err != nil {
		return Config{}, fmt.Errorf("reading the node's configuration: %w", err)
	}
	return c, nil
}

// Write stores the Config as Load reads it.
func (c Config) Write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the node's configuration: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the node's configuration: %w", err)
	}
	return nil
}
