package lab

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/lab/image"
	"github.com/steelyard-lb/steelyard/test/lab/nodeinit"
)

//go:embed config/*.tmpl
var configs embed.FS

// nodeLimit bounds the wait for a node: 6 to 7 s on a quiet machine of two cores.
const nodeLimit = 3 * time.Minute

// startNodes starts what runs on the nodes and waits until all of it, and the API server, is ready.
func (l *Lab) startNodes(ctx context.Context) error {
	if l.Tier == Full {
		if err := l.buildImages(); err != nil {
			return err
		}
		if err := makeCovered(stateRoot, nodeinit.Covered()); err != nil {
			return err
		}
		// They wait for the API server by themselves, so they start along with it.
		if err := l.eachNode(func(n node) error { return l.bootNode(n) }); err != nil {
			return err
		}
	}
	if err := l.awaitAPI(ctx); err != nil {
		return err
	}
	if err := l.eachNode(func(n node) error { return l.adoptNode(ctx, n) }); err != nil {
		return err
	}
	return l.await(ctx, waiting{what: "the default service account", limit: apiLimit, log: "kube-controller-manager"}, func(ctx context.Context) error {
		_, err := l.Kubectl(ctx, "", "-n", "default", "get", "serviceaccount", "default")
		return err
	})
}

// adoptNode makes a node of the cluster out of a namespace, and waits until it is ready.
func (l *Lab) adoptNode(ctx context.Context, n node) error {
	if l.Tier == Lite {
		if err := l.writeNodeObject(ctx, n); err != nil {
			return err
		}
		if err := l.startProxy(n); err != nil {
			return err
		}
		return l.awaitNode(ctx, n)
	}
	// kubelet makes the Node object; the pod ranges are the lab's to give.
	err := l.await(ctx, waiting{what: n.Name + " to register", limit: nodeLimit, log: "kubelet-" + n.Name, process: n.Name}, func(ctx context.Context) error {
		patch := fmt.Sprintf(`{"spec":{"podCIDR":%q,"podCIDRs":[%q,%q]}}`, n.pod4, n.pod4, n.pod6)
		_, err := l.Kubectl(ctx, "", "patch", "node", n.Name, "--type=merge", "-p", patch)
		return err
	})
	if err != nil {
		return errors.Join(err, errors.New("the node itself:"+l.tail(n.Name)))
	}
	return l.awaitNode(ctx, n)
}

// awaitNode waits until kube-proxy on the node is healthy, kubelet too if there is one, and the node is Ready. The node's own
// answers come first: just after a power cut the API still calls it Ready.
func (l *Lab) awaitNode(ctx context.Context, n node) error {
	client := &http.Client{Transport: &http.Transport{DialContext: n.DialContext, DisableKeepAlives: true}}
	daemons := []struct{ name, url string }{{"kube-proxy", "http://127.0.0.1:10256/healthz"}}
	if l.Tier == Full {
		daemons = append(daemons, struct{ name, url string }{"kubelet", "http://127.0.0.1:10248/healthz"})
	}
	for _, d := range daemons {
		w := waiting{what: d.name + " on " + n.Name, limit: nodeLimit, log: d.name + "-" + n.Name, process: l.carrier(d.name, n)}
		if err := l.await(ctx, w, func(ctx context.Context) error { return getOK(ctx, client, d.url) }); err != nil {
			return err
		}
	}
	out, err := l.Kubectl(ctx, "", "wait", "--for=condition=Ready", "node/"+n.Name, "--timeout="+nodeLimit.String())
	if err != nil {
		return fmt.Errorf("%w %s%s", err, out, l.tail("kubelet-"+n.Name))
	}
	l.log.line("%s is ready", n.Name)
	return nil
}

// carrier is the recorded process that a node's daemon runs in: the node itself, or the daemon on a lite lab.
func (l *Lab) carrier(daemon string, n node) string {
	if l.Tier == Full {
		return n.Name
	}
	return daemon + "-" + n.Name
}

