package kube

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// The reasons of the problems that this package finds.
const (
	// ReasonInvalidAddress: an entry of IPAddressPool.spec.addresses is not a range; the other entries work.
	ReasonInvalidAddress lb.Reason = "InvalidAddress"
	// ReasonInvalidSelector: a label selector does not parse and therefore selects nothing.
	ReasonInvalidSelector lb.Reason = "InvalidSelector"
	// ReasonInvalidRequest: the addresses that a Service asks for cannot be understood, or contradict each other.
	ReasonInvalidRequest lb.Reason = "InvalidRequest"
)

// Pool converts an IPAddressPool. Entries of spec.addresses that are not a range are left out and become a Problem each.
func Pool(p *v1beta1.IPAddressPool) lb.Pool {
	out := lb.Pool{
		Name:          p.Name,
		Labels:        p.Labels,
		Created:       p.CreationTimestamp.Time,
		AutoAssign:    p.Spec.AutoAssign == nil || *p.Spec.AutoAssign,
		AvoidBuggyIPs: p.Spec.AvoidBuggyIPs,
	}
	for _, entry := range p.Spec.Addresses {
		r, err := parseRange(entry)
		if err != nil {
			out.Problems = append(out.Problems, lb.Problem{
				Reason:  ReasonInvalidAddress,
				Message: fmt.Sprintf("addresses entry %q is not used: %v", entry, err),
			})
			continue
		}
		out.Ranges = append(out.Ranges, r)
	}
	if a := p.Spec.AllocateTo; a != nil {
		out.Allocation = &lb.PoolAllocation{Priority: max(0, a.Priority), Namespaces: a.Namespaces}
		var ns, svc []lb.Problem
		out.Allocation.NamespaceSelectors, ns = selectors("serviceAllocation.namespaceSelectors", a.NamespaceSelectors)
		out.Allocation.ServiceSelectors, svc = selectors("serviceAllocation.serviceSelectors", a.ServiceSelectors)
		out.Problems = append(append(out.Problems, ns...), svc...)
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
