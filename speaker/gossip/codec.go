package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// A state, which is a whole lb.Speaker, in bytes. Numbers are unsigned LEB128 ("uvarint"), a text is its length and its bytes, an
// address is 4 or 16 for the family and its bytes, a list is its length and its parts.
//
//	version     1 byte, stateVersion
//	names       list of texts: every node that is named below, each once; below, a name is its place here counted from 1, 0 for none
//	node        name
//	boot, seq   numbers
//	flags       1 byte, bit 0: restarting, bits 1 and 2: kube-proxy (0 not asked, 1 alive, 2 dead)
//	interfaces  list: text, flags (bit 0 up, bit 1 deaf), list of MACs (6 bytes each), list of addresses, list of prefixes (address, bits)
//	claims      list: address, standby, handTo and from (names), handCause, evidence, cause (1 byte each), since (milliseconds since 1970)
//	lost        list: name, text
//
// A claim of an IPv4 address among fewer than 128 nodes takes 17 bytes, one of an IPv6 address 29. A reader refuses what it does not
// understand as a whole, and what is not in order (see check): half of a state would be worse than none.
const (
	stateVersion = 1
	flagRestart  = 1
	proxyShift   = 1 // of kube-proxy's two bits; a reader of before they were used passes over them
	proxyMask    = 3
	flagUp       = 1
	flagDeaf     = 2
	maxName      = 15 // bytes of an interface's name: IFNAMSIZ of Linux less its zero
)

// encodeState packs a state, which must have passed check. The error is for a name that no node has.
func encodeState(s lb.Speaker) ([]byte, error) {
	names := &nameTable{places: map[string]uint64{}}
	body := appendState(make([]byte, 0, 40*len(s.Claims)+256), s, names)
	out := make([]byte, 0, len(body)+64*len(names.list)+16)
	out = binary.AppendUvarint(append(out, stateVersion), uint64(len(names.list)))
	for _, name := range names.list {
		if err := checkNode(name); err != nil {
			return nil, err
		}
		out = appendText(out, name)
	}
	return append(out, body...), nil
}

func appendState(out []byte, s lb.Speaker, names *nameTable) []byte {
	out = binary.AppendUvarint(out, names.place(s.Node))
	out = binary.AppendUvarint(out, s.Boot)
	out = binary.AppendUvarint(out, s.Seq)
	out = append(out, byte(boolean(s.Restarting)*flagRestart)|byte(s.KubeProxy)<<proxyShift)
	out = binary.AppendUvarint(out, uint64(len(s.Interfaces)))
	for _, itf := range s.Interfaces {
		out = appendInterface(out, itf)
	}
	out = binary.AppendUvarint(out, uint64(len(s.Claims)))
	for _, c := range s.Claims {
		out = appendAddr(out, c.Addr)
		for _, name := range []string{c.Standby, c.HandTo, c.From} {
			out = binary.AppendUvarint(out, names.place(name))
		}
		out = append(out, byte(c.HandCause), c.Evidence, byte(c.Cause))
		out = binary.AppendUvarint(out, millis(c.Since))
	}
	out = binary.AppendUvarint(out, uint64(len(s.Lost)))
	for _, l := range s.Lost {
		out = appendText(binary.AppendUvarint(out, names.place(l.Node)), l.Interface)
	}
	return out
}

func appendInterface(out []byte, itf lb.Interface) []byte {
	out = append(appendText(out, itf.Name), byte(boolean(itf.Up)*flagUp|boolean(itf.Deaf)*flagDeaf))
	out = binary.AppendUvarint(out, uint64(len(itf.MACs)))
	for _, m := range itf.MACs {
		out = append(out, m[:]...)
	}
	out = binary.AppendUvarint(out, uint64(len(itf.Addrs)))
	for _, a := range itf.Addrs {
		out = appendAddr(out, a)
	}
	out = binary.AppendUvarint(out, uint64(len(itf.Prefixes)))
	for _, p := range itf.Prefixes {
		out = append(appendAddr(out, p.Addr()), byte(p.Bits()))
	}
	return out
}

