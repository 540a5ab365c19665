package neighbor

import (
	"encoding/binary"

	"github.com/mdlayher/ethernet"
)

// headerLen is the length of an untagged Ethernet header, in bytes: destination, source, EtherType.
const headerLen = 14

// header is an Ethernet header.
type header struct {
	dst, src MAC
}

// seen returns what the header alone tells.
func (h header) seen(link Link, kind Saw) Sighting {
	return Sighting{Interface: link.Name, MAC: h.src, Source: h.src, Kind: kind}
}

// open splits a frame into its header and payload and applies what holds for every protocol:
//
//	shorter than a header                      Malformed
//	a VLAN tag in the frame (802.1Q, 802.1ad)  Tagged; the kernel strips most tags, and then the socket filter rejects them
//	another EtherType than want                OtherProtocol
//	source is us                               OwnFrame
//	source is a group or zero                  Malformed
//	destination is another station             Elsewhere
//
// It returns ok when none of these holds; Verdict is meaningful only otherwise.
func open(link Link, frame []byte, want ethernet.EtherType) (h header, payload []byte, v Verdict, ok bool) {
	if len(frame) < headerLen {
		return h, nil, Malformed, false
	}
	copy(h.dst[:], frame[0:6])
	copy(h.src[:], frame[6:12])
	switch etherType := ethernet.EtherType(binary.BigEndian.Uint16(frame[12:14])); {
	case etherType == ethernet.EtherTypeVLAN || etherType == ethernet.EtherTypeServiceVLAN:
		return h, nil, Tagged, false
	case etherType != want:
		return h, nil, OtherProtocol, false
	case link.is(h.src):
		return h, nil, OwnFrame, false
	case !h.src.IsUnicast():
		return h, nil, Malformed, false
	case !link.is(h.dst) && h.dst[0]&1 == 0:
		return h, nil, Elsewhere, false
	}
	return h, frame[headerLen:], 0, true
}

// seal puts payload into a frame from link to dst, padded to the least length that Ethernet allows (60 bytes).
func seal(link Link, dst MAC, etherType ethernet.EtherType, payload []byte) []byte {
	f := ethernet.Frame{Destination: dst[:], Source: link.MAC[:], EtherType: etherType, Payload: payload}
	b, err := f.MarshalBinary()
	if err != nil {
		panic("neighbor: a frame without VLAN tags did not marshal: " + err.Error()) // only a wrong tag can
	}
	return b
}
