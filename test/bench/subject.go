package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// subject is an implementation under measurement.
type subject interface {
	name() string
	// install brings it up and returns when it is ready.
	install(ctx context.Context) error
	// died ends what of it ran on a node whose power was cut and that did not end with the node.
	died(node string) error
	// revived starts it again on a node that has power again and waits until it is ready.
	revived(ctx context.Context, node string) error
	// remove takes it away.
	remove(ctx context.Context) error
	// usage reads what its programs use now.
	usage(ctx context.Context) (usage, error)
}

// installed is Steelyard as users have it: pods, from the Helm chart.
type installed struct{ *rig.Rig }

func (installed) name() string { return "Steelyard" }

func (s installed) install(ctx context.Context) error {
	if err := s.Lab.InstallSteelyard(ctx, lab.InstallOptions{}); err != nil {
		return err
	}
	return s.Settled(ctx)
}

func (installed) died(string) error { return nil } // pods end with their node

func (s installed) revived(ctx context.Context, _ string) error { return s.Settled(ctx) }

func (s installed) remove(ctx context.Context) error {
	_, err := s.Lab.Helm(ctx, "uninstall", "steelyard", "--namespace", rig.Namespace, "--wait")
	return err
}

func (s installed) usage(ctx context.Context) (usage, error) {
	var u usage
	for _, n := range s.Lab.Nodes() {
		run := func(script string, args ...string) ([]byte, error) {
			return s.Lab.NodeCommand(ctx, n.Name, "sh", append([]string{"-c", script, "sh"}, args...)...).Output()
		}
		speaker, err := inspect(run, "steelyard-speaker", false)
		if err != nil {
			return u, err
		}
		controller, err := inspect(run, "steelyard-controller", false)
		if err != nil {
			return u, err
		}
		u.speakers = append(u.speakers, speaker...)
		u.controllers = append(u.controllers, controller...)
	}
	return u, u.complete()
}

// processes is a peer: programs started as processes of the lab.
type processes struct {
	*rig.Rig
	*peer
	lite bool // there are no kubelets, so the placeholder pods are objects only
}

func (p processes) name() string { return p.peer.Name }

const (
	peerController = "bench-controller"
	peerSpeaker    = "bench-speaker-" // and the node
)

func (p processes) install(ctx context.Context) error {
	for _, m := range p.Manifests {
		if !filepath.IsAbs(m) {
			m = filepath.Join(p.dir, m)
		}
		if _, err := p.Lab.Kubectl(ctx, "", "apply", "--server-side", "--force-conflicts", "-f", m); err != nil {
			return err
		}
	}
	if err := p.stand(ctx); err != nil {
		return err
	}
	command, err := p.fill(p.Controller, map[string]string{"kubeconfig": p.Lab.Kubeconfig()})
	if err != nil {
		return err
	}
	if err := p.Lab.Start(p.Lab.ControlPlane(), peerController, command...); err != nil {
		return err
	}
	for _, n := range p.Lab.Nodes() {
		if err := p.revived(ctx, n.Name); err != nil {
			return err
		}
	}
	return nil
}

func (p processes) died(node string) error { return p.Lab.Signal(peerSpeaker+node, syscall.SIGKILL) }

func (p processes) revived(ctx context.Context, node string) error {
	pod, err := p.pod(ctx, node)
	if err != nil {
		return err
	}
	host := p.Lab.Node(node)
	command, err := p.fill(p.Speaker, map[string]string{"kubeconfig": p.Lab.Kubeconfig(), "node": node, "nodeIP": host.IPv4.String(), "pod": pod})
	if err != nil {
		return err
	}
	return p.Lab.Start(host, peerSpeaker+node, command...)
}

func (p processes) remove(ctx context.Context) error {
	errs := []error{p.Lab.Stop(peerController)}
	for _, n := range p.Lab.Nodes() {
		errs = append(errs, p.Lab.Stop(peerSpeaker+n.Name))
	}
	_, err := p.Lab.Kubectl(ctx, p.placeholders(), "delete", "--ignore-not-found", "--wait", "-f", "-")
	return errors.Join(append(errs, err)...)
}

