package neighbor

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Building blocks of solicitations: we ask from 2001:db8::99 (02:..:99).
const (
	ethToGroup = "3333ff000010 020000000099 86dd "
	ethToUs    = "020000000001 020000000099 86dd "
	srcGlobal  = "20010db8000000000000000000000099 "
	unspec     = "00000000000000000000000000000000 "
	group10    = "ff0200000000000000000001ff000010 "
	vip10      = "20010db8000000000000000000000010 "
	vip11      = "20010db8000000000000000000000011 "
	slla       = "01 01 020000000099 "
)

// solicit builds a frame: Ethernet header, IPv6 addresses, and ICMPv6 from its type on, with a right checksum put in.
func solicit(t testing.TB, eth, src, dst, icmp string) []byte {
	t.Helper()
	body := frame(t, icmp)
	ip := frame(t, "60000000 0000 3a ff"+src+dst)
	binary.BigEndian.PutUint16(ip[4:6], uint16(len(body)))
	if len(body) >= 4 {
		setChecksum(netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40])), body)
	}
	return append(append(frame(t, eth), ip...), body...)
}

// setChecksum puts the right checksum in; the golden replies, whose checksums come from elsewhere, prove onesSum.
func setChecksum(src, dst netip.Addr, icmp []byte) {
	binary.BigEndian.PutUint16(icmp[2:4], 0)
	binary.BigEndian.PutUint16(icmp[2:4], ^onesSum(src, dst, icmp))
}

