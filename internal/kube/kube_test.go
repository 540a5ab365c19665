package kube

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

var compare = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()}

func TestPoolParsesAddresses(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []string
		want    []string // ranges, "first-last"
		problem string   // part of the one problem's message
	}{
		{"a range", []string{"192.168.1.200-192.168.1.210"}, []string{"192.168.1.200-192.168.1.210"}, ""},
		{"spaces around the dash", []string{" 192.0.2.1 -  192.0.2.2 "}, []string{"192.0.2.1-192.0.2.2"}, ""},
		{"a range of one", []string{"192.0.2.1-192.0.2.1"}, []string{"192.0.2.1-192.0.2.1"}, ""},
		{"a CIDR", []string{"192.0.2.0/24"}, []string{"192.0.2.0-192.0.2.255"}, ""},
		{"host bits are masked", []string{"192.0.2.77/24"}, []string{"192.0.2.0-192.0.2.255"}, ""},
		{"IPv6 in both forms", []string{"2001:db8::/127", "2001:db8::a-2001:db8::f"}, []string{"2001:db8::-2001:db8::1", "2001:db8::a-2001:db8::f"}, ""},
		{"the user's order is kept", []string{"192.0.2.8/32", "192.0.2.1/32"}, []string{"192.0.2.8-192.0.2.8", "192.0.2.1-192.0.2.1"}, ""},
		{"good entries survive a bad one", []string{"192.0.2.1/33", "192.0.2.1/32"}, []string{"192.0.2.1-192.0.2.1"}, `"192.0.2.1/33" is not used: prefix length "33"`},
		{"start after end", []string{"192.0.2.9-192.0.2.1"}, nil, "start 192.0.2.9 is after end 192.0.2.1"},
		{"mixed families in a range", []string{"192.0.2.9-2001:db8::1"}, nil, "start is IPv4 and end is IPv6"},
		{"a lone address", []string{"192.0.2.9"}, nil, "want a CIDR"},
		{"no start", []string{"-192.0.2.9"}, nil, "start of range: the address is missing"},
		{"no end", []string{"192.0.2.9-"}, nil, "end of range: the address is missing"},
		{"a number too large", []string{"192.0.2.256/24"}, nil, `"192.0.2.256" is not an IP address`},
		{"nothing", []string{""}, nil, "want a CIDR"},
		{"a zone", []string{"fe80::1%eth0/64"}, nil, "has a zone"},
		{"IPv4-mapped", []string{"::ffff:192.0.2.0/120"}, nil, "write 192.0.2.0"},
		{"a negative prefix length", []string{"192.0.2.0/-1"}, nil, "is not an IP address"},
		{"an empty prefix length", []string{"192.0.2.0/"}, nil, "prefix length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Pool(&v1beta1.IPAddressPool{Spec: v1beta1.IPAddressPoolSpec{Addresses: c.entries}})
			var want []netipx.IPRange
			for _, s := range c.want {
				want = append(want, netipx.MustParseIPRange(s))
			}
			if len(got.Ranges) != len(want) {
				t.Fatalf("ranges = %v, want %v", got.Ranges, want)
			}
			for i := range want {
				if got.Ranges[i] != want[i] {
					t.Errorf("range %d = %v, want %v", i, got.Ranges[i], want[i])
				}
			}
			checkProblem(t, got.Problems, ReasonInvalidAddress, c.problem)
		})
	}
}

// checkProblem expects no problem when part is empty, and else exactly one whose message contains it.
func checkProblem(t *testing.T, got []lb.Problem, reason lb.Reason, part string) {
	t.Helper()
	if part == "" {
		if len(got) != 0 {
			t.Errorf("problems = %v, want none", got)
		}
		return
	}
	if len(got) != 1 || got[0].Reason != reason || !strings.Contains(got[0].Message, part) {
		t.Errorf("problems = %v, want one with reason %s that says %q", got, reason, part)
	}
}

func TestPoolDefaultsAndAllocation(t *testing.T) {
	no := false
	p := Pool(&v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: "p"}})
	if !p.AutoAssign || p.Allocation != nil {
		t.Errorf("AutoAssign = %v, Allocation = %v; want true and nil", p.AutoAssign, p.Allocation)
	}
	p = Pool(&v1beta1.IPAddressPool{Spec: v1beta1.IPAddressPoolSpec{
		AutoAssign: &no, AvoidBuggyIPs: true,
		AllocateTo: &v1beta1.ServiceAllocation{Priority: -3, Namespaces: []string{"a"}},
	}})
	if p.AutoAssign || !p.AvoidBuggyIPs || p.Allocation == nil || p.Allocation.Priority != 0 {
		t.Errorf("pool = %+v, want the fields as written and the negative priority as none", p)
	}
}

