package bundle

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Meta copies what may be shown. Of annotations only those of Steelyard's API keep their value: others hold whole objects, as
// kubectl's last-applied-configuration does, or tokens. Of managedFields, who wrote and when.
func Meta(m metav1.ObjectMeta) metav1.ObjectMeta {
	out := metav1.ObjectMeta{Name: m.Name, GenerateName: m.GenerateName, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, Labels: m.Labels, OwnerReferences: m.OwnerReferences, Finalizers: m.Finalizers}
	for k, v := range m.Annotations {
		if out.Annotations == nil {
			out.Annotations = map[string]string{}
		}
		out.Annotations[k] = gone
		if strings.HasPrefix(k, "metallb.io/") || strings.HasPrefix(k, "metallb.universe.tf/") {
			out.Annotations[k] = v
		}
	}
	for _, f := range m.ManagedFields {
		out.ManagedFields = append(out.ManagedFields, metav1.ManagedFieldsEntry{Manager: f.Manager, Operation: f.Operation, APIVersion: f.APIVersion, Time: f.Time, Subresource: f.Subresource})
	}
	return out
}

// Deployment copies what may be shown.
func Deployment(d appsv1.Deployment) appsv1.Deployment {
	return appsv1.Deployment{ObjectMeta: Meta(d.ObjectMeta), Status: d.Status,
		Spec: appsv1.DeploymentSpec{Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Strategy: d.Spec.Strategy, Template: template(d.Spec.Template)}}
}

// DaemonSet copies what may be shown.
func DaemonSet(d appsv1.DaemonSet) appsv1.DaemonSet {
	return appsv1.DaemonSet{ObjectMeta: Meta(d.ObjectMeta), Status: d.Status,
		Spec: appsv1.DaemonSetSpec{Selector: d.Spec.Selector, UpdateStrategy: d.Spec.UpdateStrategy, Template: template(d.Spec.Template)}}
}

func template(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: Meta(t.ObjectMeta), Spec: podSpec(t.Spec)}
}

// Pod copies what may be shown.
func Pod(p corev1.Pod) corev1.Pod {
	return corev1.Pod{ObjectMeta: Meta(p.ObjectMeta), Spec: podSpec(p.Spec), Status: p.Status}
}

// podSpec copies what may be shown: where the Pod runs, with which rights, and from which images.
func podSpec(s corev1.PodSpec) corev1.PodSpec {
	out := corev1.PodSpec{NodeName: s.NodeName, NodeSelector: s.NodeSelector, Affinity: s.Affinity, Tolerations: s.Tolerations, HostNetwork: s.HostNetwork,
		ServiceAccountName: s.ServiceAccountName, PriorityClassName: s.PriorityClassName, SecurityContext: s.SecurityContext,
		TerminationGracePeriodSeconds: s.TerminationGracePeriodSeconds, TopologySpreadConstraints: s.TopologySpreadConstraints}
	for _, c := range s.Containers {
		out.Containers = append(out.Containers, container(c))
	}
	for _, c := range s.InitContainers {
		out.InitContainers = append(out.InitContainers, container(c))
	}
	for _, v := range s.Volumes {
		out.Volumes = append(out.Volumes, corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{Secret: secretName(v.Secret)}})
	}
	return out
}

func secretName(s *corev1.SecretVolumeSource) *corev1.SecretVolumeSource {
	if s == nil {
		return nil
	}
	return &corev1.SecretVolumeSource{SecretName: s.SecretName, Optional: s.Optional}
}

// Ours says that the container is one of Steelyard's: its flags hold no secret, and its logs are known.
func Ours(container string) bool {
	return slices.Contains([]string{"controller", "speaker"}, container)
}

// container copies the names of variables, not their values, and the flags of Steelyard's own containers only.
func container(c corev1.Container) corev1.Container {
	out := corev1.Container{Name: c.Name, Image: c.Image, Ports: c.Ports, Resources: c.Resources, SecurityContext: c.SecurityContext, VolumeMounts: c.VolumeMounts}
	if Ours(c.Name) {
		out.Args = c.Args
	}
	for _, e := range c.Env {
		out.Env = append(out.Env, corev1.EnvVar{Name: e.Name, Value: gone})
	}
	return out
}

// Node copies what may be shown; the list of images is long and says nothing.
func Node(n corev1.Node) corev1.Node {
	n.Status.Images = nil
	return corev1.Node{ObjectMeta: Meta(n.ObjectMeta), Spec: n.Spec, Status: n.Status}
}

// Service copies what may be shown.
func Service(s corev1.Service) corev1.Service {
	return corev1.Service{ObjectMeta: Meta(s.ObjectMeta), Spec: s.Spec, Status: s.Status}
}
