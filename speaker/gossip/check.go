package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	maxNode  = 253     // of a Kubernetes Node's name (RFC 1123 §2.1)
	maxState = 4 << 20 // bytes; about 140,000 IPv6 claims, and well under the 20 MiB that memberlist takes
	// maxMillis is the end of the year 9999 in milliseconds since 1970, the last that RFC 3339 can write.
	maxMillis = 253402300799999
)

// check says what is not as lb.Speaker promises. It is asked of what we send and of what we receive, so that nobody downstream
// needs to ask again: sorted, each once, masked, and no address or name that cannot be one.
func check(s lb.Speaker) error {
	if err := checkNode(s.Node); err != nil {
		return err
	}
	if s.Boot == 0 || s.Seq == 0 {
		return errors.New("boot or seq is 0")
	}
	if s.KubeProxy > lb.Dead {
		return fmt.Errorf("kube-proxy is %d, which means nothing", s.KubeProxy)
	}
	if err := ascending(s.Interfaces, func(a, b lb.Interface) int { return cmp.Compare(a.Name, b.Name) }, checkInterface); err != nil {
		return fmt.Errorf("interfaces: %w", err)
	}
	if err := ascending(s.Claims, func(a, b lb.Claim) int { return a.Addr.Compare(b.Addr) }, checkClaim); err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	if err := ascending(s.Lost, compareLoss, checkLoss); err != nil {
		return fmt.Errorf("lost: %w", err)
	}
	return nil
}

// tidy returns a copy of s as check wants it: sorted, each part once. What cannot be told at all is left out: an interface with a
// name that Linux does not allow, an address with a zone. Times are cut to what travels, so that everybody reads the same.
func tidy(s lb.Speaker) lb.Speaker {
	s.Interfaces = sorted(s.Interfaces, func(a, b lb.Interface) int { return cmp.Compare(a.Name, b.Name) }, func(itf lb.Interface) error { return checkName(itf.Name) })
	for i, itf := range s.Interfaces {
		itf.MACs = slices.DeleteFunc(slices.Clone(itf.MACs), func(m lb.MAC) bool { return !m.IsUnicast() })
		itf.Addrs = sorted(itf.Addrs, netip.Addr.Compare, checkAddr)
		itf.Prefixes = sorted(itf.Prefixes, comparePrefix, checkPrefix)
		s.Interfaces[i] = itf
	}
	s.Claims = sorted(s.Claims, func(a, b lb.Claim) int { return a.Addr.Compare(b.Addr) }, checkClaim)
	for i, c := range s.Claims {
		s.Claims[i].Since = time.Time{}
		if ms := millis(c.Since); ms > 0 {
			s.Claims[i].Since = time.UnixMilli(int64(ms)).UTC()
		}
	}
	s.Lost = sorted(s.Lost, compareLoss, checkLoss)
	return s
}

// sorted returns a copy of list in order, each part once, without those that are not well formed.
func sorted[T any](list []T, compare func(a, b T) int, each func(T) error) []T {
	out := slices.Clone(list)
	if ascending(out, compare, each) == nil {
		return out // as it nearly always is
	}
	out = slices.DeleteFunc(out, func(v T) bool { return each(v) != nil })
	slices.SortStableFunc(out, compare)
	return slices.CompactFunc(out, func(a, b T) bool { return compare(a, b) == 0 })
}

// ascending says that each part is well formed and less than the next.
func ascending[T any](list []T, compare func(a, b T) int, each func(T) error) error {
	for i, v := range list {
		if err := each(v); err != nil {
			return err
		}
		if i > 0 && compare(list[i-1], v) >= 0 {
			return fmt.Errorf("%v is out of order", v)
		}
	}
	return nil
}

func compareLoss(a, b lb.Loss) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Interface, b.Interface))
}

// checkNode accepts every name that Kubernetes does; it is stricter only about what could spoil a log.
func checkNode(name string) error {
	if name == "" || len(name) > maxNode || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("node name %q", name)
	}
	return nil
}

// checkName accepts what Linux does as the name of an interface.
func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsAny(name, "/ \t\n\v\f\r\x00") {
		return fmt.Errorf("interface name %q", name)
	}
	return nil
}

func checkAddr(a netip.Addr) error {
	if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
		return fmt.Errorf("address %v", a)
	}
	return nil
}

func checkInterface(itf lb.Interface) error {
	if err := checkName(itf.Name); err != nil {
		return err
	}
	for _, m := range itf.MACs {
		if !m.IsUnicast() {
			return fmt.Errorf("%s: hardware address %v", itf.Name, m)
		}
	}
	if err := ascending(itf.Addrs, netip.Addr.Compare, checkAddr); err != nil {
		return fmt.Errorf("%s: %w", itf.Name, err)
	}
	if err := ascending(itf.Prefixes, comparePrefix, checkPrefix); err != nil {
		return fmt.Errorf("%s: %w", itf.Name, err)
	}
	return nil
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func checkPrefix(p netip.Prefix) error {
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
		return fmt.Errorf("prefix %v", p)
	}
	return nil
}

// checkClaim leaves out the names, of which few stand in many claims: encodeState and decodeState look at each once.
func checkClaim(c lb.Claim) error { return checkAddr(c.Addr) }

func checkLoss(l lb.Loss) error { return checkName(l.Interface) }
