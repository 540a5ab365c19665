package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

var instant = time.Unix(1_700_000_000, 0)

// saying is what an object of a Service of namespace default should say when node answers on these interfaces.
func saying(node, service string, interfaces ...string) v1beta1.ServiceL2StatusStatus {
	out := v1beta1.ServiceL2StatusStatus{Node: node, ServiceName: service, ServiceNamespace: "default",
		Addresses: []v1beta1.AddressOwnership{{Address: "192.168.1.200"}}}
	for _, name := range interfaces {
		out.Interfaces = append(out.Interfaces, v1beta1.InterfaceInfo{Name: name})
	}
	return out
}

// statusObject is one that node wrote for a Service.
func statusObject(name, node, service string, change ...func(*v1beta1.ServiceL2Status)) v1beta1.ServiceL2Status {
	status := saying(node, service, "eth0")
	o := *newStatus(ours, name, node, status)
	o.UID, o.ResourceVersion, o.Status = types.UID("uid-"+name), "1", status
	for _, c := range change {
		c(&o)
	}
	return o
}

func TestStatusOfASharedAndADualStackService(t *testing.T) {
	dns, other := lb.Name{Namespace: "default", Name: "dns"}, lb.Name{Namespace: "default", Name: "other"}
	a, b, c := owned("node1", "node3"), owned("node1"), owned("node2")
	a.Standby, a.From, a.Since = "node3", "node9", time.Unix(1700000000, 5)
	a.Services, b.Addr, c.Services = []lb.Name{web, dns}, netip.MustParseAddr("2001:db8::1"), []lb.Name{other}
	b.Candidates = nil // an owner that may not have it any more, and keeps it while nobody else can
	v := view("node1", "node2", "node4", "node5")
	v.Peers[1].Gossip, v.Peers[2].Gossip = lb.Dead, lb.Unknown
	v.Speakers[1].Interfaces = []lb.Interface{{Name: "eth1", MACs: []lb.MAC{{2, 0, 0, 0, 0, 8}}}}
	v.Speakers[0].Interfaces = []lb.Interface{
		{Name: "eth0", MACs: []lb.MAC{{2, 0, 0, 0, 0, 1}}}, {Name: "eth1", MACs: []lb.MAC{{2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 0, 2}}}, {Name: "eth2", MACs: []lb.MAC{{2, 0, 0, 0, 0, 9}}}}
	d := decision(a, b, c, unowned(ownership.NoPool, ""))
	d.Answers = []ownership.Answer{{Addr: a.Addr, Kind: neighbor.Own, Interfaces: []string{"eth1"}}, {Addr: b.Addr, Kind: neighbor.Own, Interfaces: []string{"eth0", "eth1"}},
		{Addr: a.Addr, Kind: neighbor.StandIn, Node: "node2", Interfaces: []string{"eth2"}}, {Addr: a.Addr, Kind: neighbor.Trail, Node: "node2", Interfaces: []string{"eth2"}}}
	w := statusFor(v, d)
	shared := []v1beta1.AddressOwnership{{Address: addr.String(), Since: new(metav1.Unix(1700000000, 0)), Cause: "free", From: "node9", Standby: "node3"}}
	want := map[string]v1beta1.ServiceL2StatusStatus{
		"default.web": {Node: "node1", ServiceName: "web", ServiceNamespace: "default", Interfaces: []v1beta1.InterfaceInfo{{Name: "eth0"}, {Name: "eth1"}},
			Addresses: append(shared[:1:1], v1beta1.AddressOwnership{Address: "2001:db8::1", Cause: "free"}), MACs: []string{"02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"}},
		"default.dns": {Node: "node1", ServiceName: "dns", ServiceNamespace: "default", Interfaces: []v1beta1.InterfaceInfo{{Name: "eth1"}},
			Addresses: shared, MACs: []string{"02:00:00:00:00:02", "02:00:00:00:00:03"}},
	}
	if diff := cmp.Diff(want, w.ours); diff != "" {
		t.Errorf("ours (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{"default.other": true}, w.theirs); diff != "" {
		t.Errorf("theirs (-want +got):\n%s", diff)
	}
	if !w.alive["node1"] || !w.alive["node2"] || w.alive["node3"] || w.alive["node4"] || w.alive["node5"] {
		t.Errorf("alive = %v", w.alive)
	}
}

func TestStatusObjectsWhenTwoNodesHaveTheAddresses(t *testing.T) {
	onItsWay := unowned("", "")
	onItsWay.Problem = nil
	for _, c := range []struct {
		name         string
		first, next  ownership.Address
		ours, theirs string
	}{
		{"both here", owned("node1"), owned("node1"), "default.web", ""},
		{"both elsewhere", owned("node2"), owned("node2"), "", "default.web"},
		{"the second elsewhere", owned("node1"), owned("node2"), "default.web", "default.web.2"},
		{"the first elsewhere", owned("node2"), owned("node1"), "default.web.2", "default.web"},
		{"the first nowhere", unowned(ownership.NoSpeaker, ""), owned("node1"), "default.web.2", ""},
		{"the first on its way", onItsWay, owned("node1"), "default.web.2", "default.web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := statusFor(view("node1", "node2"), decision(c.first, c.next))
			var got [2][]string
			for name := range w.ours {
				got[0] = append(got[0], name)
			}
			for name := range w.theirs {
				got[1] = append(got[1], name)
			}
			if o, th := strings.Join(got[0], " "), strings.Join(got[1], " "); o != c.ours || th != c.theirs {
				t.Errorf("ours %q, theirs %q; want %q and %q", o, th, c.ours, c.theirs)
			}
		})
	}
}

