package kube

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// The reasons of the problems that this package finds.
const (
	// ReasonInvalidAddress: an entry of IPAddressPool.spec.addresses or spec.reserved is not a range; the other entries work.
	ReasonInvalidAddress lb.Reason = "InvalidAddress"
	// ReasonInvalidSelector: a label selector does not parse and therefore selects nothing.
	ReasonInvalidSelector lb.Reason = "InvalidSelector"
	// ReasonInvalidRequest: the addresses that a Service asks for cannot be understood, or contradict each other.
	ReasonInvalidRequest lb.Reason = "InvalidRequest"
)

// Pool converts an IPAddressPool. Entries of spec.addresses and spec.reserved that are not a range are left out and become a Problem each.
func Pool(p *v1beta1.IPAddressPool) lb.Pool {
	out := lb.Pool{
		Name:          p.Name,
		Labels:        p.Labels,
		Created:       p.CreationTimestamp.Time,
		AutoAssign:    p.Spec.AutoAssign == nil || *p.Spec.AutoAssign,
		AvoidBuggyIPs: p.Spec.AvoidBuggyIPs,
	}
	var addresses, reserved, quotas []lb.Problem
	out.Ranges, addresses = ranges("addresses", p.Spec.Addresses)
	out.Reserved, reserved = ranges("reserved", p.Spec.Reserved)
	out.Quotas, quotas = quotaList(p.Spec.Quotas)
	out.Problems = slices.Concat(addresses, reserved, quotas)
	if p.Spec.RetainFor != nil {
		out.RetainFor = p.Spec.RetainFor.Duration
	}
	if a := p.Spec.AllocateTo; a != nil {
		out.Allocation = &lb.PoolAllocation{Priority: max(0, a.Priority), Namespaces: a.Namespaces, Evict: a.EvictOnSelectorChange}
		var ns, svc []lb.Problem
		out.Allocation.NamespaceSelectors, ns = selectors("serviceAllocation.namespaceSelectors", a.NamespaceSelectors)
		out.Allocation.ServiceSelectors, svc = selectors("serviceAllocation.serviceSelectors", a.ServiceSelectors)
		out.Problems = append(append(out.Problems, ns...), svc...)
	}
	return out
}

// ranges reads the entries of a list. What is not a range is left out and becomes a Problem.
func ranges(field string, entries []string) (out []netipx.IPRange, problems []lb.Problem) {
	for _, entry := range entries {
		r, err := parseRange(entry)
		if err != nil {
			problems = append(problems, lb.Problem{
				Reason:  ReasonInvalidAddress,
				Message: fmt.Sprintf("%s entry %q is not used: %v", field, entry, err),
			})
			continue
		}
		out = append(out, r)
	}
	return out, problems
}

func quotaList(in []v1beta1.Quota) (out []lb.Quota, problems []lb.Problem) {
	for i, q := range in {
		sel, wrong := selectors(fmt.Sprintf("quotas[%d].namespaceSelectors", i), q.NamespaceSelectors)
		problems = append(problems, wrong...)
		out = append(out, lb.Quota{Namespaces: q.Namespaces, NamespaceSelectors: sel, Max: q.Max})
	}
	return out, problems
}

// Retained converts status.retained, those that have not ended at now. What does not parse keeps nothing.
func Retained(p *v1beta1.IPAddressPool, now time.Time) []lb.Retention {
	var out []lb.Retention
	for _, r := range p.Status.Retained {
		a, err := parseAddr(r.Address)
		if err == nil && r.Until.After(now) {
			out = append(out, lb.Retention{Address: a, For: lb.Name{Namespace: r.Namespace, Name: r.Name}, Until: r.Until.Time})
		}
	}
	return out
}

// RetainedStatus is the status.retained that says in.
func RetainedStatus(in []lb.Retention) []v1beta1.RetainedAddress {
	var out []v1beta1.RetainedAddress
	for _, r := range in {
		out = append(out, v1beta1.RetainedAddress{
			Address: r.Address.String(), Namespace: r.For.Namespace, Name: r.For.Name, Until: metav1.NewTime(r.Until),
		})
	}
	return out
}

// Conflicts converts status.conflicts, those that have not ended at now.
func Conflicts(p *v1beta1.IPAddressPool, now time.Time) []lb.Conflict {
	var out []lb.Conflict
	for _, c := range p.Status.Conflicts {
		a, err := parseAddr(c.Address)
		if err == nil && c.Until.After(now) {
			out = append(out, lb.Conflict{Address: a, MAC: c.MAC, Node: c.Node, Until: c.Until.Time})
		}
	}
	return out
}

// ConflictStatus is the status.conflicts that says in.
func ConflictStatus(in []lb.Conflict) []v1beta1.AddressConflict {
	var out []v1beta1.AddressConflict
	for _, c := range in {
		out = append(out, v1beta1.AddressConflict{Address: c.Address.String(), MAC: c.MAC, Node: c.Node, Until: metav1.NewTime(c.Until)})
	}
	return out
}

// parseRange reads "192.0.2.0/24" (host bits are masked away, as MetalLB does) or "192.0.2.1-192.0.2.9".
func parseRange(s string) (netipx.IPRange, error) {
	var none netipx.IPRange
	if from, to, ok := strings.Cut(s, "-"); ok {
		a, err := parseAddr(from)
		if err != nil {
			return none, fmt.Errorf("start of range: %w", err)
		}
		b, err := parseAddr(to)
		if err != nil {
			return none, fmt.Errorf("end of range: %w", err)
		}
		if a.Is4() != b.Is4() {
			return none, fmt.Errorf("start is %v and end is %v; write one range for each family", lb.FamilyOf(a), lb.FamilyOf(b))
		}
		if b.Less(a) {
			return none, fmt.Errorf("start %v is after end %v", a, b)
		}
		return netipx.IPRangeFrom(a, b), nil
	}
	addr, bits, ok := strings.Cut(strings.TrimSpace(s), "/")
	if !ok {
		return none, errors.New(`want a CIDR such as "192.0.2.0/24" (a single address is "192.0.2.7/32") or a range "first-last"`)
	}
	if _, err := parseAddr(addr); err != nil {
		return none, err
	}
	p, err := netip.ParsePrefix(addr + "/" + bits)
	if err != nil {
		return none, fmt.Errorf("prefix length %q is not a number from 0 to 32 (IPv4) or 128 (IPv6)", bits)
	}
	return netipx.RangeOfPrefix(p.Masked()), nil
}

// parseAddr reads one address, spaces around it allowed. IPv4-mapped IPv6 addresses and zones are refused: neither can be
// an address that a client on the LAN resolves.
func parseAddr(s string) (netip.Addr, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return netip.Addr{}, errors.New("the address is missing")
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
	case a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q has a zone, which an address in a pool cannot have", s)
	case a.Is4In6():
		return netip.Addr{}, fmt.Errorf("%q is an IPv4 address in IPv6 form; write %v", s, a.Unmap())
	}
	return a, nil
}