// millis returns 0 for a time that could not be read back: it is for people only.
func millis(t time.Time) uint64 {
	if ms := t.UnixMilli(); ms > 0 && ms <= maxMillis {
		return uint64(ms)
	}
	return 0
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func appendText(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

func appendAddr(out []byte, a netip.Addr) []byte {
	raw := a.AsSlice()
	return append(append(out, byte(len(raw))), raw...)
}

// nameTable gives each name its place, from 1; the empty name has 0.
type nameTable struct {
	list   []string
	places map[string]uint64
}

func (t *nameTable) place(name string) uint64 {
	if name == "" {
		return 0
	}
	if _, ok := t.places[name]; !ok {
		t.list = append(t.list, name)
		t.places[name] = uint64(len(t.list))
	}
	return t.places[name]
}

// decodeState unpacks what encodeState packed; nothing may follow it. The result shares nothing with raw.
func decodeState(raw []byte) (lb.Speaker, error) {
	if len(raw) > maxState {
		return lb.Speaker{}, errOversized
	}
	r := &reader{rest: raw}
	if v := r.byte(); r.err == nil && v != stateVersion {
		return lb.Speaker{}, fmt.Errorf("%w %d of a state, want %d", errVersion, v, stateVersion)
	}
	names := decodeNames(r)
	s := lb.Speaker{Node: r.name(names), Boot: r.number(), Seq: r.number()}
	flags := r.byte()
	s.Restarting, s.KubeProxy = flags&flagRestart != 0, lb.Life(flags>>proxyShift&proxyMask)
	s.Interfaces = list(r, 5, decodeInterfaceState)
	s.Claims = list(r, 12, func(r *reader) lb.Claim { return decodeClaim(r, names) })
	s.Lost = list(r, 2, func(r *reader) lb.Loss { return lb.Loss{Node: r.name(names), Interface: r.text(maxName)} })
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d bytes too many", len(r.rest))
	}
	if r.err != nil {
		return lb.Speaker{}, r.err
	}
	if err := check(s); err != nil {
		return lb.Speaker{}, err
	}
	return s, nil
}

func decodeNames(r *reader) []string {
	return append([]string{""}, list(r, 2, func(r *reader) string {
		name := r.text(maxNode)
		if err := checkNode(name); r.err == nil && err != nil {
			r.fail("%w", err)
		}
		return name
	})...)
}

func decodeInterfaceState(r *reader) lb.Interface {
	itf := lb.Interface{Name: r.text(maxName)}
	flags := r.byte()
	itf.Up, itf.Deaf = flags&flagUp != 0, flags&flagDeaf != 0
	itf.MACs = list(r, 6, func(r *reader) (m lb.MAC) { copy(m[:], r.take(len(m))); return m })
	itf.Addrs = list(r, 5, (*reader).addr)
	itf.Prefixes = list(r, 6, func(r *reader) netip.Prefix { a := r.addr(); return netip.PrefixFrom(a, int(r.byte())) })
	return itf
}

func decodeClaim(r *reader, names []string) lb.Claim {
	c := lb.Claim{Addr: r.addr(), Standby: r.name(names), HandTo: r.name(names), From: r.name(names)}
	c.HandCause, c.Evidence, c.Cause = lb.Cause(r.byte()), r.byte(), lb.Cause(r.byte())
	if ms := r.number(); ms > 0 && ms <= maxMillis {
		c.Since = time.UnixMilli(int64(ms)).UTC()
	}
	return c
}

// list reads a list. least is the smallest size that a part can have: a length that the rest cannot hold is refused before
// memory is taken for it.
func list[T any](r *reader, least int, part func(*reader) T) []T {
	n := r.number()
	if r.err != nil || n == 0 {
		return nil
	}
	if n > uint64(len(r.rest)/least) {
		r.fail("a list of %d in %d bytes", n, len(r.rest))
		return nil
	}
	out := make([]T, 0, n)
	for range n {
		out = append(out, part(r))
		if r.err != nil {
			return nil
		}
	}
	return out
}

var (
	errOversized = errors.New("too large")
	errVersion   = errors.New("version")
	errCut       = errors.New("cut short")
)

// reader takes values off a slice and never past its end. The first error stays, and what is read after it is zero.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		r.fail("%w", errCut)
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) number() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail("%w", errCut)
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) text(most int) string {
	n := r.number()
	if n > uint64(most) {
		r.fail("a text of %d bytes", n)
		return ""
	}
	return string(r.take(int(n)))
}

func (r *reader) addr() netip.Addr {
	n := r.byte()
	if r.err == nil && n != 4 && n != 16 {
		r.fail("an address of %d bytes", n)
	}
	a, _ := netip.AddrFromSlice(r.take(int(n)))
	return a
}

func (r *reader) name(names []string) string {
	i := r.number()
	if i >= uint64(len(names)) {
		r.fail("name %d of %d", i, len(names)-1)
		return ""
	}
	return names[i]
}
