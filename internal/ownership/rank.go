package ownership

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"net/netip"
	"slices"
)

// rank orders candidates: the greater weight first, then the smaller sha256(node + "#" + address), then the name.
//
// The hash is rendezvous hashing: each pair of node and address has its own place, so that a node which goes takes nothing
// with it but its own addresses, and one that comes takes only those it wins. The string that is hashed is the one that
// MetalLB documents, with the address as netip prints it: whoever migrates keeps the owner of each address.
func rank(addr netip.Addr, eligible []Candidate) []Candidate {
	type entry struct {
		sum [sha256.Size]byte
		at  int
	}
	suffix := "#" + addr.String()
	entries := make([]entry, len(eligible))
	buf := make([]byte, 0, 128)
	for i, c := range eligible {
		buf = append(append(buf[:0], c.Node...), suffix...)
		entries[i] = entry{sha256.Sum256(buf), i}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		x, y := &eligible[a.at], &eligible[b.at]
		return cmp.Or(-cmp.Compare(x.Weight, y.Weight), bytes.Compare(a.sum[:], b.sum[:]), cmp.Compare(x.Node, y.Node))
	})
	out := make([]Candidate, len(entries))
	for i, e := range entries {
		out[i] = eligible[e.at]
	}
	return out
}
