package witness

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	node1  = MAC{2, 0, 0, 0, 0, 1}
	node2  = MAC{2, 0, 0, 0, 0, 2}
	client = MAC{2, 0, 0, 0, 0, 9}

	vip4 = netip.MustParseAddr("192.168.1.200")
	vip6 = netip.MustParseAddr("fd00:1::200")
	self = Station{MAC: client, IPv4: netip.MustParseAddr("192.168.1.100"), IPv6: netip.MustParseAddr("fd00:1::100")}
)

// arpFrame writes an Ethernet frame with an ARP packet, independently of Request.
func arpFrame(dst, src MAC, op uint16, sha MAC, spa netip.Addr, tha MAC, tpa netip.Addr) []byte {
	f := append(append([]byte{}, dst[:]...), src[:]...)
	f = append(f, 8, 6, 0, 1, 8, 0, 6, 4)
	f = binary.BigEndian.AppendUint16(f, op)
	f = append(append(f, sha[:]...), spa.AsSlice()...)
	return append(append(f, tha[:]...), tpa.AsSlice()...)
}

// naFrame writes a neighbour advertisement; a zero lladdr leaves the option out.
func naFrame(dst, src MAC, flags byte, target netip.Addr, lladdr MAC) []byte {
	from, to := target.As16(), netip.MustParseAddr("ff02::1").As16()
	t := target.As16()
	body := append([]byte{136, 0, 0, 0, flags, 0, 0, 0}, t[:]...)
	if lladdr != (MAC{}) {
		body = append(append(body, 2, 1), lladdr[:]...)
	}
	binary.BigEndian.PutUint16(body[2:4], checksum(from[:], to[:], body))
	f := append(append([]byte{}, dst[:]...), src[:]...)
	f = append(f, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(body)), 58, 255)
	f = append(append(f, from[:]...), to[:]...)
	return append(f, body...)
}

func TestDecodeNamesEveryFormOfClaim(t *testing.T) {
	none, other := netip.IPv4Unspecified(), netip.MustParseAddr("192.168.1.1")
	shortHops := naFrame(Broadcast, node1, 0x20, vip6, node1)
	shortHops[etherLen+7] = 254
	badSum := naFrame(Broadcast, node1, 0x20, vip6, node1)
	badSum[len(badSum)-1] ^= 1
	zeroOption := naFrame(Broadcast, node1, 0x20, vip6, node1)
	zeroOption[etherLen+ipv6Len+25] = 0
	for _, c := range []struct {
		name  string
		frame []byte
		want  Sighting
		ok    bool
	}{
		{"an ARP reply", arpFrame(client, node1, 2, node1, vip4, client, self.IPv4),
			Sighting{Addr: vip4, Kind: Reply, Src: node1, Dst: client, Payload: node1, Target: client}, true},
		{"an announcement in request form", arpFrame(Broadcast, node1, 1, node1, vip4, MAC{}, vip4),
			Sighting{Addr: vip4, Kind: AnnounceRequest, Src: node1, Dst: Broadcast, Payload: node1}, true},
		{"an announcement in reply form", arpFrame(Broadcast, node1, 2, node1, vip4, node1, vip4),
			Sighting{Addr: vip4, Kind: AnnounceReply, Src: node1, Dst: Broadcast, Payload: node1, Target: node1}, true},
		{"a request sent from the address", arpFrame(Broadcast, node1, 1, node1, vip4, MAC{}, other),
			Sighting{Addr: vip4, Kind: Asking, Src: node1, Dst: Broadcast, Payload: node1}, true},
		{"a payload that differs from the Ethernet source", arpFrame(client, node2, 2, node1, vip4, client, self.IPv4),
			Sighting{Addr: vip4, Kind: Reply, Src: node2, Dst: client, Payload: node1, Target: client}, true},
		{"a probe claims nothing", arpFrame(Broadcast, node1, 1, node1, none, MAC{}, vip4), Sighting{}, false},
		{"reverse ARP is not ARP", arpFrame(Broadcast, node1, 3, node1, vip4, MAC{}, vip4), Sighting{}, false},
		{"a solicited advertisement", naFrame(client, node1, 0x60, vip6, node1),
			Sighting{Addr: vip6, Kind: NASolicited, Src: node1, Dst: client, Payload: node1, Flags: 0x60}, true},
		{"an unsolicited advertisement", naFrame(Broadcast, node1, 0x20, vip6, node1),
			Sighting{Addr: vip6, Kind: NAUnsolicited, Src: node1, Dst: Broadcast, Payload: node1, Flags: 0x20}, true},
		{"an advertisement without the option", naFrame(client, node1, 0x60, vip6, MAC{}),
			Sighting{Addr: vip6, Kind: NASolicited, Src: node1, Dst: client, Flags: 0x60}, true},
		{"a routed advertisement", shortHops, Sighting{}, false},
		{"a broken checksum", badSum, Sighting{}, false},
		{"an option without length", zeroOption, Sighting{}, false},
		{"a solicitation claims nothing", Solicitation(self, vip6, Broadcast), Sighting{}, false},
		{"an empty frame", nil, Sighting{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Decode(c.frame)
			if ok != c.ok {
				t.Fatalf("Decode = %+v, %v; want ok = %v", got, ok, c.ok)
			}
			if ok {
				if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			}
		})
	}
}

func TestDecodeRefusesEveryTruncation(t *testing.T) {
	for _, frame := range [][]byte{
		arpFrame(client, node1, 2, node1, vip4, client, self.IPv4),
		naFrame(client, node1, 0x60, vip6, node1),
	} {
		for n := range frame {
			if s, ok := Decode(frame[:n]); ok {
				t.Errorf("the first %d of %d bytes decode to %+v", n, len(frame), s)
			}
		}
	}
}

func TestQuestionsAreWrittenAsTheRFCsSay(t *testing.T) {
	f := Request(self, vip4, node1)
	want := pad(arpFrame(node1, client, 1, client, self.IPv4, MAC{}, vip4))
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("ARP request: -want +got\n%s", diff)
	}
	all, one := Solicitation(self, vip6, Broadcast), Solicitation(self, vip6, node1)
	if got, want := MAC(all[:6]), (MAC{0x33, 0x33, 0xff, 0, 2, 0}); got != want {
		t.Errorf("solicitation of all goes to %s, want the group %s", got, want)
	}
	if got, want := netip.AddrFrom16([16]byte(all[38:54])), netip.MustParseAddr("ff02::1:ff00:200"); got != want {
		t.Errorf("solicitation of all goes to %s, want %s", got, want)
	}
	if got := netip.AddrFrom16([16]byte(one[38:54])); got != vip6 || MAC(one[:6]) != node1 {
		t.Errorf("solicitation of one goes to %s at %s, want %s at %s", got, MAC(one[:6]), vip6, node1)
	}
	for _, f := range [][]byte{all, one} {
		if sum := checksum(f[22:38], f[38:54], f[54:]); sum != 0 {
			t.Errorf("checksum is off by %#04x", sum)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(arpFrame(client, node1, 2, node1, vip4, client, self.IPv4))
	f.Add(naFrame(client, node1, 0x60, vip6, node1))
	f.Fuzz(func(t *testing.T, frame []byte) {
		s, ok := Decode(frame)
		if ok && (s.Kind == 0 || !s.Addr.IsValid() || s.Src != MAC(frame[6:12])) {
			t.Errorf("Decode(%x) = %+v, which is no sighting", frame, s)
		}
	})
}
