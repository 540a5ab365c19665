package lb

import (
	"encoding/hex"
	"strings"
)

// MAC is an EUI-48 hardware address. The zero MAC is no address.
type MAC [6]byte

// String returns the usual form, "02:00:5e:10:00:01".
func (m MAC) String() string {
	octets := make([]string, len(m))
	for i, b := range m {
		octets[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(octets, ":")
}

// ParseMAC reads the form that String writes, in letters of either case.
func ParseMAC(text string) (m MAC, ok bool) {
	octets := strings.Split(text, ":")
	if len(octets) != len(m) {
		return MAC{}, false
	}
	for i, octet := range octets {
		raw, err := hex.DecodeString(octet)
		if err != nil || len(raw) != 1 {
			return MAC{}, false
		}
		m[i] = raw[0]
	}
	return m, true
}

// IsUnicast says whether m can be one station: not zero, and the group bit (IEEE 802, lowest bit of the first octet) unset.
func (m MAC) IsUnicast() bool { return m != MAC{} && m[0]&1 == 0 }
