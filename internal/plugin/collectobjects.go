package plugin

import (
	"context"
	"errors"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/steelyard-lb/steelyard/internal/bundle"
	"github.com/steelyard-lb/steelyard/internal/cluster"
)

// components are the labels of what Steelyard's chart and manifest install.
func components() client.ListOption {
	return client.HasLabels{"app.kubernetes.io/component"}
}

// objects adds the objects, each as far as it may be shown, and returns Steelyard's Pods.
func (c *collection) objects(ctx context.Context, cl client.Client, s sight) ([]corev1.Pod, error) {
	var deployments appsv1.DeploymentList
	var daemons appsv1.DaemonSetList
	var pods corev1.PodList
	var leases coordinationv1.LeaseList
	var events eventsv1.EventList
	for _, l := range []struct {
		what string
		list client.ObjectList
		opts []client.ListOption
	}{
		{"Deployments", &deployments, []client.ListOption{client.InNamespace(s.system), components()}},
		{"DaemonSets", &daemons, []client.ListOption{client.InNamespace(s.system), components()}},
		{"Pods", &pods, []client.ListOption{client.InNamespace(s.system), components()}},
		{"Leases", &leases, []client.ListOption{client.InNamespace(s.system)}},
		{"Events", &events, nil},
	} {
		if err := cl.List(ctx, l.list, l.opts...); err != nil {
			c.miss(l.what, err)
		}
	}
	for i := range leases.Items {
		leases.Items[i].ObjectMeta = bundle.Meta(leases.Items[i].ObjectMeta)
	}
	return pods.Items, errors.Join(c.read(s.objects),
		add(c, "deployments", deployments.Items, bundle.Deployment),
		add(c, "daemonsets", daemons.Items, bundle.DaemonSet),
		add(c, "pods", pods.Items, bundle.Pod),
		add(c, "leases", leases.Items, same),
		add(c, "events", eventsOf(s.system, events.Items), same))
}

// read adds what every command reads.
func (c *collection) read(o cluster.Objects) error {
	o = stripped(o)
	return errors.Join(
		add(c, "services", o.Services, bundle.Service),
		add(c, "nodes", o.Nodes, bundle.Node),
		add(c, "namespaces", o.Namespaces, same),
		add(c, "endpointslices", o.EndpointSlices, same),
		add(c, "ipaddresspools", o.Pools, same),
		add(c, "l2advertisements", o.Advertisements, same),
		add(c, "servicel2statuses", o.Statuses, same))
}

// stripped returns copies whose metadata may be shown, and of Services and their endpoints only those of type LoadBalancer.
func stripped(o cluster.Objects) cluster.Objects {
	out := cluster.Objects{Nodes: o.Nodes}
	served := map[string]bool{}
	for _, v := range o.Services {
		if v.Spec.Type == corev1.ServiceTypeLoadBalancer || cluster.Marked(&v) {
			out.Services = append(out.Services, v)
			served[v.Namespace+"/"+v.Name] = true
		}
	}
	for _, v := range o.EndpointSlices {
		if served[v.Namespace+"/"+v.Labels["kubernetes.io/service-name"]] {
			v.ObjectMeta = bundle.Meta(v.ObjectMeta)
			out.EndpointSlices = append(out.EndpointSlices, v)
		}
	}
	for _, v := range o.Namespaces {
		v.ObjectMeta = bundle.Meta(v.ObjectMeta)
		out.Namespaces = append(out.Namespaces, v)
	}
	for _, v := range o.Pools {
		v.ObjectMeta = bundle.Meta(v.ObjectMeta)
		out.Pools = append(out.Pools, v)
	}
	for _, v := range o.Advertisements {
		v.ObjectMeta = bundle.Meta(v.ObjectMeta)
		out.Advertisements = append(out.Advertisements, v)
	}
	for _, v := range o.Statuses {
		v.ObjectMeta = bundle.Meta(v.ObjectMeta)
		out.Statuses = append(out.Statuses, v)
	}
	return out
}

// eventsOf are the Events of Steelyard: what it reported, and what was reported in its namespace.
func eventsOf(system string, all []eventsv1.Event) []eventsv1.Event {
	var out []eventsv1.Event
	for _, e := range all {
		if e.Namespace == system || strings.HasPrefix(e.ReportingController, "steelyard-") {
			e.ObjectMeta = bundle.Meta(e.ObjectMeta)
			out = append(out, e)
		}
	}
	return out
}

func same[T any](v T) T { return v }

// add writes a list of objects as one YAML file.
func add[T any](c *collection, name string, items []T, strip func(T) T) error {
	var out []byte
	for _, item := range items {
		raw, err := yaml.Marshal(strip(item))
		if err != nil {
			return err
		}
		out = append(append(out, "---\n"...), raw...)
	}
	c.step("%d %s", len(items), name)
	return c.Add("objects/"+name+".yaml", out)
}
