package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
)

// Bare is Steelyard as processes on a lite lab: nothing restarts them, so a test decides when a speaker stops, dies and starts.
// Pod objects, which nobody runs, stand where speakers look for each other. A web server runs on every node, at an address of
// the node's pod range.
type Bare struct {
	*Rig
	bin string // directory of the binaries
	dir string // of this process, for the gossip keys
	// args are further flags of the speakers.
	args []string
	// over is the network on which the speakers gossip.
	over Network
}

// Network is one of the two that the nodes share.
type Network string

// The networks: that of the addresses, and that of the API server.
const (
	LAN        Network = "lan"
	Management Network = "mgmt"
)

// BackendPort is where the web servers of a Bare listen.
const BackendPort = 8080

// InstallBare starts the controller and, on every node, a web server and a speaker that gossips over the LAN. bin is the
// directory of the binaries, dir one for small files of the caller's, args are further flags of the speakers.
func InstallBare(ctx context.Context, r *Rig, bin, dir string, args ...string) (*Bare, error) {
	b := &Bare{Rig: r, bin: bin, dir: dir, args: args, over: LAN}
	root, err := lab.Root()
	if err != nil {
		return nil, err
	}
	if _, err := r.Lab.Kubectl(ctx, "{apiVersion: v1, kind: Namespace, metadata: {name: "+Namespace+"}}", "apply", "-f", "-"); err != nil {
		return nil, fmt.Errorf("preparing the cluster: %w", err)
	}
	for _, args := range [][]string{
		{"apply", "-f", filepath.Join(root, "config/crd/bases")},
		{"wait", "--for=condition=Established", "--timeout=30s", "crd/ipaddresspools.metallb.io", "crd/l2advertisements.metallb.io", "crd/servicel2statuses.metallb.io"},
	} {
		if _, err := r.Lab.Kubectl(ctx, "", args...); err != nil {
			return nil, fmt.Errorf("preparing the cluster: %w", err)
		}
	}
	err = r.Lab.Start(r.Lab.ControlPlane(), "steelyard-controller", filepath.Join(bin, "steelyard-controller"), "--kubeconfig="+r.Lab.Kubeconfig(),
		"--metrics-bind-address=0", "--health-probe-bind-address=0")
	if err != nil {
		return nil, err
	}
	for _, n := range r.Lab.Nodes() {
		if err := errors.Join(b.writePod(ctx, n), b.addBackend(ctx, n)); err != nil {
			return nil, err
		}
	}
	return b, b.ReviveAll(ctx)
}

