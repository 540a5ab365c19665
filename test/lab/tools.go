package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// program is one executable that the lab builds.
type program struct {
	name    string
	pkg     string
	seconds float64 // cost of a cold build on two cores, in the order of this list; for the estimate only
	tags    string  // build tags
	cgo     bool    // built with cgo, for a C library
	ldflags string  // VERSION stands for the module's version, MINOR for the second number of it
}

// tool is a module below test/lab/tools and what is built from it.
type tool struct {
	dir      string
	module   string // whose version names the cache directory
	programs []program
}

// kubeVersion is what nodes, /version and kubectl report. The API server does not start without a minor version.
const kubeVersion = " -X k8s.io/component-base/version.gitVersion=VERSION" +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=MINOR" +
	" -X k8s.io/component-base/version.gitTreeState=archive -X k8s.io/component-base/version.buildDate=2026-01-01T00:00:00Z"

// labTools is everything that a full lab runs. The smaller tiers use the same set: one cache, one way to fill it.
func labTools() []tool {
	const kube, containerd, cni = "k8s.io/kubernetes/cmd/", "github.com/containerd/containerd/v2/cmd/", "github.com/containernetworking/plugins/plugins/"
	kubernetes := tool{dir: "kubernetes", module: "k8s.io/kubernetes"}
	for _, p := range []program{
		{name: "kube-apiserver", seconds: 330}, {name: "kube-controller-manager", seconds: 130}, {name: "kube-proxy", seconds: 20},
		{name: "kube-scheduler", seconds: 15}, {name: "kubectl", seconds: 35}, {name: "kubelet", seconds: 30},
	} {
		p.pkg, p.ldflags = kube+p.name, kubeVersion
		kubernetes.programs = append(kubernetes.programs, p)
	}
	return []tool{
		kubernetes,
		{"etcd", "go.etcd.io/etcd/server/v3", []program{
			{name: "etcd", pkg: "go.etcd.io/etcd/server/v3", seconds: 24}, {name: "etcdctl", pkg: "go.etcd.io/etcd/etcdctl/v3", seconds: 5},
		}},
		{"containerd", "github.com/containerd/containerd/v2", []program{
			{name: "containerd", pkg: containerd + "containerd", seconds: 60, ldflags: " -X github.com/containerd/containerd/v2/version.Version=VERSION"},
			{name: "containerd-shim-runc-v2", pkg: containerd + "containerd-shim-runc-v2", seconds: 2}, {name: "ctr", pkg: containerd + "ctr", seconds: 4},
		}},
		// Without the tag a pod that asks for the RuntimeDefault seccomp profile is refused.
		{"runc", "github.com/opencontainers/runc", []program{{name: "runc", pkg: "github.com/opencontainers/runc", seconds: 11, tags: "seccomp", cgo: true}}},
		{"cni", "github.com/containernetworking/plugins", []program{
			{name: "ptp", pkg: cni + "main/ptp", seconds: 4}, {name: "loopback", pkg: cni + "main/loopback", seconds: 1},
			{name: "host-local", pkg: cni + "ipam/host-local", seconds: 1},
		}},
		{"helm", "helm.sh/helm/v4", []program{{name: "helm", pkg: "helm.sh/helm/v4/cmd/helm", seconds: 100}}},
	}
}

// otherTools are built only when asked for by name (Tool).
func otherTools() []tool {
	return []tool{
		{"golangci-lint", "github.com/golangci/golangci-lint/v2", []program{
			{name: "golangci-lint", pkg: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", seconds: 240, ldflags: " -X main.version=VERSION"},
		}},
		// The tag leaves out what finds targets to scrape in clouds: rules are checked without.
		{"promtool", "github.com/prometheus/prometheus", []program{
			{name: "promtool", pkg: "github.com/prometheus/prometheus/cmd/promtool", seconds: 110, tags: "remove_all_sd"},
		}},
		{"govulncheck", "golang.org/x/vuln", []program{{name: "govulncheck", pkg: "golang.org/x/vuln/cmd/govulncheck", seconds: 20}}},
	}
}

// Root is the directory of this clone: the lab is built from its sources. It is looked for from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the clone: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.Contains(string(text), "module github.com/steelyard-lb/steelyard\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the clone: no directory from here upwards holds Steelyard's go.mod")
		}
	}
}

// cacheDir is where built programs are kept: steelyard/lab in the user's cache directory ($XDG_CACHE_HOME, ~/.cache). It may be
// deleted whenever no lab runs.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(base, "steelyard", "lab"), nil
}

// job is one program to build: where, and where to.
type job struct {
	program
	dir     string // of the module
	version string
	out     string
}

// linkFlags are the job's, filled in.
func (j job) linkFlags() string {
	_, rest, _ := strings.Cut(j.version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return "-s -w" + strings.NewReplacer("VERSION", j.version, "MINOR", minor).Replace(j.ldflags)
}

// jobs lists what a tool's programs are built from and to. The output directory's name has the version in it and a hash of all
// that decides about the bytes: module files, compiler, flags.
func (t tool) jobs(root, cache string) ([]job, error) {
	dir := filepath.Join(root, "test", "lab", "tools", t.dir)
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("reading the module of %s: %w", t.dir, err)
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("reading the module of %s: %w", t.dir, err)
	}
	version, err := requiredVersion(string(mod), t.module)
	if err != nil {
		return nil, fmt.Errorf("reading the module of %s: %w", t.dir, err)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s\n%s %s\n", mod, sum, runtime.Version(), runtime.GOARCH)
	for _, p := range t.programs {
		fmt.Fprintf(hash, "%s %s %s %s\n", p.name, p.pkg, p.tags, job{program: p, version: version}.linkFlags())
		if p.cgo {
			fmt.Fprintln(hash, "cgo")
		}
	}
	key := fmt.Sprintf("%s-%s-%s", t.dir, version, hex.EncodeToString(hash.Sum(nil)[:6]))
	var all []job
	for _, p := range t.programs {
		all = append(all, job{program: p, dir: dir, version: version, out: filepath.Join(cache, key, p.name)})
	}
	return all, nil
}

// requiredVersion finds the version of a module that a go.mod requires.
func requiredVersion(mod, module string) (string, error) {
	line := regexp.MustCompile(`(?m)^(?:require)?\s+` + regexp.QuoteMeta(module) + `\s+(v\S+)`)
	found := line.FindStringSubmatch(mod)
	if found == nil {
		return "", fmt.Errorf("go.mod requires no %s", module)
	}
	return found[1], nil
}
