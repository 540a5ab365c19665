package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// need is something that the machine has to have, and the Debian package that brings it.
type need struct {
	command string // on the search path, or
	file    string // anywhere
	pkg     string
	why     string
}

func needs() []need {
	return []need{
		{command: "ip", pkg: "iproute2", why: "makes the network"},
		{command: "nsenter", pkg: "util-linux", why: "enters a node"},
		{command: "nft", pkg: "nftables", why: "kube-proxy's rules"},
		{command: "iptables", pkg: "iptables", why: "kube-proxy's rules in iptables mode"},
		{command: "gcc", pkg: "gcc", why: "builds runc"},
		{command: "pkg-config", pkg: "pkg-config", why: "builds runc"},
		{file: "/usr/include/stdlib.h", pkg: "libc6-dev", why: "builds runc"},
		{file: "/usr/include/seccomp.h", pkg: "libseccomp-dev", why: "builds runc with seccomp"},
	}
}

// Check says everything that this machine lacks for a lab in one error, with the command that helps; nil when nothing.
func Check() error {
	var lacks, packages []string
	if os.Getuid() != 0 {
		lacks = append(lacks, "root: namespaces and mounts are made, so run it as root")
	}
	if _, err := exec.LookPath("go"); err != nil {
		lacks = append(lacks, "go on the search path: the lab's programs are built from source")
	}
	for _, n := range needs() {
		if n.there() {
			continue
		}
		lacks = append(lacks, n.command+n.file+": "+n.why)
		if !slices.Contains(packages, n.pkg) {
			packages = append(packages, n.pkg)
		}
	}
	lacks = append(lacks, kernelLacks(os.ReadFile)...)
	if len(lacks) == 0 {
		return nil
	}
	text := "this machine cannot run the lab yet; it lacks\n  - " + strings.Join(lacks, "\n  - ")
	if len(packages) > 0 {
		text += "\nOn Debian or Ubuntu this helps:\n  apt-get update && apt-get install -y --no-install-recommends " + strings.Join(packages, " ")
	}
	return errors.New(text)
}

func (n need) there() bool {
	if n.file != "" {
		// Debian's multiarch packages put some headers one directory deeper; the C library's are not among them.
		_, err := os.Stat(n.file)
		return err == nil
	}
	_, err := exec.LookPath(n.command)
	return err == nil
}

// kernelLacks checks what no package brings: cgroups that can be written, overlayfs, capabilities. read is os.ReadFile.
func kernelLacks(read func(string) ([]byte, error)) []string {
	var lacks []string
	if status, err := read("/proc/self/status"); err == nil {
		if missing := missingCapabilities(string(status)); len(missing) > 0 {
			lacks = append(lacks, fmt.Sprintf("%s: this process is root without the power of one, as in a container; run it privileged", strings.Join(missing, ", ")))
		}
	}
	if systems, err := read("/proc/filesystems"); err == nil && !strings.Contains(string(systems), "overlay") {
		if err := exec.Command("modprobe", "overlay").Run(); err != nil {
			lacks = append(lacks, "overlayfs: containerd needs it, and the kernel has none (modprobe overlay)")
		}
	}
	own, err := read("/proc/self/cgroup")
	if err != nil {
		return append(lacks, "cgroups: "+err.Error())
	}
	for _, g := range cgroupParents(string(own)).Groups {
		if _, err := os.Stat(g.Dir); err != nil {
			lacks = append(lacks, "a cgroup hierarchy at "+g.Dir+": the nodes' processes are counted there")
		}
	}
	return lacks
}

// missingCapabilities reads the effective set out of /proc/self/status. The numbers are those of capability.h.
func missingCapabilities(status string) []string {
	var set uint64
	for line := range strings.Lines(status) {
		if text, ok := strings.CutPrefix(line, "CapEff:"); ok {
			if _, err := fmt.Sscanf(strings.TrimSpace(text), "%x", &set); err != nil {
				return nil // an unknown format is for the kernel to judge
			}
		}
	}
	var lacking []string
	for _, c := range []struct {
		name string
		bit  uint
	}{{"CAP_NET_ADMIN", 12}, {"CAP_NET_RAW", 13}, {"CAP_SYS_ADMIN", 21}} {
		if set&(1<<c.bit) == 0 {
			lacking = append(lacking, c.name)
		}
	}
	return lacking
}
