package plugin

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/steelyard-lb/steelyard/internal/doctor"
)

// surroundings are what doctor looks at besides a sight: the cluster that Steelyard is in.
type surroundings struct {
	speakers     []appsv1.DaemonSet // of Steelyard
	workloads    []doctor.Workload
	serviceCIDRs []netip.Prefix
	proxy        doctor.Proxy
	unread       []doctor.Unread
}

// mirrored is the annotation of the Pod object that stands for a static Pod.
const mirrored = "kubernetes.io/config.mirror"

// readSurroundings reads all of it. What cannot be read is in unread, for not everybody may read everything.
func readSurroundings(ctx context.Context, reader client.Reader, system string) surroundings {
	var s surroundings
	var deployments appsv1.DeploymentList
	var daemons, speakers appsv1.DaemonSetList
	var sets appsv1.StatefulSetList
	var pods corev1.PodList
	var cidrs networkingv1.ServiceCIDRList
	for _, l := range []struct {
		what string
		list client.ObjectList
		opts []client.ListOption
	}{
		{"Deployments", &deployments, nil},
		{"DaemonSets", &daemons, nil},
		{"StatefulSets", &sets, nil},
		{"Pods in " + metav1.NamespaceSystem, &pods, []client.ListOption{client.InNamespace(metav1.NamespaceSystem)}},
		{"ServiceCIDRs", &cidrs, nil},
		{"DaemonSets in " + system, &speakers, []client.ListOption{client.InNamespace(system), client.MatchingLabels{"app.kubernetes.io/component": "speaker"}}},
	} {
		if err := reader.List(ctx, l.list, l.opts...); err != nil {
			s.unread = append(s.unread, doctor.Unread{What: l.what, Why: err.Error()})
		}
	}
	s.speakers = slices.DeleteFunc(speakers.Items, func(d appsv1.DaemonSet) bool { // whose chart has the same component
		return doctor.MetalLB(workload("DaemonSet", &d.ObjectMeta, d.Spec.Template.Spec))
	})
	s.workloads = workloads(deployments.Items, sets.Items, daemons.Items, pods.Items)
	for _, c := range cidrs.Items {
		for _, text := range c.Spec.CIDRs {
			s.serviceCIDRs = appendPrefix(s.serviceCIDRs, text)
		}
	}
	s.readProxy(ctx, reader)
	return s
}

// workloads are those that want to run a Pod, and of the Pods the static ones, which belong to none.
func workloads(deployments []appsv1.Deployment, sets []appsv1.StatefulSet, daemons []appsv1.DaemonSet, pods []corev1.Pod) []doctor.Workload {
	var out []doctor.Workload
	for i := range deployments {
		if d := &deployments[i]; d.Spec.Replicas == nil || *d.Spec.Replicas > 0 {
			out = append(out, workload("Deployment", &d.ObjectMeta, d.Spec.Template.Spec))
		}
	}
	for i := range sets {
		if d := &sets[i]; d.Spec.Replicas == nil || *d.Spec.Replicas > 0 {
			out = append(out, workload("StatefulSet", &d.ObjectMeta, d.Spec.Template.Spec))
		}
	}
	for i := range daemons {
		if d := &daemons[i]; !idle(d) {
			out = append(out, workload("DaemonSet", &d.ObjectMeta, d.Spec.Template.Spec))
		}
	}
	for i := range pods {
		if p := &pods[i]; p.Annotations[mirrored] != "" {
			out = append(out, workload("Pod", &p.ObjectMeta, p.Spec))
		}
	}
	return out
}

// idle says that the DaemonSet's controller found no node for it, as when it is parked by a node selector.
func idle(d *appsv1.DaemonSet) bool {
	return d.Status.ObservedGeneration == d.Generation && d.Generation > 0 && d.Status.DesiredNumberScheduled == 0 && d.Status.CurrentNumberScheduled == 0
}

// readProxy reads kube-proxy's configuration where kubeadm and its likes put it.
func (s *surroundings) readProxy(ctx context.Context, reader client.Reader) {
	var cm corev1.ConfigMap
	err := reader.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "kube-proxy"}, &cm)
	if apierrors.IsNotFound(err) {
		return
	}
	var cfg struct {
		Mode string `json:"mode"`
		IPVS struct {
			StrictARP bool `json:"strictARP"`
		} `json:"ipvs"`
	}
	if err == nil {
		err = yaml.Unmarshal([]byte(cm.Data["config.conf"]), &cfg)
	}
	if err != nil {
		s.unread = append(s.unread, doctor.Unread{What: "ConfigMap kube-system/kube-proxy", Why: err.Error()})
		return
	}
	s.proxy = doctor.Proxy{Found: true, Mode: cfg.Mode, StrictARP: cfg.IPVS.StrictARP}
}

func workload(kind string, meta *metav1.ObjectMeta, spec corev1.PodSpec) doctor.Workload {
	w := doctor.Workload{Kind: kind, Namespace: meta.Namespace, Name: meta.Name, Labels: meta.Labels}
	for _, c := range spec.Containers {
		w.Images = append(w.Images, c.Image)
		w.Args = slices.Concat(w.Args, c.Command, c.Args)
		for _, e := range c.Env {
			if e.ValueFrom == nil {
				w.Env = append(w.Env, e.Name+"="+e.Value)
			}
		}
	}
	return w
}

// appendPrefix appends what the text says, if it is a prefix.
func appendPrefix(to []netip.Prefix, text string) []netip.Prefix {
	if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
		return append(to, p)
	}
	return to
}

// gossipPort is the port that the speakers' Pods declare.
func (s surroundings) gossipPort() int {
	for _, d := range s.speakers {
		for _, c := range d.Spec.Template.Spec.Containers {
			for _, p := range c.Ports {
				if p.Name == "gossip-tcp" {
					return int(p.ContainerPort)
				}
			}
		}
	}
	return 0
}

// admits says whether the speakers' DaemonSet wants a Pod on the node. Where it has an affinity, only the scheduler knows.
func (s surroundings) admits(n *corev1.Node) bool {
	if os := n.Labels[corev1.LabelOSStable]; os != "" && os != "linux" {
		return false
	}
	for _, d := range s.speakers {
		spec := d.Spec.Template.Spec
		if spec.Affinity != nil {
			return false
		}
		for k, v := range spec.NodeSelector {
			if n.Labels[k] != v {
				return false
			}
		}
	}
	return true
}
