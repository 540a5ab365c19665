package neighbor

import (
	"net/netip"
	"slices"
)

// Kind is why we answer for an address. The zero Kind is Own.
type Kind uint8

// The kinds.
//
//	          who is answered        with which MAC   Ethernet source   announced
//	Own       everybody but Not      ours             ours              yes
//	StandIn   everybody              the owner's      ours              no
//	Trail     those of Only          ours             ours              no
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
	// As is the owner's MAC, for StandIn. Without a usable one nothing is answered.
	As MAC
	// Only are the askers that a Trail answers.
	Only []MAC
	// Not are the askers that an Own address does not answer: the node that had it before, whose tail sends packets of older
	// connections its own way.
	Not []MAC
}

// Equal says whether e and o answer alike.
func (e Entry) Equal(o Entry) bool {
	return e.Kind == o.Kind && e.As == o.As && slices.Equal(e.Only, o.Only) && slices.Equal(e.Not, o.Not)
}

// Target is an address on an interface.
type Target struct {
	Addr      netip.Addr
	Interface string
}