func TestPoolReservesRetainsAndLimits(t *testing.T) {
	p := Pool(&v1beta1.IPAddressPool{Spec: v1beta1.IPAddressPoolSpec{
		Addresses: []string{"192.0.2.0/24"}, Reserved: []string{"192.0.2.1-192.0.2.2", "x"}, RetainFor: &metav1.Duration{Duration: time.Hour},
		Quotas: []v1beta1.Quota{{Max: 2, Namespaces: []string{"a"}, NamespaceSelectors: []v1beta1.LabelSelector{
			{MatchExpressions: []v1beta1.LabelSelectorRequirement{{Key: "zone", Operator: "Gt", Values: []string{"1"}}}}}}},
		AllocateTo: &v1beta1.ServiceAllocation{EvictOnSelectorChange: true},
	}})
	if len(p.Reserved) != 1 || p.Reserved[0] != netipx.MustParseIPRange("192.0.2.1-192.0.2.2") || p.RetainFor != time.Hour || !p.Allocation.Evict {
		t.Errorf("pool = %+v, want one reserved range, an hour, and eviction", p)
	}
	if len(p.Quotas) != 1 || p.Quotas[0].Max != 2 || p.Quotas[0].Namespaces[0] != "a" || lb.AnyMatches(p.Quotas[0].NamespaceSelectors, nil) {
		t.Errorf("quotas = %+v, want one, whose broken selector selects nothing", p.Quotas)
	}
	if len(p.Problems) != 2 || !strings.Contains(p.Problems[0].Message, `reserved entry "x" is not used`) || !strings.Contains(p.Problems[1].Message, "quotas[0].namespaceSelectors[0]") {
		t.Errorf("problems = %+v, want one of the reserved entry and one of the selector", p.Problems)
	}
}

