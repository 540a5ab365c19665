package speaker

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

const (
	// patience bounds quarrels about status objects between speakers that do not hear each other: each writes over what the
	// other wrote, and deletes what it has no use for, once in that time at most.
	patience = 30 * time.Second
	// settle is how long an object may name another living node before we write over it. That node may have just handed an
	// address to us, or just taken it from us: whose it is shows when both have decided once more.
	settle = time.Second
)

// wanted is what the status objects should say. There is one for each Service and node that answers for it; it is named
// after the Service, so that it stays the same object when its addresses move. See statusName.
type wanted struct {
	// ours are the objects of the addresses that this node answers for, by name.
	ours map[string]v1beta1.ServiceL2StatusStatus
	// theirs are the names of the objects that other nodes see to.
	theirs map[string]bool
	// alive are the nodes with a living speaker, this one included.
	alive map[string]bool
}

// statusName is the name of the object in which a Service's nth address leads, counting from 1. Neither a namespace nor a
// Service has a dot in its name, so no two are equal.
func statusName(service lb.Name, nth int) string {
	name := service.Namespace + "." + service.Name
	if nth > 1 {
		name += "." + strconv.Itoa(nth)
	}
	return name
}

// statusFor works out what to write from a decision. An address goes into the object in which the first address of the
// Service leads that its node has: while both addresses of a dual-stack Service are on one node, they share an object.
func statusFor(v ownership.View, d ownership.Decision) wanted {
	w := wanted{ours: map[string]v1beta1.ServiceL2StatusStatus{}, theirs: map[string]bool{}, alive: map[string]bool{v.Self: true}}
	for _, p := range v.Peers {
		if p.Gossip == lb.Alive {
			w.alive[p.Node] = true
		}
	}
	mine := ownAnswers(v, d)
	type share struct {
		service lb.Name
		node    string
	}
	nth := make(map[lb.Name]int, len(v.Services))
	names := make(map[share]string, len(v.Services))
	for _, a := range d.Addresses {
		for _, service := range a.Services {
			nth[service]++
			if a.Owner == "" {
				if a.Problem == nil { // the next owner is being found, and will want the object
					w.theirs[statusName(service, nth[service])] = true
				}
				continue
			}
			k := share{service, a.Owner}
			if names[k] == "" {
				names[k] = statusName(service, nth[service])
			}
			if a.Owner != v.Self {
				w.theirs[names[k]] = true
				continue
			}
			w.ours[names[k]] = withAddress(w.ours[names[k]], v.Self, service, a, mine[a.Addr])
		}
	}
	return w
}

// maxAddresses is the number of entries of status.addresses. No Service has as many; one that had would be refused as a whole.
const maxAddresses = 64

// ownAnswers returns the interfaces on which this node answers for each address as its owner. An owner may answer that is no
// candidate, so it is the answers that count.
func ownAnswers(v ownership.View, d ownership.Decision) map[netip.Addr][]lb.Interface {
	have := map[string]lb.Interface{}
	for _, s := range v.Speakers {
		for _, i := range s.Interfaces {
			if s.Node == v.Self {
				have[i.Name] = i
			}
		}
	}
	out := map[netip.Addr][]lb.Interface{}
	for _, a := range d.Answers {
		if a.Kind != neighbor.Own {
			continue
		}
		for _, name := range a.Interfaces {
			out[a.Addr] = append(out[a.Addr], lb.Interface{Name: name, MACs: have[name].MACs})
		}
	}
	return out
}

// withAddress adds an address to what an object should say.
func withAddress(to v1beta1.ServiceL2StatusStatus, node string, service lb.Name, a ownership.Address, on []lb.Interface) v1beta1.ServiceL2StatusStatus {
	to.Node, to.ServiceName, to.ServiceNamespace = node, service.Name, service.Namespace
	if len(to.Addresses) < maxAddresses {
		to.Addresses = append(to.Addresses, addressStatus(a))
	}
	for _, i := range on {
		to.Interfaces = append(to.Interfaces, v1beta1.InterfaceInfo{Name: i.Name})
		for _, m := range i.MACs {
			to.MACs = append(to.MACs, m.String())
		}
	}
	slices.SortFunc(to.Interfaces, func(a, b v1beta1.InterfaceInfo) int { return cmp.Compare(a.Name, b.Name) })
	to.Interfaces = slices.Compact(to.Interfaces)
	slices.Sort(to.MACs)
	to.MACs = slices.Compact(to.MACs)
	return to
}

// addressStatus tells of one address who owns it since when and why, and who comes next. The API server keeps seconds.
func addressStatus(a ownership.Address) v1beta1.AddressOwnership {
	out := v1beta1.AddressOwnership{Address: a.Addr.String(), Cause: a.Cause.String(), From: a.From, Standby: a.Standby}
	if !a.Since.IsZero() {
		out.Since = new(metav1.NewTime(a.Since.Truncate(time.Second)))
	}
	return out
}