func TestPlanStatus(t *testing.T) {
	const name = "default.web"
	old := "default.old"
	w := wanted{ours: map[string]v1beta1.ServiceL2StatusStatus{name: saying("node1", "web", "eth0")}, theirs: map[string]bool{"default.their": true},
		alive: map[string]bool{"node1": true, "node2": true}}
	good := statusObject(name, "node1", "web")
	ago := func(d time.Duration) time.Time { return instant.Add(-d) }
	for _, c := range []struct {
		title string
		node  string // empty: node1
		have  []v1beta1.ServiceL2Status
		past  statusPast
		want  string
	}{
		{title: "nothing there", want: "write default.web"},
		{title: "all as it should be", have: []v1beta1.ServiceL2Status{good}},
		{title: "another interface", have: []v1beta1.ServiceL2Status{statusObject(name, "node1", "web", func(o *v1beta1.ServiceL2Status) {
			o.Status.Interfaces = nil
		})}, want: "write default.web"},
		{title: "another label", have: []v1beta1.ServiceL2Status{statusObject(name, "node1", "web", func(o *v1beta1.ServiceL2Status) {
			o.Labels[v1beta1.LabelNode] = "node2"
		})}, want: "write default.web"},
		{title: "created, but its status was not written", have: []v1beta1.ServiceL2Status{statusObject(name, "node1", "web", func(o *v1beta1.ServiceL2Status) {
			o.Status = v1beta1.ServiceL2StatusStatus{}
		})}, want: "write default.web"},
		{title: "taken from a dead node", have: []v1beta1.ServiceL2Status{statusObject(name, "node3", "web")}, want: "write default.web"},
		{title: "a node that seems dead wrote over it", have: []v1beta1.ServiceL2Status{statusObject(name, "node3", "web")},
			past: statusPast{wrote: map[string]time.Time{name: ago(10 * time.Second)}}, want: "wait 20s"},
		{title: "and long after we wrote", have: []v1beta1.ServiceL2Status{statusObject(name, "node3", "web")},
			past: statusPast{wrote: map[string]time.Time{name: ago(patience)}}, want: "write default.web"},
		{title: "names a living node", have: []v1beta1.ServiceL2Status{statusObject(name, "node2", "web")}, want: "wait 1s"},
		{title: "still names it", have: []v1beta1.ServiceL2Status{statusObject(name, "node2", "web")},
			past: statusPast{odd: map[oddity]time.Time{{name, "node2"}: ago(settle)}}, want: "write default.web"},
		{title: "names another than a moment ago", have: []v1beta1.ServiceL2Status{statusObject(name, "node2", "web")},
			past: statusPast{odd: map[oddity]time.Time{{name, "node3"}: ago(settle)}}, want: "wait 1s"},
		{title: "moved to another node", have: []v1beta1.ServiceL2Status{good, statusObject("default.their", "node1", "their")}},
		{title: "of a Service that is gone", have: []v1beta1.ServiceL2Status{good, statusObject(old, "node1", "old")}, want: "remove default.old"},
		{title: "of a Service that is gone, another living node's", have: []v1beta1.ServiceL2Status{good, statusObject(old, "node2", "old")}},
		{title: "of a Service that is gone, a dead node's", have: []v1beta1.ServiceL2Status{good, statusObject(old, "node3", "old")}, want: "wait 30s"},
		{title: "and for a while", have: []v1beta1.ServiceL2Status{good, statusObject(old, "node3", "old")},
			past: statusPast{odd: map[oddity]time.Time{{old, "node3"}: ago(patience)}}, want: "remove default.old"},
		{title: "which is not for the second of the living", node: "node2", have: []v1beta1.ServiceL2Status{good, statusObject(old, "node3", "old")},
			past: statusPast{odd: map[oddity]time.Time{{old, "node3"}: ago(patience), {name, "node1"}: ago(settle)}}, want: "write default.web"},
		{title: "of an earlier version, ours", have: []v1beta1.ServiceL2Status{good, statusObject("l2-abcde", "node1", "web")}, want: "remove l2-abcde"},
		{title: "of an earlier version, which still runs there", have: []v1beta1.ServiceL2Status{good, statusObject("l2-abcde", "node2", "web")}},
		{title: "of an earlier version, on a dead node", have: []v1beta1.ServiceL2Status{good, statusObject("l2-abcde", "node3", "web")},
			past: statusPast{odd: map[oddity]time.Time{{"l2-abcde", "node3"}: ago(time.Hour)}}, want: "remove l2-abcde"},
		{title: "of a Service that is gone, its status was never written", have: []v1beta1.ServiceL2Status{good, statusObject(old, "node1", "old", func(o *v1beta1.ServiceL2Status) {
			o.Status = v1beta1.ServiceL2StatusStatus{}
		})}, want: "remove default.old"},
		{title: "of a Service that is gone, ours, who are not the first of the living", node: "node2",
			have: []v1beta1.ServiceL2Status{statusObject(name, "node2", "web"), statusObject(old, "node2", "old")}, want: "write default.web, remove default.old"},
		{title: "two things are due", have: []v1beta1.ServiceL2Status{statusObject(name, "node2", "web"), statusObject(old, "node3", "old")}, want: "wait 1s"},
		{title: "two things are due, the later one is seen first", have: []v1beta1.ServiceL2Status{statusObject(old, "node3", "old"), statusObject(name, "node2", "web")}, want: "wait 1s"},
		{title: "going already", have: []v1beta1.ServiceL2Status{good, statusObject(old, "node1", "old", func(o *v1beta1.ServiceL2Status) {
			o.DeletionTimestamp = &metav1.Time{Time: instant}
		})}},
	} {
		t.Run(c.title, func(t *testing.T) {
			node := c.node
			if node == "" {
				node = "node1"
			}
			p := planStatus(node, w, c.have, c.past, instant)
			var got []string
			for _, n := range p.write {
				got = append(got, "write "+n)
			}
			for _, o := range p.remove {
				got = append(got, "remove "+o.Name)
			}
			if p.wait > 0 {
				got = append(got, "wait "+p.wait.String())
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("plan %q, want %q", s, c.want)
			}
		})
	}
}

