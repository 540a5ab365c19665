package allocate

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
)

// count is an unsigned 128-bit number of addresses. Additions saturate, subtractions stop at 0.
type count struct{ hi, lo uint64 }

func (c count) add(o count) count {
	lo, carry := bits.Add64(c.lo, o.lo, 0)
	hi, over := bits.Add64(c.hi, o.hi, carry)
	if over != 0 {
		return count{math.MaxUint64, math.MaxUint64}
	}
	return count{hi, lo}
}

func (c count) sub(o count) count {
	lo, borrow := bits.Sub64(c.lo, o.lo, 0)
	hi, under := bits.Sub64(c.hi, o.hi, borrow)
	if under != 0 {
		return count{}
	}
	return count{hi, lo}
}

// int64 saturates at math.MaxInt64.
func (c count) int64() int64 {
	if c.hi > 0 || c.lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(c.lo)
}

func number(a netip.Addr) count {
	b := a.As16() // IPv4 becomes ::ffff:a.b.c.d, which keeps distances
	return count{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// size returns the number of addresses from first to last, both included, less the buggy ones when they are avoided.
func size(first, last netip.Addr, avoidBuggy bool) count {
	n := number(last).sub(number(first)).add(count{lo: 1})
	if !avoidBuggy || !first.Is4() {
		return n
	}
	a, b := int64(ip4(first)), int64(ip4(last))
	zeros := b/256 - (a+255)/256 + 1    // x = 0 (mod 256) in [a, b]
	ones := (b+1)/256 - (a+256)/256 + 1 // x = 255 (mod 256) in [a, b]
	return n.sub(count{lo: uint64(zeros + ones)})
}

func ip4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// buggy says that old equipment takes the address for a network or a broadcast address: IPv4 ending in .0 or .255.
func buggy(a netip.Addr) bool {
	return a.Is4() && (a.As4()[3] == 0 || a.As4()[3] == 255)
}