// bootNode starts a real node: nodeinit in new namespaces of its own, inside the node's network namespace.
func (l *Lab) bootNode(n node) error {
	dir := l.path("nodes", n.Name)
	groups, err := l.makeCgroups(n.Name)
	if err != nil {
		return err
	}
	if err := l.writeConfigs(n); err != nil {
		return err
	}
	config := nodeinit.Config{
		Node: n.Name, Record: l.path("pids", n.Name), Dir: dir, Log: l.path("log"), Path: l.searchPath(), Cgroup: groups,
		Images:     []string{l.path("images", "pause.tar"), l.path("images", "web.tar")},
		Containerd: []string{l.program("containerd"), "--config", filepath.Join(dir, "containerd.toml")},
		KubeProxy:  []string{l.program("kube-proxy"), "--config", filepath.Join(dir, "kube-proxy.yaml")},
		Kubelet: []string{
			l.program("kubelet"), "--config=" + filepath.Join(dir, "kubelet.yaml"), "--kubeconfig=" + l.path("kubelet-"+n.Name+".kubeconfig"),
			"--hostname-override=" + n.Name, "--node-ip=" + n.IPv4.String() + "," + n.IPv6.String(),
			"--node-labels=topology.kubernetes.io/zone=zone-" + strconv.Itoa(n.index),
		},
	}
	if err := config.Write(filepath.Join(dir, "node.json")); err != nil {
		return err
	}
	cmd := exec.Command(l.program("lab"), "node", filepath.Join(dir, "node.json"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC}
	return l.launch(n.Host, n.Name, cmd)
}

// writeConfigs fills in the templates of a node's daemons.
func (l *Lab) writeConfigs(n node) error {
	dir := l.path("nodes", n.Name)
	values := struct{ Name, Dir, Bin, PKI, ProxyMode, Kubeconfig, PodCIDRs, Pod4, Pod6, Snapshotter string }{
		n.Name, dir, l.Bin, l.path("pki"), l.ProxyMode, l.path("kube-proxy.kubeconfig"), podCIDRs, n.pod4, n.pod6, snapshotter(l.path("")),
	}
	all, err := template.ParseFS(configs, "config/*.tmpl")
	if err != nil {
		return fmt.Errorf("reading the nodes' configuration: %w", err)
	}
	for name, to := range map[string]string{
		"containerd.toml.tmpl": "containerd.toml", "kubelet.yaml.tmpl": "kubelet.yaml", "kube-proxy.yaml.tmpl": "kube-proxy.yaml",
		"cni.conflist.tmpl": "etc/cni/net.d/10-lab.conflist",
	} {
		var text bytes.Buffer
		if err := all.ExecuteTemplate(&text, name, values); err != nil {
			return fmt.Errorf("configuring %s: %w", n.Name, err)
		}
		path := filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("configuring %s: %w", n.Name, err)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			return fmt.Errorf("configuring %s: %w", n.Name, err)
		}
	}
	return nil
}

// snapshotter picks overlayfs, unless the lab's directory is on one itself, as in a container: they do not stack.
func snapshotter(dir string) string {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

// buildImages makes the images that every node holds from the beginning: pause, and web (lab.local/web:1).
func (l *Lab) buildImages() error {
	for _, name := range []string{"pause", "web"} {
		if err := image.Build("lab.local/"+name+":1", l.program(name), l.path("images", name+".tar")); err != nil {
			return err
		}
	}
	return nil
}

// eachNode runs fn for all nodes at once and returns every error.
func (l *Lab) eachNode(fn func(node) error) error {
	errs := make([]error, len(l.nodes))
	var all sync.WaitGroup
	for i, n := range l.nodes {
		all.Go(func() { errs[i] = fn(n) })
	}
	all.Wait()
	return errors.Join(errs...)
}
