package neighbor

import (
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

// FuzzAnswerARP: no frame panics; only what the table holds is answered; every reply decodes and names our MAC.
func FuzzAnswerARP(f *testing.F) {
	for _, s := range []string{
		"ffffffffffff 020000000099 0806 0001 0800 06 04 0001 020000000099 c0000263 000000000000 c000020a",
		"ffffffffffff 020000000099 0806 0001 0800 06 04 0001 020000000099 00000000 000000000000 c000020a" + arpPadding(),
		"ffffffffffff 020000000099 8100 0064 0806",
		"020000000001 020000000099 0806 0001 0800 06 10 0001",
	} {
		f.Add(frame(f, s))
	}
	table, link := testTable(), testLink()
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, verdict := AnswerARP(table, link, b)
		if (verdict == Answered) != (reply != nil) {
			t.Fatalf("verdict %v with a reply of %d octets", verdict, len(reply))
		}
		if reply == nil {
			return
		}
		if answered := netip.AddrFrom4([4]byte(b[38:42])); !table.Has(link.Name, answered) {
			t.Fatalf("answered for %v", answered)
		}
		var eth ethernet.Frame
		var p arp.Packet
		if err := eth.UnmarshalBinary(reply); err != nil {
			t.Fatal(err)
		}
		if err := p.UnmarshalBinary(eth.Payload); err != nil {
			t.Fatal(err)
		}
		if MAC(p.SenderHardwareAddr) != link.MAC || MAC(eth.Source) != link.MAC || !MAC(eth.Destination).IsUnicast() ||
			p.SenderIP != netip.AddrFrom4([4]byte(b[38:42])) || p.Operation != arp.OperationReply {
			t.Fatalf("reply = %+v in %+v", p, eth)
		}
	})
}

// FuzzAnswerNDP: as FuzzAnswerARP. The checksum is put right when the second argument says so, or the fuzzer would
// hardly ever come past it.
func FuzzAnswerNDP(f *testing.F) {
	const ns = "87 00 0000 00000000 "
	f.Add(solicit(f, ethToGroup, srcGlobal, group10, ns+vip10+slla), false)
	f.Add(solicit(f, ethToUs, srcGlobal, vip10, ns+vip10), true)
	f.Add(solicit(f, ethToGroup, unspec, group10, ns+vip10+"0e 01 112233445566"), true)
	f.Add(solicit(f, ethToGroup, srcGlobal, group10, ns+vip11+slla), true)
	table, link := testTable(), testLink()
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix {
			fixChecksum(b)
		}
		reply, verdict := AnswerNDP(table, link, b)
		if (verdict == Answered) != (reply != nil) {
			t.Fatalf("verdict %v with a reply of %d octets", verdict, len(reply))
		}
		if reply == nil {
			return
		}
		answered := netip.AddrFrom16([16]byte(b[62:78]))
		if !table.Has(link.Name, answered) {
			t.Fatalf("answered for %v", answered)
		}
		checkAdvertisement(t, link, answered, reply)
	})
}

// fixChecksum writes the right ICMPv6 checksum into a frame that is long enough to have one.
func fixChecksum(b []byte) {
	const at = headerLen + ipv6HeaderLen
	if len(b) < at+4 {
		return
	}
	length := int(b[headerLen+4])<<8 | int(b[headerLen+5])
	if length < 4 || len(b) < at+length {
		return
	}
	src, dst := netip.AddrFrom16([16]byte(b[headerLen+8:headerLen+24])), netip.AddrFrom16([16]byte(b[headerLen+24:at]))
	setChecksum(src, dst, b[at:at+length])
}

func checkAdvertisement(t *testing.T, link Link, addr netip.Addr, frame []byte) {
	t.Helper()
	var eth ethernet.Frame
	if err := eth.UnmarshalBinary(frame); err != nil {
		t.Fatal(err)
	}
	ip := eth.Payload
	src, dst := netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	if onesSum(src, dst, ip[ipv6HeaderLen:]) != 0xffff {
		t.Fatalf("wrong checksum in %x", frame)
	}
	m, err := ndp.ParseMessage(ip[ipv6HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	na, ok := m.(*ndp.NeighborAdvertisement)
	if !ok || na.TargetAddress != addr || src != addr || na.Router || !na.Override || na.Solicited == dst.IsMulticast() {
		t.Fatalf("advertisement = %+v from %v to %v", m, src, dst)
	}
	if len(na.Options) != 1 || MAC(na.Options[0].(*ndp.LinkLayerAddress).Addr) != link.MAC || MAC(eth.Source) != link.MAC {
		t.Fatalf("options = %+v, Ethernet source %v", na.Options, eth.Source)
	}
}