func TestPoolStatusGoesThereAndBack(t *testing.T) {
	now := time.Unix(1000, 0)
	until := metav1.NewTime(now.Add(time.Hour))
	over := metav1.NewTime(now)
	p := &v1beta1.IPAddressPool{Status: v1beta1.IPAddressPoolStatus{
		Retained:  []v1beta1.RetainedAddress{{Address: "192.0.2.1", Namespace: "n", Name: "s", Until: until}, {Address: "192.0.2.2", Until: over}, {Address: "x", Until: until}},
		Conflicts: []v1beta1.AddressConflict{{Address: "2001:db8::1", MAC: "02:00:00:00:00:01", Node: "n1", Until: until}, {Address: "192.0.2.2", Until: over}, {Address: "x", Until: until}},
	}}
	retained, conflicts := Retained(p, now), Conflicts(p, now)
	if d := cmp.Diff([]lb.Retention{{Address: netip.MustParseAddr("192.0.2.1"), For: lb.Name{Namespace: "n", Name: "s"}, Until: until.Time}}, retained, compare); d != "" {
		t.Errorf("retained (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]lb.Conflict{{Address: netip.MustParseAddr("2001:db8::1"), MAC: "02:00:00:00:00:01", Node: "n1", Until: until.Time}}, conflicts, compare); d != "" {
		t.Errorf("conflicts (-want +got):\n%s", d)
	}
	if d := cmp.Diff(p.Status.Retained[:1], RetainedStatus(retained)); d != "" {
		t.Errorf("retained again (-want +got):\n%s", d)
	}
	if d := cmp.Diff(p.Status.Conflicts[:1], ConflictStatus(conflicts)); d != "" {
		t.Errorf("conflicts again (-want +got):\n%s", d)
	}
}

func TestABrokenSelectorNeverWidens(t *testing.T) {
	broken := []v1beta1.LabelSelector{{MatchExpressions: []v1beta1.LabelSelectorRequirement{{Key: "zone", Operator: "Gt", Values: []string{"1"}}}}}
	p := Pool(&v1beta1.IPAddressPool{Spec: v1beta1.IPAddressPoolSpec{AllocateTo: &v1beta1.ServiceAllocation{NamespaceSelectors: broken, ServiceSelectors: broken}}})
	if len(p.Problems) != 2 {
		t.Errorf("problems = %v, want one for each list", p.Problems)
	}
	for _, list := range [][]lb.Selector{p.Allocation.NamespaceSelectors, p.Allocation.ServiceSelectors} {
		if len(list) != 1 || lb.AnyMatches(list, map[string]string{"zone": "2"}) || lb.AnyMatches(list, nil) {
			t.Errorf("selectors = %v, want one that matches nothing", list)
		}
	}
	a := Advertisement(&v1beta1.L2Advertisement{Spec: v1beta1.L2AdvertisementSpec{
		IPAddressPoolSelectors: broken, NodeSelectors: broken, ServiceSelectors: broken,
		PreferredNodeSelectors: []v1beta1.NodePreference{{Weight: 5, Preference: broken[0]}},
	}})
	if len(a.Problems) != 4 {
		t.Errorf("advertisement problems = %v, want four", a.Problems)
	}
	if len(a.NodeSelectors) != 1 || lb.AnyMatches(a.NodeSelectors, nil) || a.Preferred[0].Nodes.Matches(nil) {
		t.Errorf("advertisement = %+v, want selectors that match nothing", a)
	}
}

func TestSelector(t *testing.T) {
	got, err := selector(metav1.LabelSelector{
		MatchLabels: map[string]string{"b": "2", "a": "1"},
		MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "z", Operator: metav1.LabelSelectorOpExists},
			{Key: "c", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"x", "y"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := lb.Selector{{Key: "a", Op: lb.In, Values: []string{"1"}}, {Key: "b", Op: lb.In, Values: []string{"2"}},
		{Key: "c", Op: lb.NotIn, Values: []string{"x", "y"}}, {Key: "z", Op: lb.Exists}}
	if d := cmp.Diff(want, got, compare); d != "" {
		t.Errorf("Selector (-want +got):\n%s", d)
	}
	empty, err := selector(metav1.LabelSelector{})
	if err != nil || !empty.Matches(nil) {
		t.Errorf("the empty selector = %v, %v; want one that matches everything", empty, err)
	}
}

func TestNode(t *testing.T) {
	n := Node(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"node.kubernetes.io/exclude-from-external-load-balancers": ""}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionFalse},
			{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}}},
	})
	if n.Name != "n1" || !n.Excluded || !n.NetworkUnavailable {
		t.Errorf("node = %+v, want n1, excluded, network unavailable", n)
	}
	if n.Drained || !Node(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1beta1.LabelDrained: ""}}}).Drained {
		t.Error("a node is drained when it has the label, and else not")
	}
	n = Node(&corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionUnknown}}}})
	if n.Excluded || n.NetworkUnavailable {
		t.Errorf("node = %+v, want neither excluded nor unavailable", n)
	}
}

func TestNodeGoesOutOfService(t *testing.T) {
	ready := func(status corev1.ConditionStatus, reason, message string) corev1.Node {
		return corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, Reason: reason, Message: message}}}}
	}
	tainted := func(t corev1.Taint) corev1.Node { return corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{t}}} }
	for _, c := range []struct {
		name string
		node corev1.Node
		want bool
	}{
		{"a healthy node", ready(corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"), false},
		{"the taint with its usual value", tainted(corev1.Taint{Key: "node.kubernetes.io/out-of-service", Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute}), true},
		{"the taint without value, of another effect", tainted(corev1.Taint{Key: "node.kubernetes.io/out-of-service", Effect: corev1.TaintEffectNoSchedule}), true},
		{"cordoned", tainted(corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}), false},
		{"a graceful shutdown", ready(corev1.ConditionFalse, "KubeletNotReady", "node is shutting down"), true},
		{"a graceful shutdown, among other news", ready(corev1.ConditionFalse, "KubeletNotReady", "[container runtime is down, node is shutting down]"), true},
		{"not ready for another reason", ready(corev1.ConditionFalse, "KubeletNotReady", "container runtime is down"), false},
		{"silent after a shutdown was announced", ready(corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Node(&c.node).OutOfService; got != c.want {
				t.Errorf("OutOfService = %v, want %v", got, c.want)
			}
		})
	}
}

func TestFailback(t *testing.T) {
	for value, want := range map[v1beta1.Failback]bool{"": false, v1beta1.FailbackNever: false, v1beta1.FailbackAlways: true} {
		if got := Advertisement(&v1beta1.L2Advertisement{Spec: v1beta1.L2AdvertisementSpec{Failback: value}}).FailbackAlways; got != want {
			t.Errorf("failback %q: FailbackAlways = %v, want %v", value, got, want)
		}
	}
}