func (p processes) usage(ctx context.Context) (usage, error) {
	return usageOnHosts(ctx, p.Lab, filepath.Base(p.Controller.Command[0]), filepath.Base(p.Speaker.Command[0]))
}

// usageOnHosts reads what processes of a lab use, by the names of their executables.
func usageOnHosts(ctx context.Context, l *lab.Lab, controller, speaker string) (u usage, err error) {
	on := func(h lab.Host, executable string) ([]process, error) {
		return inspect(func(script string, args ...string) ([]byte, error) {
			return h.Command(ctx, "sh", append([]string{"-c", script, "sh"}, args...)...).Output()
		}, executable, true)
	}
	if u.controllers, err = on(l.ControlPlane(), controller); err != nil {
		return u, err
	}
	for _, n := range l.Nodes() {
		list, err := on(n, speaker)
		if err != nil {
			return u, err
		}
		u.speakers = append(u.speakers, list...)
	}
	return u, u.complete()
}

// pod waits for the placeholder pod on a node and returns its name.
func (p processes) pod(ctx context.Context, node string) (string, error) {
	var name string
	err := rig.Poll(ctx, func() error {
		out, err := p.Lab.Kubectl(ctx, "", "get", "pods", "-n", p.peer.Namespace, "-l", "steelyard-bench=placeholder", "--field-selector",
			"spec.nodeName="+node+",status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}")
		if err != nil {
			return err
		}
		names := strings.Fields(out)
		if len(names) != 1 {
			return fmt.Errorf("%d placeholder pods on %s, want one", len(names), node)
		}
		name = names[0]
		return nil
	})
	return name, err
}

// stand makes the placeholder pods.
func (p processes) stand(ctx context.Context) error {
	if !p.lite {
		_, err := p.Lab.Kubectl(ctx, p.placeholders(), "apply", "-f", "-")
		return err
	}
	if err := p.API.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.peer.Namespace}}); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("making the peer's namespace: %w", err)
	}
	for _, n := range p.Lab.Nodes() {
		if err := p.standOn(ctx, n); err != nil {
			return fmt.Errorf("making a placeholder pod: %w", err)
		}
	}
	return nil
}

// standOn makes the placeholder pod of a node that has no kubelet.
func (p processes) standOn(ctx context.Context, n lab.Host) error {
	no, ip := false, n.IPv4.String()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "bench-placeholder-" + n.Name, Namespace: p.peer.Namespace, Labels: p.labels()},
		Spec: corev1.PodSpec{NodeName: n.Name, HostNetwork: true, AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{Name: "web", Image: "none"}}},
	}
	err := rig.Poll(ctx, func() error { return p.API.Create(ctx, pod) }) // until the namespace has its service account
	if err != nil {
		return err
	}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, HostIP: ip, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}}
	return p.API.Status().Update(ctx, pod)
}

// labels are those by which implementations find their speakers, and we our placeholders.
func (p processes) labels() map[string]string {
	labels := map[string]string{"steelyard-bench": "placeholder", "component": "speaker", "app": "metallb",
		"app.kubernetes.io/component": "speaker", "app.kubernetes.io/name": "steelyard"}
	maps.Copy(labels, p.PodLabels)
	return labels
}

// placeholders is a DaemonSet whose pods stand for the speakers where an implementation looks for its peers.
func (p processes) placeholders() string {
	var list strings.Builder
	for k, v := range p.labels() {
		fmt.Fprintf(&list, "%q: %q, ", k, v)
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: bench-placeholder, namespace: %[1]s}
spec:
  selector: {matchLabels: {steelyard-bench: placeholder}}
  template:
    metadata: {labels: {%[2]s}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
        - {name: web, image: "lab.local/web:1", args: ["--listen=127.0.0.1:17999"]}
`, p.peer.Namespace, strings.TrimSuffix(list.String(), ", "))
}
