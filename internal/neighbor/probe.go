package neighbor

import (
	"net/netip"
	"time"
)

// ProbeKind is what a probe wants to know.
type ProbeKind uint8

// The kinds. None of them can put anything into a neighbour cache that is not true: the sender protocol address is the
// asker's own or 0.0.0.0, never a service address.
const (
	// HostProbe asks a peer's kernel for the peer's own address, by unicast.
	HostProbe ProbeKind = iota
	// AnswerProbe asks a peer's speaker for a service address, by unicast.
	AnswerProbe
	// FirstProbe asks everybody for a service address that nobody should have: an ARP probe (RFC 5227 §2.1.1), or a
	// solicitation to the solicited-node group.
	FirstProbe

	probeKinds // their number
)

// String returns the metric label.
func (k ProbeKind) String() string {
	switch k {
	case HostProbe:
		return "host_probe"
	case AnswerProbe:
		return "answer_probe"
	}
	return "first_probe"
}

// ProbeKinds returns all of them, for a counter each.
func ProbeKinds() []ProbeKind {
	all := make([]ProbeKind, probeKinds)
	for i := range all {
		all[i] = ProbeKind(i)
	}
	return all
}

// Probe is one question of ours to the LAN.
type Probe struct {
	Kind      ProbeKind
	Interface string     // ours, on which it is sent
	To        MAC        // whom to ask; not used by FirstProbe
	Target    netip.Addr // the address that is asked for
	Node      string     // the peer that is asked, for the asker to know; not used by FirstProbe, and never sent
}

// Saw is what a frame was that told us of another station.
type Saw uint8

// The kinds of sightings.
const (
	// SawReply is an ARP reply, or a solicited advertisement.
	SawReply Saw = iota + 1
	// SawAnnouncement is a claim that nobody asked for: a gratuitous ARP request or reply, or an advertisement with S=0.
	SawAnnouncement
	// SawRequest is an ARP request, or a solicitation.
	SawRequest
	// SawOther is a frame of another station that is none of these, or is invalid. Only Source counts: somebody is there.
	SawOther
)

// String names the kind in tests and logs.
func (s Saw) String() string {
	switch s {
	case SawReply:
		return "reply"
	case SawAnnouncement:
		return "announcement"
	case SawRequest:
		return "request"
	}
	return "other"
}

// Sighting is one frame of another station, as evidence.
type Sighting struct {
	Interface string // ours, on which it came
	// MAC is who it says it is from: the sender hardware address (ARP), the target link-layer option (advertisement) or the
	// source one (solicitation); where a solicitation or an advertisement has no such option, the Ethernet source.
	MAC    MAC
	Source MAC // Ethernet source
	// Addr is what it says is there: the sender protocol address (ARP), the target (advertisement) or the source
	// (solicitation). It is invalid where that is unspecified, as in a probe.
	Addr netip.Addr
	Kind Saw
	// At is when the kernel received it.
	At time.Time
}
