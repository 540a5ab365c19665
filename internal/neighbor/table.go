package neighbor

import (
	"cmp"
	"net/netip"
	"slices"
)

// Kind is why we answer for an address. The zero Kind is Own.
type Kind uint8

// The kinds.
//
//	          who is answered           with which MAC   Ethernet source   announced
//	Own       everybody; Not, see there ours             ours              yes
//	StandIn   everybody but the owner;  the owner's      ours              no
//	          Only like a Trail
//	Trail     those of Only             ours             ours              no
//
// The Ethernet source is always ours: with another's, a switch would move all of that station's traffic to our port.
const (
	// Own is an address that is this node's.
	Own Kind = iota
	// StandIn is an address of a node whose speaker does not answer just now, while its host does.
	StandIn
	// Trail is an address that went to another node a moment ago: only that node still asks us, for packets of
	// connections that began here.
	Trail
)

// String names the kind in tests and logs.
func (k Kind) String() string {
	switch k {
	case Own:
		return "own"
	case StandIn:
		return "stand-in"
	case Trail:
		return "trail"
	}
	return "unknown"
}

// Entry says how an address is answered on an interface. The zero Entry answers everybody with our own MAC.
type Entry struct {
	Kind Kind
	// As is the owner's MAC, for StandIn. Without a usable one nothing is answered. For Own it is the MAC of the owner before on this
	// link, as long as its tail lasts, which is told to unlearn each announcement; the zero MAC for none.
	As MAC
	// Only are the askers that a Trail answers. A StandIn answers them like a Trail: a node may stand in for the one to which it
	// gave the address a moment ago.
	Only []MAC
	// Not are the askers that Own does not answer: the node that had the address before. Its tail sends us packets of
	// connections that it does not know; if it learned from us where the address is, packets that neither knows would go in
	// circles. Only questions to all are withheld, by which a kernel finds a neighbour. One sent to us alone is answered,
	// since so does a speaker find out whether we still answer; and so is one that wants to know whether the address is in use.
	Not []MAC
}

// Equal says whether e and o answer alike.
func (e Entry) Equal(o Entry) bool {
	return e.Kind == o.Kind && e.As == o.As && slices.Equal(e.Only, o.Only) && slices.Equal(e.Not, o.Not)
}

// Clone returns an Entry that shares nothing with e.
func (e Entry) Clone() Entry {
	e.Only, e.Not = slices.Clone(e.Only), slices.Clone(e.Not)
	return e
}

// Target is an address on an interface.
type Target struct {
	Addr      netip.Addr
	Interface string
}

// Compare orders targets by address, then interface.
func (t Target) Compare(o Target) int {
	return cmp.Or(t.Addr.Compare(o.Addr), cmp.Compare(t.Interface, o.Interface))
}

// Table says how each address is answered on each interface. It is immutable: the frame path may read it while the next one is
// being built. The zero Table, and a nil one, answer nothing. A lookup costs the same whatever the number of addresses.
type Table struct {
	byInterface map[string]map[netip.Addr]Entry
}

// NewTable returns the table for want, of which it keeps nothing. Left out are addresses that cannot stand in a frame (invalid,
// with a zone, unspecified, multicast, IPv4-mapped), a StandIn without the MAC of a station, and a Trail for nobody.
func NewTable(want map[Target]Entry) *Table {
	t := &Table{byInterface: map[string]map[netip.Addr]Entry{}}
	for target, e := range want {
		if !usable(target.Addr) || !e.answersAnybody() {
			continue
		}
		entries := t.byInterface[target.Interface]
		if entries == nil {
			entries = map[netip.Addr]Entry{}
			t.byInterface[target.Interface] = entries
		}
		entries[target.Addr] = e.Clone()
	}
	return t
}

// usable says whether addr can be the address of a Service on the wire.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && !addr.IsUnspecified() && !addr.IsMulticast() && !addr.Is4In6()
}

func (e Entry) answersAnybody() bool {
	switch e.Kind {
	case Own:
		return true
	case StandIn:
		return e.As.IsUnicast()
	case Trail:
		return len(e.Only) > 0
	}
	return false
}

// Has says whether the table holds addr for the interface, of whatever kind.
func (t *Table) Has(name string, addr netip.Addr) bool {
	_, ok := t.entry(name, addr)
	return ok
}

func (t *Table) entry(name string, addr netip.Addr) (Entry, bool) {
	if t == nil {
		return Entry{}, false
	}
	e, ok := t.byInterface[name][addr]
	return e, ok
}

// asking is a question as far as the answer depends on it.
type asking struct {
	target netip.Addr
	by     MAC
	toAll  bool // broadcast or multicast
	inUse  bool // asks whether the address is in use, from no address (RFC 5227 §2.1.1, RFC 4862 §5.4.2)
}

// outcome is what follows from a question on link, save for the reply, which gives mac as the answer. The zero MAC says that
// there is none.
func (t *Table) outcome(link Link, q asking, seen Sighting) (mac MAC, o Outcome) {
	mac, v := t.answer(link, q)
	o = Outcome{Verdict: v, Seen: seen}
	if v != NotOurs {
		o.Asked = q.target
	}
	return mac, o
}

// answer says which MAC is the answer to a question on link. Without one, the verdict says why.
func (t *Table) answer(link Link, q asking) (MAC, Verdict) {
	e, ok := t.entry(link.Name, q.target)
	switch {
	case !ok:
		return MAC{}, NotOurs
	case e.Kind == Own && (q.inUse || !q.toAll || !slices.Contains(e.Not, q.by)):
		return link.MAC, Answered
	case e.Kind != Own && !q.inUse && slices.Contains(e.Only, q.by):
		return link.MAC, Trailed
	case e.Kind == StandIn && q.by != e.As:
		return e.As, StoodIn
	}
	return MAC{}, Withheld
}
