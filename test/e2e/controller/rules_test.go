package controller

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// What follows says once more, independently of the allocator, what must hold. It reads objects as the API server shows them.

// view is what the API server shows at one moment.
type view struct {
	services map[string]*corev1.Service
	pools    pools
}

// pools are the pools by name.
type pools map[string]*v1beta1.IPAddressPool

// with returns the names, sorted, of the pools that contain the address.
func (ps pools) with(addr netip.Addr) []string {
	var out []string
	for name, p := range ps {
		if slices.ContainsFunc(p.Spec.Addresses, func(entry string) bool { return within(entry, addr) }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// within says whether an entry of a pool, a CIDR or a range, contains the address. The test writes no wrong entries.
func within(entry string, addr netip.Addr) bool {
	if from, to, isRange := strings.Cut(entry, "-"); isRange {
		a, b := netip.MustParseAddr(from), netip.MustParseAddr(to)
		return a.BitLen() == addr.BitLen() && a.Compare(addr) <= 0 && addr.Compare(b) <= 0
	}
	return netip.MustParsePrefix(entry).Contains(addr)
}

// holds are the addresses in a Service's status.
func holds(svc *corev1.Service) []netip.Addr {
	var out []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		a, _ := netip.ParseAddr(in.IP) // one that does not parse is in no pool, which is a fault of its own
		out = append(out, a)
	}
	return out
}

// mayShare says whether two Services may hold one address: one sharing key, no port in common, and the same backends as far
// as the traffic policy asks for it.
func mayShare(a, b *corev1.Service) bool {
	key := a.Annotations[v1beta1.AnnotationAllowSharedIP]
	if key == "" || key != b.Annotations[v1beta1.AnnotationAllowSharedIP] || a.Spec.ExternalTrafficPolicy != b.Spec.ExternalTrafficPolicy {
		return false
	}
	if a.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal && !maps.Equal(a.Spec.Selector, b.Spec.Selector) {
		return false
	}
	for _, p := range a.Spec.Ports {
		for _, q := range b.Spec.Ports {
			if p.Port == q.Port && p.Protocol == q.Protocol {
				return false
			}
		}
	}
	return true
}

// faults is everything that is wrong at a quiet point, whatever was before.
func (v view) faults() []string {
	var out []string
	holders := map[netip.Addr][]*corev1.Service{}
	for _, name := range slices.Sorted(maps.Keys(v.services)) {
		svc := v.services[name]
		for _, addr := range holds(svc) {
			for _, other := range holders[addr] {
				if !mayShare(svc, other) {
					out = append(out, fmt.Sprintf("%v is held by %s and %s, which may not share it", addr, other.Name, svc.Name))
				}
			}
			holders[addr] = append(holders[addr], svc)
		}
		if wrong := v.look(svc); wrong != "" {
			out = append(out, name+" "+wrong)
		}
	}
	for _, svc := range v.services {
		if free := v.couldHave(svc, holders); free.IsValid() {
			out = append(out, fmt.Sprintf("%s waits (%s) and could have %v", svc.Name, allocated(svc).Message, free))
		}
	}
	return out
}

// look returns what is wrong with one Service, or "".
func (v view) look(svc *corev1.Service) string {
	held, condition := holds(svc), allocated(svc)
	from, marked := svc.Annotations[v1beta1.AnnotationAllocatedFromPool]
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		if len(held) > 0 || marked || condition.Type != "" {
			return fmt.Sprintf("is %s and still carries %v, pool %q, condition %q", svc.Spec.Type, held, from, condition.Reason)
		}
		return ""
	}
	if condition.Type == "" || condition.Message == "" || condition.Reason == "" {
		return "does not say how it stands"
	}
	if len(held) == 0 && (condition.Status != metav1.ConditionFalse || from != "") {
		return fmt.Sprintf("has nothing, and condition %s, pool %q", condition.Status, from)
	}
	families := map[bool]int{}
	for _, addr := range held {
		families[addr.Is4()]++
		of := v.pools.with(addr)
		if len(of) == 0 {
			return fmt.Sprintf("holds %v, which is in no pool", addr)
		}
		if !slices.ContainsFunc(strings.Split(from, ","), func(p string) bool { return slices.Contains(of, p) }) {
			return fmt.Sprintf("holds %v, which is in %v, and says it is from %q", addr, of, from)
		}
		if !slices.ContainsFunc(svc.Spec.ClusterIPs, func(ip string) bool { return netip.MustParseAddr(ip).Is4() == addr.Is4() }) {
			return fmt.Sprintf("holds %v and has no cluster IP of that family", addr)
		}
	}
	if families[true] > 1 || families[false] > 1 {
		return fmt.Sprintf("holds %v, two of one family", held)
	}
	return ""
}

// couldHave returns a free address that a Service without any could have for sure: it is in one pool only, which admits
// everybody. It is the zero address when there is none, or when the Service's wish needs a longer look than this.
func (v view) couldHave(svc *corev1.Service, holders map[netip.Addr][]*corev1.Service) netip.Addr {
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer || len(holds(svc)) > 0 || svc.Annotations[v1beta1.AnnotationAddressPool] != "" ||
		*svc.Spec.IPFamilyPolicy == corev1.IPFamilyPolicyRequireDualStack {
		return netip.Addr{}
	}
	wish, isWish := svc.Annotations[v1beta1.AnnotationLoadBalancerIPs]
	for _, addr := range universe() {
		of := v.pools.with(addr)
		if len(of) != 1 || len(holders[addr]) > 0 || v.pools[of[0]].Spec.AllocateTo != nil {
			continue
		}
		fits := slices.ContainsFunc(svc.Spec.ClusterIPs, func(ip string) bool { return netip.MustParseAddr(ip).Is4() == addr.Is4() })
		if fits && (isWish && wish == addr.String() || !isWish && *v.pools[of[0]].Spec.AutoAssign) {
			return addr
		}
	}
	return netip.Addr{}
}

// lost returns the addresses that a Service had and has not any more, although nobody asked for that: it was not edited, the
// address was in a pool all the time (in the one that it asks for, if it asks for one), it is what it asks for, and none of
// those with whom it was shared was edited, so that the older of the two had the better right. A new order is a loss too.
func lost(before, now *corev1.Service, steps []pools, disputed func(netip.Addr) bool) []netip.Addr {
	var out []netip.Addr
	wish, isWish := before.Annotations[v1beta1.AnnotationLoadBalancerIPs]
	pool, isPool := before.Annotations[v1beta1.AnnotationAddressPool]
	has := holds(now)
	for i, addr := range holds(before) {
		excused := isWish && !slices.Contains(strings.Split(wish, ","), addr.String()) ||
			before.Annotations[v1beta1.AnnotationAllowSharedIP] != "" && disputed(addr)
		for _, at := range steps {
			of := at.with(addr)
			excused = excused || len(of) == 0 || isPool && (len(of) > 1 || of[0] != pool)
		}
		if excused {
			return out // and what follows has moved up
		}
		if len(has) <= i || has[i] != addr {
			out = append(out, addr)
		}
	}
	return out
}