func TestNoObjectHasMoreAddressesThanTheAPITakes(t *testing.T) {
	var d ownership.Decision
	for i := range maxAddresses + 1 {
		a := owned("node1")
		a.Addr = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		d.Addresses = append(d.Addresses, a)
	}
	if got := statusFor(view("node1"), d).ours["default.web"].Addresses; len(got) != maxAddresses {
		t.Errorf("%d addresses, want %d", len(got), maxAddresses)
	}
}

func TestObjectsAreWrittenInTheOrderOfNames(t *testing.T) {
	p := planStatus("node1", many(), nil, statusPast{}, instant)
	if len(p.write) != 100 || !slices.IsSorted(p.write) {
		t.Errorf("%d objects in the order %v", len(p.write), p.write)
	}
}

func TestALongNodeNameIsNoLabel(t *testing.T) {
	long := strings.Repeat("n", 100) + ".example.com"
	o := newStatus(ours, "default.web", long, saying(long, "web"))
	if _, ok := o.Labels[v1beta1.LabelNode]; ok || o.Labels[v1beta1.LabelServiceName] != "web" {
		t.Errorf("labels = %v: the API server would refuse the object", o.Labels)
	}
	o.Labels[v1beta1.LabelNode] = "short"
	if sameLabels(*o, long, saying(long, "web")) {
		t.Error("the label of another node counts as ours")
	}
}