func TestAnswerNDP(t *testing.T) {
	const ns = "87 00 0000 00000000 "
	const (
		solicited = "020000000099 020000000001 86dd 60000000 0020 3a ff" + vip10 + srcGlobal +
			"88 00 89be 60000000" + vip10 + "02 01 020000000001"
		defence = "333300000001 020000000001 86dd 60000000 0020 3a ff" + vip10 + "ff020000000000000000000000000001" +
			"88 00 f90c 20000000" + vip10 + "02 01 020000000001"
	)
	with := func(frame []byte, at int, b byte) []byte { frame[at] = b; return frame }
	good := func() []byte { return solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+slla) }
	for _, c := range []struct {
		name  string
		frame []byte
		want  Verdict
		reply string
	}{
		{"a multicast solicitation", good(), Answered, solicited},
		{"a unicast probe", solicit(t, ethToUs, srcGlobal, vip10, ns+vip10+slla), Answered, solicited},
		{"a unicast probe without a link-layer option", solicit(t, ethToUs, srcGlobal, vip10, ns+vip10), Answered, solicited},
		{"a solicitation by a station behind a wireless bridge is answered to the station",
			solicit(t, "3333ff000010 020000000077 86dd", srcGlobal, group10, ns+vip10+slla), Answered, solicited},
		{"an option that we do not know", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"0e 01 112233445566"+slla), Answered, solicited},
		{"trailing padding of the frame", append(good(), 0, 0, 0, 0), Answered, solicited},
		{"a duplicate address detection", solicit(t, ethToGroup, unspec, group10, ns+vip10), Answered, defence},
		{"a duplicate address detection with a nonce", solicit(t, ethToGroup, unspec, group10, ns+vip10+"0e 01 112233445566"), Answered, defence},
		{"a duplicate address detection with a link-layer option", solicit(t, ethToGroup, unspec, group10, ns+vip10+slla), Malformed, ""},
		{"a duplicate address detection by unicast", solicit(t, ethToUs, unspec, vip10, ns+vip10), Malformed, ""},
		{"an address of another interface", solicit(t, ethToGroup, srcGlobal, group10, ns+vip11+slla), NotOurs, ""},
		{"our address as source", solicit(t, ethToGroup, vip10, group10, ns+vip10+slla), Gratuitous, ""},
		{"an advertisement", solicit(t, ethToGroup, srcGlobal, group10, "88 00 0000 20000000"+vip10), Reply, ""},
		{"an advertisement that answers a group", solicit(t, ethToGroup, srcGlobal, group10, "88 00 0000 60000000"+vip10), Malformed, ""},
		{"another ICMPv6 message", solicit(t, ethToGroup, srcGlobal, group10, "80 00 0000 00000000"+vip10), OtherProtocol, ""},
		{"TCP", with(good(), headerLen+6, 6), OtherProtocol, ""},
		{"extension headers", with(good(), headerLen+6, 0), OtherProtocol, ""},
		{"hop limit 254", with(good(), headerLen+7, 254), Malformed, ""},
		{"code 1", solicit(t, ethToGroup, srcGlobal, group10, "87 01 0000 00000000"+vip10+slla), Malformed, ""},
		{"code 1 of an advertisement", solicit(t, ethToUs, srcGlobal, vip10, "88 01 0000 60000000"+vip10), Malformed, ""},
		{"a wrong checksum", with(good(), headerLen+ipv6HeaderLen+2, 0xaa), Malformed, ""},
		{"IP version 4", with(good(), headerLen, 0x40), Malformed, ""},
		{"a length beyond the frame", with(good(), headerLen+5, 200), Malformed, ""},
		{"ICMPv6 of 3 octets", with(good(), headerLen+5, 3), Malformed, ""},
		{"another ICMPv6 message of 4 octets", solicit(t, ethToGroup, srcGlobal, group10, "80 00 0000"), OtherProtocol, ""},
		{"ICMPv6 of 23 octets", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10[:30]), Malformed, ""},
		{"a multicast target", solicit(t, ethToGroup, srcGlobal, group10, ns+group10+slla), Malformed, ""},
		{"a multicast source", solicit(t, ethToGroup, group10, group10, ns+vip10+slla), Malformed, ""},
		{"an option of length 0", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"01 00 020000000099"), Malformed, ""},
		{"an option beyond the message", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"01 02 020000000099"), Malformed, ""},
		{"an option of length 0 that we do not know", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"0e 00 112233445566"+slla), Malformed, ""},
		{"an option beyond the message that we do not know", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"0e 02 112233445566"), Malformed, ""},
		{"half an option header", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"01"), Malformed, ""},
		{"a link-layer option of 14 octets", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"01 02 020000000099 0000000000000000"), Malformed, ""},
		{"a group in the link-layer option", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"01 01 030000000099"), Malformed, ""},
		{"our MAC in the link-layer option", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"01 01 020000000001"), OwnFrame, ""},
		{"a MAC of the bond's in the link-layer option", solicit(t, ethToGroup, srcGlobal, group10, ns+vip10+"01 01 020000000101"), OwnFrame, ""},
		{"our own frame", solicit(t, "3333ff000010 020000000001 86dd", srcGlobal, group10, ns+vip10+slla), OwnFrame, ""},
		{"a unicast probe to a member of the bond", solicit(t, "020000000101 020000000099 86dd", srcGlobal, vip10, ns+vip10), Answered, solicited},
		{"a frame to another", solicit(t, "020000000055 020000000099 86dd", srcGlobal, vip10, ns+vip10+slla), Elsewhere, ""},
		{"a VLAN tag", frame(t, "3333ff000010 020000000099 8100 0064 86dd 6000"), Tagged, ""},
		{"ARP", frame(t, "ffffffffffff 020000000099 0806 0001"), OtherProtocol, ""},
		{"an IPv6 header cut short", good()[:headerLen+ipv6HeaderLen-1], Malformed, ""},
		{"no octet", nil, Malformed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := AnswerNDP(testTable(), testLink(), c.frame)
			if got.Verdict != c.want {
				t.Fatalf("verdict = %v, want %v", got.Verdict, c.want)
			}
			var want []byte
			if c.reply != "" {
				want = frame(t, c.reply)
			}
			if diff := cmp.Diff(want, got.Reply); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSolicitedNode(t *testing.T) {
	for addr, want := range map[string]string{
		"4037::1:800:200e:8c6c": "ff02::1:ff0e:8c6c", // the example of RFC 4291 §2.7.1
		"2001:db8::10":          "ff02::1:ff00:10",
		"fe80::ff:fe00:1":       "ff02::1:ff00:1",
	} {
		if got := SolicitedNode(netip.MustParseAddr(addr)); got != netip.MustParseAddr(want) {
			t.Errorf("SolicitedNode(%s) = %s, want %s", addr, got, want)
		}
	}
	for addr, want := range map[string]bool{"ff02::1:ff00:10": true, "ff02::1": false, "2001:db8::10": false, "ff05::1:ff00:10": false} {
		if got := isSolicitedNode(netip.MustParseAddr(addr)); got != want {
			t.Errorf("isSolicitedNode(%s) = %v", addr, got)
		}
	}
}
