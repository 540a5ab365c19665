package speaker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// strangerAge is how old a status object of a dead speaker must be before we delete it. When only gossip is cut, each side
// thinks the other dead and writes objects of its own; this bounds their quarrel to one write each in that time.
const strangerAge = 30 * time.Second

// wanted is what our status objects should say.
type wanted struct {
	// services that this node answers for, each with the interfaces, sorted.
	services map[lb.Name][]string
	// alive are the nodes with a living speaker.
	alive map[string]bool
}

// statusFor works out what to write from a decision. A Service with two addresses has one object, with the interfaces of both.
func statusFor(v ownership.View, d ownership.Decision) wanted {
	w := wanted{services: map[lb.Name][]string{}, alive: map[string]bool{}}
	for _, s := range v.Speakers {
		w.alive[s.Node] = true
	}
	for _, a := range d.Addresses {
		if a.Owner != v.Self {
			continue
		}
		for _, name := range a.Services {
			list := slices.Concat(w.services[name], a.Candidates[0].Interfaces)
			slices.Sort(list)
			w.services[name] = slices.Compact(list)
		}
	}
	return w
}

// statusPlan is what must be written. wait is how long to wait before looking again, 0 when nothing is due.
type statusPlan struct {
	create []lb.Name
	update []v1beta1.ServiceL2Status // as they are now; what they should say is in wanted
	remove []v1beta1.ServiceL2Status
	wait   time.Duration
}

// planStatus compares the objects that are there with those that should be:
//
//	object of       Service is ours     what happens
//	this node       yes                 stays, updated when its interfaces differ; all but one of several go
//	this node       no                  goes
//	this node       either              goes when another Pod owns it: it would vanish with that Pod
//	a living node   either              stays: its speaker sees to it
//	a dead node     yes                 goes, once it is strangerAge old
//	a dead node     no                  stays: it goes with its Pod, or when its speaker is back
func planStatus(node string, owner []metav1.OwnerReference, w wanted, have []v1beta1.ServiceL2Status, now time.Time) statusPlan {
	var p statusPlan
	seen := map[lb.Name]bool{}
	have = slices.Clone(have)
	slices.SortFunc(have, func(a, b v1beta1.ServiceL2Status) int { return cmp.Compare(a.Name, b.Name) })
	for _, o := range have {
		of, name := statusOf(o)
		interfaces, ours := w.services[name]
		switch {
		case o.DeletionTimestamp != nil:
		case of == node && (!ours || seen[name] || !sameOwner(o.OwnerReferences, owner)):
			p.remove = append(p.remove, o)
		case of == node:
			seen[name] = true
			if o.Status.Node != node || !slices.Equal(interfaceNames(o), interfaces) {
				p.update = append(p.update, o)
			}
		case ours && !w.alive[of]:
			if age := now.Sub(o.CreationTimestamp.Time); age < strangerAge {
				p.wait = max(p.wait, strangerAge-age)
			} else {
				p.remove = append(p.remove, o)
			}
		}
	}
	for name := range w.services {
		if !seen[name] {
			p.create = append(p.create, name)
		}
	}
	slices.SortFunc(p.create, lb.Name.Compare)
	return p
}

// statusOf returns the node and the Service that an object is about: its status says so, or, when that could not be written yet,
// its labels.
func statusOf(o v1beta1.ServiceL2Status) (node string, service lb.Name) {
	if o.Status.Node != "" {
		return o.Status.Node, lb.Name{Namespace: o.Status.ServiceNamespace, Name: o.Status.ServiceName}
	}
	return o.Labels[v1beta1.LabelNode], lb.Name{Namespace: o.Labels[v1beta1.LabelServiceNamespace], Name: o.Labels[v1beta1.LabelServiceName]}
}

func interfaceNames(o v1beta1.ServiceL2Status) []string {
	var out []string
	for _, i := range o.Status.Interfaces {
		out = append(out, i.Name)
	}
	return out
}

// sameOwner says whether an object belongs to the Pod that ours should belong to.
func sameOwner(have, want []metav1.OwnerReference) bool {
	uid := func(list []metav1.OwnerReference) types.UID {
		if len(list) == 0 {
			return ""
		}
		return list[0].UID
	}
	return uid(have) == uid(want)
}

// newStatus returns the object to create. The API server gives it a name and drops the status: that is a second write.
func newStatus(namespace, node string, owner []metav1.OwnerReference, service lb.Name) *v1beta1.ServiceL2Status {
	labels := map[string]string{v1beta1.LabelNode: node, v1beta1.LabelServiceName: service.Name, v1beta1.LabelServiceNamespace: service.Namespace}
	for k, v := range labels {
		if len(validation.IsValidLabelValue(v)) > 0 {
			delete(labels, k) // a node's name may be longer than a label
		}
	}
	return &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{GenerateName: "l2-", Namespace: namespace, Labels: labels, OwnerReferences: owner}}
}

// statusFields is what an object should say.
func statusFields(node string, service lb.Name, interfaces []string) v1beta1.ServiceL2StatusStatus {
	out := v1beta1.ServiceL2StatusStatus{Node: node, ServiceName: service.Name, ServiceNamespace: service.Namespace}
	for _, name := range interfaces {
		out.Interfaces = append(out.Interfaces, v1beta1.InterfaceInfo{Name: strings.Clone(name)})
	}
	return out
}
