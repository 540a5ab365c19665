package statuspage

import (
	"cmp"
	"math"
	"math/big"
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// What bounds the size of a Status, and of a page.
const (
	MaxStrips = 64   // of one pool
	maxCells  = 1024 // of one pool, and a strip has one at least
	stripMost = 256  // cells of one strip: a /24, or a /8 in blocks of /16
	allCells  = 8192 // of all pools together, unless they are so many that each has MaxStrips
)

// pools draws each pool. What two pools have in common belongs to the older (as in allocate.Plan).
func (x index) pools(in []PoolState) []Pool {
	byAge := slices.Clone(in)
	slices.SortFunc(byAge, func(a, b PoolState) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	out := []Pool{}
	var taken netipx.IPSetBuilder
	budget := min(maxCells, allCells/max(1, len(in)))
	for _, p := range byAge {
		var mine netipx.IPSetBuilder
		for _, r := range p.Ranges {
			mine.AddRange(r)
		}
		set, _ := mine.IPSet() // fails for invalid ranges only, and lb.Pool has none
		older, _ := taken.IPSet()
		mine.RemoveSet(older)
		taken.AddSet(set)
		set, _ = mine.IPSet()
		out = append(out, x.pool(p, set, budget))
	}
	slices.SortFunc(out, func(a, b Pool) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// pool draws the addresses that a pool alone has, with about so many cells.
func (x index) pool(p PoolState, set *netipx.IPSet, budget int) Pool {
	out := Pool{Name: p.Name, AutoAssign: p.AutoAssign, Strips: []Strip{}, Troubles: []Problem{}}
	for _, t := range p.Troubles {
		out.Troubles = append(out.Troubles, Problem{Reason: string(t.Reason), Message: t.Message})
	}
	var apart netipx.IPSetBuilder
	for _, r := range p.Reserved {
		apart.AddRange(r)
	}
	apart.Intersect(set)
	reserved, _ := apart.IPSet() // as above
	d := drawing{index: x, reserved: reserved, reservedRanges: reserved.Ranges(), avoid: p.AvoidBuggyIPs}
	ranges := set.Ranges()
	most := max(1, min(stripMost, budget/max(1, min(len(ranges), MaxStrips))))
	for i, r := range ranges {
		all := d.count(r)
		out.Counts = out.Counts.plus(all)
		out.Addresses = plus(out.Addresses, size(r))
		if i >= MaxStrips {
			out.Left++
			continue
		}
		s := Strip{First: r.From().String(), Last: r.To().String()}
		bits := blockLength(r, most)
		if bits < r.From().BitLen() {
			s.Block = bits
		}
		for _, part := range parts(r, bits) {
			s.Cells = append(s.Cells, d.cell(part))
		}
		out.Strips = append(out.Strips, s)
	}
	return out
}

// blockLength is the prefix length of the smallest CIDRs of which a range touches at most so many.
func blockLength(r netipx.IPRange, most int) int {
	bits := r.From().BitLen()
	for first, last := number(r.From()), number(r.To()); bits > 0; bits-- {
		n := new(big.Int).Sub(last, first)
		if n.Cmp(big.NewInt(int64(most))) < 0 {
			break
		}
		first.Rsh(first, 1)
		last.Rsh(last, 1)
	}
	return bits
}

// parts cuts a range at the borders of the CIDRs of a length.
//
//	range       |-----------------|
//	CIDRs     |---|----|----|----|----|
//	parts       |-|----|----|----|-|
func parts(r netipx.IPRange, bits int) []netipx.IPRange {
	var out []netipx.IPRange
	for from := r.From(); ; {
		end := netipx.PrefixLastIP(netip.PrefixFrom(from, bits))
		if !end.Less(r.To()) {
			return append(out, netipx.IPRangeFrom(from, r.To()))
		}
		out = append(out, netipx.IPRangeFrom(from, end))
		from = end.Next()
	}
}

func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }

// size is the number of addresses of a range, math.MaxInt64 when it is larger.
func size(r netipx.IPRange) int64 {
	n := new(big.Int).Sub(number(r.To()), number(r.From()))
	if !n.IsInt64() || n.Int64() == math.MaxInt64 {
		return math.MaxInt64
	}
	return n.Int64() + 1
}

// drawing is one pool on its way to be drawn.
type drawing struct {
	index
	reserved       *netipx.IPSet
	reservedRanges []netipx.IPRange
	avoid          bool
}

// cell draws an address or a block.
func (d drawing) cell(r netipx.IPRange) Cell {
	c := Cell{First: r.From().String(), Last: r.To().String(), Counts: d.count(r)}
	c.State = c.Counts.state()
	if r.From() == r.To() {
		c.For = d.holders[r.From()]
		if len(c.For) == 0 {
			c.For = d.kept[r.From()]
		}
	}
	return c
}

// count counts the addresses of a range by state: first as if nobody had any, then those that are marked.
func (d drawing) count(r netipx.IPRange) Counts {
	c := d.blank(r)
	at, _ := slices.BinarySearchFunc(d.marks, r.From(), func(m mark, a netip.Addr) int { return m.addr.Compare(a) })
	for _, m := range d.marks[at:] {
		if r.To().Less(m.addr) {
			break
		}
		if was := d.unmarked(m.addr); was == Free || m.state != Quarantined {
			*c.at(was) = minus(*c.at(was), 1)
			*c.at(m.state) = plus(*c.at(m.state), 1)
		}
	}
	return c
}

// blank counts the addresses of a range as if nobody had any.
//
//	range     |-----------------|
//	reserved     |--|      |---------|
//	counted   |--|  |------|             as avoided or free
func (d drawing) blank(r netipx.IPRange) Counts {
	var c Counts
	plain := func(part netipx.IPRange) {
		left := d.buggy(part)
		c.Avoided = plus(c.Avoided, left)
		c.Free = plus(c.Free, minus(size(part), left))
	}
	rest := r
	for _, res := range d.reservedRanges {
		common, ok := overlap(rest, res)
		if !ok {
			continue
		}
		c.Reserved = plus(c.Reserved, size(common))
		if rest.From().Less(common.From()) {
			plain(netipx.IPRangeFrom(rest.From(), common.From().Prev()))
		}
		if common.To() == rest.To() {
			return c
		}
		rest = netipx.IPRangeFrom(common.To().Next(), rest.To())
	}
	plain(rest)
	return c
}

// unmarked is the state of an address that nobody has.
func (d drawing) unmarked(a netip.Addr) State {
	switch {
	case d.reserved.Contains(a):
		return Reserved
	case d.buggy(netipx.IPRangeFrom(a, a)) > 0:
		return Avoided
	}
	return Free
}

// buggy is the number of addresses of a range that avoidBuggyIPs leaves out: those of IPv4 that end in .0 or .255.
func (d drawing) buggy(r netipx.IPRange) int64 {
	if !d.avoid || !r.From().Is4() {
		return 0
	}
	upTo := func(n int64) int64 { return (n+255)/256 + n/256 } // below n: those that end in .0, and those in .255
	return upTo(number(r.To()).Int64()+1) - upTo(number(r.From()).Int64())
}

// overlap returns what two ranges have in common.
func overlap(a, b netipx.IPRange) (netipx.IPRange, bool) {
	from, to := a.From(), a.To()
	if from.Less(b.From()) {
		from = b.From()
	}
	if b.To().Less(to) {
		to = b.To()
	}
	common := netipx.IPRangeFrom(from, to)
	return common, common.IsValid()
}
