package core

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// foreignFor is how long it counts that another station answered for an address.
const foreignFor = 3 * time.Second

// foreign remembers who else answered for the addresses that ownership.Memory heeds, or announced them. The zero value is ready.
type foreign struct {
	seen map[foreignKey]time.Time
}

type foreignKey struct {
	addr netip.Addr
	mac  lb.MAC
}

// heard takes down a frame and says whether it is news.
func (f *foreign) heard(addr netip.Addr, mac lb.MAC, at time.Time) bool {
	if f.seen == nil {
		f.seen = map[foreignKey]time.Time{}
	}
	key := foreignKey{addr, mac}
	last, known := f.seen[key]
	f.seen[key] = at
	return !known || at.Sub(last) > foreignFor
}

// keep forgets what concerns addresses that are not heeded any more.
func (f *foreign) keep(heeded func(netip.Addr) bool) {
	for key := range f.seen {
		if !heeded(key.addr) {
			delete(f.seen, key)
		}
	}
}

// list returns what was seen lately, sorted, with the nodes that have those hardware addresses.
func (f *foreign) list(now time.Time, nodes map[lb.MAC]string) []ownership.Foreign {
	var out []ownership.Foreign
	for key, at := range f.seen {
		if now.Sub(at) > foreignFor {
			delete(f.seen, key)
			continue
		}
		out = append(out, ownership.Foreign{Addr: key.addr, MAC: key.mac, Node: nodes[key.mac], At: at})
	}
	slices.SortFunc(out, func(a, b ownership.Foreign) int {
		return cmp.Or(a.Addr.Compare(b.Addr), slices.Compare(a.MAC[:], b.MAC[:]))
	})
	return out
}

// see takes one frame down wherever it matters, and says whether a decision may depend on it.
func (c *Core) see(s neighbor.Sighting) bool {
	c.watch.Heard(s.At, s)
	c.checks.heard(s)
	if s.Kind != neighbor.SawReply && s.Kind != neighbor.SawAnnouncement || !c.memory.Heeds(s.Addr) || c.ours(s.MAC) {
		return false
	}
	return c.foreign.heard(s.Addr, s.MAC, s.At)
}

// ours says whether a hardware address is one of this host's.
func (c *Core) ours(mac lb.MAC) bool {
	return slices.ContainsFunc(c.Wire.Interfaces(), func(i lb.Interface) bool { return slices.Contains(i.MACs, mac) })
}