// ReviveAll revives all nodes at once: a speaker that starts waits a while for the others.
func (b *Bare) ReviveAll(ctx context.Context) error {
	nodes := b.Lab.Nodes()
	errs := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() { errs[i] = b.Revive(ctx, n.Name) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// writePod writes the Pod that says where a speaker gossips.
func (b *Bare) writePod(ctx context.Context, n lab.Host) error {
	name := speakerName(n.Name)
	pod := fmt.Sprintf(`{apiVersion: v1, kind: Pod,
  metadata: {name: %s, namespace: %s, labels: {app.kubernetes.io/name: steelyard, app.kubernetes.io/component: speaker}},
  spec: {nodeName: %s, hostNetwork: true, automountServiceAccountToken: false, containers: [{name: speaker, image: none}]}}`, name, Namespace, n.Name)
	err := Poll(ctx, func() error { // until the namespace has its service account
		_, err := b.Lab.Kubectl(ctx, pod, "apply", "-f", "-")
		return err
	})
	if err != nil {
		return fmt.Errorf("writing a speaker's pod: %w", err)
	}
	ip := b.gossipAddr(n)
	status := fmt.Sprintf(`{"status":{"phase":"Running","hostIP":%q,"podIP":%q,"podIPs":[{"ip":%q}]}}`, n.IPv4, ip, ip)
	if _, err := b.Lab.Kubectl(ctx, "", "patch", "pod", name, "-n", Namespace, "--subresource=status", "--type=merge", "-p", status); err != nil {
		return fmt.Errorf("writing a speaker's pod: %w", err)
	}
	return nil
}

func (b *Bare) gossipAddr(n lab.Host) netip.Addr {
	if b.over == Management {
		return b.Lab.Management(n.Name)
	}
	return n.IPv4
}

func speakerName(node string) string { return "speaker-" + node }
func backendName(node string) string { return "web-" + node }

// Backends returns the addresses of the web servers of a family and their nodes, in the order of the nodes.
func (b *Bare) Backends(ip6 bool) (addrs []netip.Addr, nodes []string) {
	for i, n := range b.Lab.Nodes() {
		a := netip.AddrFrom4([4]byte{10, 244, byte(i + 1), 10}) // in the pod ranges of the lab
		if ip6 {
			a = netip.MustParseAddr(fmt.Sprintf("fd00:10:244:%d::10", i+1))
		}
		addrs, nodes = append(addrs, a), append(nodes, n.Name)
	}
	return addrs, nodes
}

// addBackend gives a node the addresses of its web server.
func (b *Bare) addBackend(ctx context.Context, n lab.Host) error {
	for _, ip6 := range []bool{false, true} {
		addrs, nodes := b.Backends(ip6)
		a := addrs[slices.Index(nodes, n.Name)]
		if out, err := n.Command(ctx, "ip", "address", "replace", netip.PrefixFrom(a, a.BitLen()).String(), "dev", "lo").CombinedOutput(); err != nil {
			return fmt.Errorf("giving %s the address %s: %w: %s", n.Name, a, err, out)
		}
	}
	return nil
}

// Revive starts what does not run on a node: its web server and its speaker. It returns when the speaker is ready.
func (b *Bare) Revive(ctx context.Context, node string) error {
	running := b.Lab.Processes()
	if name := backendName(node); !slices.Contains(running, name) {
		if err := b.Lab.Start(b.Lab.Node(node), name, "web", fmt.Sprintf("--listen=:%d", BackendPort), "--pod="+name, "--node="+node); err != nil {
			return err
		}
	}
	if slices.Contains(running, speakerName(node)) {
		return nil
	}
	if err := b.StartSpeaker(node, "the cluster's key"); err != nil {
		return err
	}
	return b.SpeakerReady(ctx, node)
}

// StartSpeaker starts the speaker of a node with a gossip key, and does not wait for it.
func (b *Bare) StartSpeaker(node, key string) error {
	file := filepath.Join(b.dir, "key-"+node)
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		return fmt.Errorf("writing the gossip key: %w", err)
	}
	h := b.Lab.Node(node)
	command := append([]string{filepath.Join(b.bin, "steelyard-speaker"), "--kubeconfig=" + b.Lab.Kubeconfig(), "--node-name=" + node,
		"--gossip-key-file=" + file, "--gossip-bind-address=" + b.gossipAddr(h).String()}, b.args...)
	return b.Lab.Start(h, speakerName(node), command...)
}

// readyLimit bounds the start of a speaker: it waits 2 s for its peers at most.
const readyLimit = 30 * time.Second

// SpeakerReady waits until the speaker of a node says that it is ready. The error has the end of its log.
func (b *Bare) SpeakerReady(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("waited %v", readyLimit))
	defer cancel()
	h := &http.Client{Transport: &http.Transport{DialContext: b.Lab.Node(node).DialContext, DisableKeepAlives: true}}
	err := Poll(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:17948/readyz", nil)
		if err != nil {
			return fmt.Errorf("asking the speaker on %s: %w", node, err)
		}
		answer, err := h.Do(req)
		if err != nil {
			return fmt.Errorf("asking the speaker on %s: %w", node, err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the speaker on %s answers %s", node, answer.Status)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, b.Logs(10))
	}
	return nil
}

// StopSpeaker ends the speaker of a node as kubelet does; KillSpeaker as the kernel does when memory is short.
func (b *Bare) StopSpeaker(node string) error { return b.Lab.Stop(speakerName(node)) }

// KillSpeaker ends the speaker of a node at once.
func (b *Bare) KillSpeaker(node string) error {
	return b.Lab.Signal(speakerName(node), syscall.SIGKILL)
}

// StoppedSpeaker is the fault of a speaker that gets no CPU.
func (b *Bare) StoppedSpeaker(node string) lab.Fault { return lab.Stopped(speakerName(node)) }

// Regossip restarts every speaker so that they gossip over a network; they are left alone when they do so already.
func (b *Bare) Regossip(ctx context.Context, over Network) error {
	if b.over == over {
		return nil
	}
	b.over = over
	for _, n := range b.Lab.Nodes() {
		if err := errors.Join(b.StopSpeaker(n.Name), b.writePod(ctx, n)); err != nil {
			return err
		}
	}
	return b.ReviveAll(ctx)
}

// Logs returns the ends of the logs of the controller and the speakers.
func (b *Bare) Logs(lines int) string {
	var out strings.Builder
	names := []string{"steelyard-controller"}
	for _, n := range b.Lab.Nodes() {
		names = append(names, speakerName(n.Name))
	}
	for _, name := range names {
		text, err := os.ReadFile(b.Lab.LogPath(name))
		all := strings.SplitAfter(string(text), "\n")
		fmt.Fprintf(&out, "--- %s (%v)\n%s", name, err, strings.Join(all[max(0, len(all)-lines):], ""))
	}
	return out.String()
}