// statusPlan is what must be written.
type statusPlan struct {
	write  []string // names of objects that are ours, missing or to be changed; sorted
	remove []v1beta1.ServiceL2Status
	// odd are the objects that name another node than they should, each with the node, and since when we know.
	odd map[oddity]time.Time
	// wait is how long to wait before looking again, 0 when nothing is due.
	wait time.Duration
}

// statusPast is what a plan needs to know of earlier ones.
type statusPast struct {
	wrote map[string]time.Time // when we last wrote an object
	odd   map[oddity]time.Time // of the plan before
}

// oddity is an object that names a node.
type oddity struct{ object, node string }

// planStatus compares the objects that are there with those that should be:
//
//	object is wanted of   it names       what happens
//	us                    us             written, when it says something else
//	us                    a living node  the same, after settle
//	us                    a dead node    the same, once in patience: that node may live, and write it too
//	another node          anybody        stays
//	nobody                us             goes
//	nobody                a living node  stays: its speaker sees to it
//	nobody                a dead node    goes after patience; the first of the living sees to it
//
// Objects that MetalLB or an earlier version left have names of another form, so they are wanted of nobody.
func planStatus(node string, w wanted, have []v1beta1.ServiceL2Status, past statusPast, now time.Time) statusPlan {
	p := statusPlan{odd: map[oddity]time.Time{}}
	there := make(map[string]bool, len(have))
	caretaker := len(w.alive) > 0 && slices.Min(slices.Collect(maps.Keys(w.alive))) == node
	for _, o := range have {
		there[o.Name] = true
		want, ours := w.ours[o.Name]
		of := nodeOf(o)
		switch {
		case o.DeletionTimestamp != nil, !ours && w.theirs[o.Name], ours && says(o, node, want):
		case of == node && ours:
			p.write = append(p.write, o.Name)
		case of == node:
			p.remove = append(p.remove, o)
		case ours && !w.alive[of]:
			if p.over(patience, past.wrote[o.Name], now) {
				p.write = append(p.write, o.Name)
			}
		case ours:
			if p.over(settle, p.oddSince(oddity{o.Name, of}, past, now), now) {
				p.write = append(p.write, o.Name)
			}
		case !w.alive[of]:
			if p.over(patience, p.oddSince(oddity{o.Name, of}, past, now), now) && caretaker {
				p.remove = append(p.remove, o)
			}
		}
	}
	for name := range w.ours {
		if !there[name] {
			p.write = append(p.write, name)
		}
	}
	slices.Sort(p.write)
	return p
}

// oddSince notes that an object is odd, and returns since when.
func (p *statusPlan) oddSince(what oddity, past statusPast, now time.Time) time.Time {
	since, known := past.odd[what]
	if !known {
		since = now
	}
	p.odd[what] = since
	return since
}

// over says whether a time that began at since is over; if not, the plan is looked at again when it is.
func (p *statusPlan) over(length time.Duration, since, now time.Time) bool {
	left := length - now.Sub(since)
	if left > 0 {
		p.later(left)
	}
	return left <= 0
}

// later makes the plan look again after d, if not before.
func (p *statusPlan) later(d time.Duration) {
	if p.wait == 0 || d < p.wait {
		p.wait = d
	}
}

// nodeOf returns the node that an object names: in its status, or, when that could not be written yet, in its labels.
func nodeOf(o v1beta1.ServiceL2Status) string {
	return cmp.Or(o.Status.Node, o.Labels[v1beta1.LabelNode])
}

// statusLabels are the labels of an object. One whose value the API server would refuse is nil, which removes it: the name of a
// node may be longer than a label.
func statusLabels(node string, s v1beta1.ServiceL2StatusStatus) map[string]*string {
	out := map[string]*string{}
	for key, value := range map[string]string{v1beta1.LabelNode: node, v1beta1.LabelServiceName: s.ServiceName, v1beta1.LabelServiceNamespace: s.ServiceNamespace} {
		out[key] = nil
		if len(validation.IsValidLabelValue(value)) == 0 {
			out[key] = &value
		}
	}
	return out
}

// says tells whether an object says all that it should.
func says(o v1beta1.ServiceL2Status, node string, want v1beta1.ServiceL2StatusStatus) bool {
	return apiequality.Semantic.DeepEqual(o.Status, want) && sameLabels(o, node, want)
}

func sameLabels(o v1beta1.ServiceL2Status, node string, want v1beta1.ServiceL2StatusStatus) bool {
	for key, value := range statusLabels(node, want) {
		if have, there := o.Labels[key]; there != (value != nil) || there && have != *value {
			return false
		}
	}
	return true
}

// newStatus returns the object to create. The API server drops the status: that is a second write.
func newStatus(namespace, name, node string, want v1beta1.ServiceL2StatusStatus) *v1beta1.ServiceL2Status {
	labels := map[string]string{}
	for key, value := range statusLabels(node, want) {
		if value != nil {
			labels[key] = *value
		}
	}
	return &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
}
