package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/memberlist"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// The facts in memberlist's node metadata, at most maxFacts bytes:
//
//	version     1 byte, factsVersion
//	interfaces  until the end, each:
//	    length      1 byte, of the name
//	    name        1 to 15 bytes (IFNAMSIZ of Linux less its zero)
//	    flags       1 byte, bit 0: up
//	    prefixes    1 byte, how many; each:
//	        bits    1 byte: 0–32 IPv4, 64–192 IPv6 with 64 added
//	        bytes   the first ceil(bits/8) bytes of the address
//
// A node with an IPv4 and an IPv6 prefix on "eth0" takes 21 bytes. A reader refuses what it does not understand as a whole: half
// of the facts would be worse than none.
const (
	factsVersion = 1
	maxFacts     = memberlist.MetaMaxSize // 512
	maxName      = 15
	flagUp       = 1
	sixOffset    = 64 // added to the bits of an IPv6 prefix
)

// encodeFacts packs as many interfaces as fit, the useful ones first: up before down, with prefixes before without, then by
// name. An interface that does not fit is left out whole and smaller ones after it still have their chance; a single interface
// keeps at most 255 prefixes. Link-local prefixes are not told: no Service has such an address.
func encodeFacts(list []lb.Interface) []byte {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b lb.Interface) int {
		return cmp.Or(boolean(b.Up)-boolean(a.Up), boolean(len(told(b)) > 0)-boolean(len(told(a)) > 0), cmp.Compare(a.Name, b.Name))
	})
	out := make([]byte, 1, maxFacts)
	out[0] = factsVersion
	for _, itf := range list {
		if entry := encodeInterface(itf); entry != nil && len(out)+len(entry) <= maxFacts {
			out = append(out, entry...)
		}
	}
	return out
}

// told returns the prefixes that are worth telling, masked, sorted and each once.
func told(itf lb.Interface) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range itf.Prefixes {
		if p.IsValid() && !p.Addr().IsLinkLocalUnicast() && !p.Addr().Is4In6() {
			out = append(out, p.Masked())
		}
	}
	slices.SortFunc(out, comparePrefix)
	out = slices.Compact(out)
	return out[:min(len(out), 255)]
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// encodeInterface returns nil for a name that no interface can have.
func encodeInterface(itf lb.Interface) []byte {
	if itf.Name == "" || len(itf.Name) > maxName {
		return nil
	}
	prefixes := told(itf)
	out := append([]byte{byte(len(itf.Name))}, itf.Name...)
	out = append(out, byte(boolean(itf.Up)*flagUp), byte(len(prefixes)))
	for _, p := range prefixes {
		bits := p.Bits()
		if p.Addr().Is6() {
			bits += sixOffset
		}
		out = append(out, byte(bits))
		out = append(out, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
	}
	return out
}

// decodeFacts unpacks what encodeFacts packed, sorted by name. The error says what is wrong with the bytes; it is for bytes that
// another version or somebody else wrote.
func decodeFacts(meta []byte) ([]lb.Interface, error) {
	if len(meta) == 0 {
		return nil, errors.New("no facts")
	}
	if meta[0] != factsVersion {
		return nil, fmt.Errorf("version %d, want %d", meta[0], factsVersion)
	}
	r := &factReader{meta[1:]}
	var out []lb.Interface
	for len(r.rest) > 0 {
		itf, err := decodeInterface(r)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o lb.Interface) bool { return o.Name == itf.Name }) {
			return nil, fmt.Errorf("interface %q twice", itf.Name)
		}
		out = append(out, itf)
	}
	slices.SortFunc(out, func(a, b lb.Interface) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func decodeInterface(r *factReader) (lb.Interface, error) {
	var itf lb.Interface
	size, err := r.byte()
	if err != nil || size == 0 || size > maxName {
		return itf, fmt.Errorf("name of %d bytes", size)
	}
	name, err := r.take(int(size))
	if err != nil {
		return itf, err
	}
	flags, err := r.byte()
	if err != nil {
		return itf, err
	}
	count, err := r.byte()
	if err != nil {
		return itf, err
	}
	itf.Name, itf.Up = string(name), flags&flagUp != 0
	for range count {
		p, err := decodePrefix(r)
		if err != nil {
			return itf, fmt.Errorf("interface %q: %w", itf.Name, err)
		}
		itf.Prefixes = append(itf.Prefixes, p)
	}
	slices.SortFunc(itf.Prefixes, comparePrefix)
	return itf, nil
}

func decodePrefix(r *factReader) (netip.Prefix, error) {
	b, err := r.byte()
	if err != nil {
		return netip.Prefix{}, err
	}
	bits, size := int(b), 4
	if b >= sixOffset {
		bits, size = bits-sixOffset, 16
	}
	if bits > size*8 {
		return netip.Prefix{}, fmt.Errorf("prefix of %d bits", bits)
	}
	have, err := r.take((bits + 7) / 8)
	if err != nil {
		return netip.Prefix{}, err
	}
	raw := make([]byte, size)
	copy(raw, have)
	addr, _ := netip.AddrFromSlice(raw)
	return netip.PrefixFrom(addr, bits).Masked(), nil
}

// leftOut returns the names of the interfaces that are in list and not in told.
func leftOut(list, told []lb.Interface) string {
	var names []string
	for _, itf := range list {
		if !slices.ContainsFunc(told, func(t lb.Interface) bool { return t.Name == itf.Name }) {
			names = append(names, itf.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// factReader takes bytes off a slice and never past its end.
type factReader struct{ rest []byte }

func (r *factReader) take(n int) ([]byte, error) {
	if n > len(r.rest) {
		return nil, errors.New("cut short")
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out, nil
}

func (r *factReader) byte() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}
