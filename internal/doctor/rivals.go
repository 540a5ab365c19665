package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// rival is a program that writes addresses into the status of Services, as Steelyard does.
type rival struct {
	name string
	is   func(Workload) bool
	// classFlag is the flag with the class that it serves. Without the flag it serves Services that have none.
	classFlag string
	severity  Severity
	fix       func(Workload) string
}

// known are the rivals that can be told by their workloads. Others show by what they write: see foreignStatus.
func known() []rival {
	return []rival{
		{name: "MetalLB", is: MetalLB, classFlag: "--lb-class=", severity: Error, fix: func(w Workload) string {
			if w.Kind == "Deployment" {
				return fmt.Sprintf("kubectl -n %s scale deployment %s --replicas=0", w.Namespace, w.Name)
			}
			return fmt.Sprintf(`kubectl -n %s patch daemonset %s -p '{"spec":{"template":{"spec":{"nodeSelector":{"steelyard-migration":"parked"}}}}}'`, w.Namespace, w.Name)
		}},
		{name: "k3s ServiceLB", is: func(w Workload) bool { return w.Labels["svccontroller.k3s.cattle.io/svcname"] != "" }, severity: Error,
			fix: func(Workload) string {
				return `printf 'disable:\n- servicelb\n' >> /etc/rancher/k3s/config.yaml && systemctl restart k3s`
			}},
		{name: "kube-vip", is: kubeVIP, severity: Error, fix: func(w Workload) string {
			if w.Kind == "Pod" {
				return "sed -i '/svc_enable/{n;s/true/false/}' /etc/kubernetes/manifests/kube-vip.yaml   # on each node that has the file"
			}
			return fmt.Sprintf("kubectl -n %s set env %s/%s svc_enable=false", w.Namespace, strings.ToLower(w.Kind), w.Name)
		}},
		{name: "PureLB", is: image("purelb/allocator"), severity: Error, fix: scaleDown},
		{name: "OpenELB", is: image("openelb"), severity: Error, fix: scaleDown},
		{name: "a cloud controller manager", is: cloudController, severity: Warning, fix: func(w Workload) string {
			return fmt.Sprintf("kubectl -n %s edit %s/%s   # add --controllers=*,-service-lb-controller", w.Namespace, strings.ToLower(w.Kind), w.Name)
		}},
	}
}

func scaleDown(w Workload) string {
	return fmt.Sprintf("kubectl -n %s scale %s/%s --replicas=0", w.Namespace, strings.ToLower(w.Kind), w.Name)
}

// image says that one of the images has the text in its name.
func image(part string) func(Workload) bool {
	return func(w Workload) bool {
		return slices.ContainsFunc(w.Images, func(i string) bool { return strings.Contains(i, part) })
	}
}

// MetalLB says that the workload is of MetalLB. It is known by its images, or where they come from a mirror with other names, by the label
// of its charts and manifests.
func MetalLB(w Workload) bool {
	return image("metallb/")(w) || w.Labels["app.kubernetes.io/name"] == "metallb" || w.Labels["app"] == "metallb"
}

// kubeVIP leaves out one that serves the API server's address only.
func kubeVIP(w Workload) bool {
	return image("kube-vip/kube-vip")(w) && (slices.Contains(w.Env, "svc_enable=true") || slices.Contains(w.Args, "--services"))
}

// cloudController leaves out one that is told to leave Services alone.
func cloudController(w Workload) bool {
	off := slices.ContainsFunc(w.Args, func(a string) bool {
		return strings.HasPrefix(a, "--controllers=") && (strings.Contains(a, "-service-lb-controller") || strings.Contains(a, ",-service"))
	})
	return !off && (strings.Contains(w.Name, "cloud-controller-manager") || image("cloud-controller-manager")(w))
}

// rivals finds programs that serve the same Services.
func rivals(f Facts) []Finding {
	var out []Finding
	for _, w := range f.Workloads {
		for _, r := range known() {
			if !r.is(w) || r.class(w) != f.Class {
				continue
			}
			out = append(out, Finding{Severity: r.severity, Where: fmt.Sprintf("%s %s/%s", w.Kind, w.Namespace, w.Name),
				What: fmt.Sprintf("%s serves Services of %s too: both write addresses, or two nodes answer for one", r.name, className(f.Class)), Fix: r.fix(w)})
			break
		}
	}
	return out
}

func (r rival) class(w Workload) string {
	for _, a := range w.Args {
		if class, ok := strings.CutPrefix(a, r.classFlag); ok && r.classFlag != "" {
			return class
		}
	}
	return ""
}

func className(class string) string {
	if class == "" {
		return "no loadBalancerClass"
	}
	return "loadBalancerClass " + class
}

// controller is the name under which Steelyard's controller writes.
const controller = "steelyard-controller"

// lately is for how long somebody who wrote a status is taken to write it still. What a predecessor wrote stays in managedFields.
const lately = 10 * time.Minute

// foreignStatus finds Services of ours to whose status.loadBalancer somebody else has written of late.
func foreignStatus(f Facts) []Finding {
	var out []Finding
	for _, s := range f.Services {
		ours := slices.ContainsFunc(s.Writers, func(w Writer) bool { return w.Manager == controller && f.Now.Sub(w.At) < lately })
		for _, w := range s.Writers {
			if w.Manager == controller || f.Now.Sub(w.At) >= lately {
				continue
			}
			what := fmt.Sprintf("%s wrote status.loadBalancer %v ago, and this Service is Steelyard's", w.Manager, f.Now.Sub(w.At).Round(time.Second))
			if ours {
				what += "; both write it by turns"
			}
			out = append(out, Finding{Severity: Error, Where: "Service " + s.Name.String(), What: what,
				Fix: fmt.Sprintf("kubectl -n %s get service %s -o yaml --show-managed-fields   # then stop %s, or give each its own spec.loadBalancerClass", s.Name.Namespace, s.Name.Name, w.Manager)})
		}
	}
	return out
}
