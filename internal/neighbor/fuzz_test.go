package neighbor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

// FuzzAnswerARP: no frame panics; only what the table holds is answered; every reply decodes, comes from our MAC
// and names the one that the entry says; a trail answers its askers only; who must not be answered is not; what is told is of another
// station.
func FuzzAnswerARP(f *testing.F) {
	for _, s := range []string{
		"ffffffffffff 020000000099 0806 0001 0800 06 04 0001 020000000099 c0000263 000000000000 c000020a",
		"ffffffffffff 020000000099 0806 0001 0800 06 04 0001 020000000099 00000000 000000000000 c000020a" + arpPadding(),
		"ffffffffffff 020000000099 8100 0064 0806",
		"020000000001 020000000099 0806 0001 0800 06 10 0001",
	} {
		f.Add(frame(f, s))
	}
	f.Add(frame(f, "ffffffffffff 020000000099 0806 0001 0800 06 04 0001 020000000099 c0000263 000000000000 c0000214"))
	f.Add(frame(f, "ffffffffffff 020000000003 0806 0001 0800 06 04 0001 020000000003 c0000263 000000000000 c000021e"))
	f.Add(frame(f, "020000000001 020000000002 0806 0001 0800 06 04 0002 020000000002 c0000202 020000000001 c0000201"))
	const us, all, next, owner = "020000000001 ", "ffffffffffff ", "020000000003 ", "020000000002 "
	for _, s := range []string{all + next + "28", us + next + "28", all + owner + "14", all + owner + "32", all + next + "0b", "02000000000a " + next + "0a"} {
		w := strings.Fields(s)
		f.Add(frame(f, w[0]+w[1]+"0806 0001 0800 06 04 0001"+w[1]+"c0000263 000000000000 c00002"+w[2]))
		f.Add(frame(f, w[0]+w[1]+"0806 0001 0800 06 04 0001"+w[1]+"00000000 000000000000 c00002"+w[2]))
	}
	table, link := testTable(), testLink()
	f.Fuzz(func(t *testing.T, b []byte) {
		o := AnswerARP(table, link, b)
		checkOutcome(t, link, o)
		if o.Reply == nil {
			return
		}
		answered, sender := netip.AddrFrom4([4]byte(b[38:42])), netip.AddrFrom4([4]byte(b[28:32]))
		if to := MAC(b[:6]); answered == sender || !link.is(to) && to != broadcastMAC() {
			t.Fatalf("answered a frame to %v from %v that asks for %v", to, sender, answered)
		}
		mac := checkEntry(t, link, asking{answered, MAC(b[22:28]), !link.is(MAC(b[:6])), sender.IsUnspecified()}, o.Verdict)
		var eth ethernet.Frame
		var p arp.Packet
		if err := eth.UnmarshalBinary(o.Reply); err != nil {
			t.Fatal(err)
		}
		if err := p.UnmarshalBinary(eth.Payload); err != nil {
			t.Fatal(err)
		}
		if MAC(p.SenderHardwareAddr) != mac || MAC(eth.Source) != link.MAC || MAC(eth.Destination) != MAC(b[22:28]) ||
			p.SenderIP != answered || p.Operation != arp.OperationReply {
			t.Fatalf("reply = %+v in %+v", p, eth)
		}
	})
}

// checkOutcome wants a reply where the verdict says so, the address that was asked for where it is in the table, and a sighting
// that names another station.
func checkOutcome(t *testing.T, link Link, o Outcome) {
	t.Helper()
	if replied := o.Verdict == Answered || o.Verdict == StoodIn || o.Verdict == Trailed; replied != (o.Reply != nil) {
		t.Fatalf("verdict %v with a reply of %d octets", o.Verdict, len(o.Reply))
	}
	if asked := o.Verdict <= Withheld; asked != testTable().Has(link.Name, o.Asked) || asked != o.Asked.IsValid() {
		t.Fatalf("verdict %v for the address %v", o.Verdict, o.Asked)
	}
	if s := o.Seen; s.Kind != 0 && (link.is(s.MAC) || link.is(s.Source) || !s.MAC.IsUnicast() || !s.Source.IsUnicast() || s.Interface != link.Name) {
		t.Fatalf("sighting = %+v", s)
	}
}

// checkEntry wants that the question may be answered as the verdict says, and returns the MAC that must be in the answer.
func checkEntry(t *testing.T, link Link, q asking, v Verdict) MAC {
	t.Helper()
	e, ok := testWant()[Target{q.target, link.Name}]
	barred := slices.Contains(e.Not, q.by) && q.toAll && !q.inUse
	switch {
	case ok && v == Answered && e.Kind == Own && !barred:
		return link.MAC
	case ok && v == StoodIn && e.Kind == StandIn && q.by != e.As:
		return e.As
	case ok && v == Trailed && e.Kind != Own && !q.inUse && slices.Contains(e.Only, q.by):
		return link.MAC
	}
	t.Fatalf("%+v answered (%v) for %+v", q, v, e)
	return MAC{}
}

// FuzzAnswerNDP: as FuzzAnswerARP. The checksum is put right when the second argument says so, or the fuzzer would
// hardly ever come past it.
func FuzzAnswerNDP(f *testing.F) {
	const ns = "87 00 0000 00000000 "
	f.Add(solicit(f, ethToGroup, srcGlobal, group10, ns+vip10+slla), false)
	f.Add(solicit(f, ethToUs, srcGlobal, vip10, ns+vip10), true)
	f.Add(solicit(f, ethToGroup, unspec, group10, ns+vip10+"0e 01 112233445566"), true)
	f.Add(solicit(f, ethToGroup, srcGlobal, group10, ns+vip11+slla), true)
	f.Add(solicit(f, ethToGroup, srcGlobal, group10, ns+"20010db8000000000000000000000020"+slla), true)
	f.Add(solicit(f, "3333ff000030 020000000003 86dd", srcGlobal, group10, ns+"20010db8000000000000000000000030"), true)
	f.Add(solicit(f, ethToUs, srcGlobal, vip10, "88 00 0000 60000000"+vip11+"02 01 020000000099"), true)
	table, link := testTable(), testLink()
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix {
			fixChecksum(b)
		}
		o := AnswerNDP(table, link, b)
		checkOutcome(t, link, o)
		if o.Reply == nil {
			return
		}
		addr, src := netip.AddrFrom16([16]byte(b[62:78])), netip.AddrFrom16([16]byte(b[22:38]))
		q := asking{addr, o.Seen.MAC, !link.is(MAC(b[:6])), src.IsUnspecified()}
		checkAdvertisement(t, link, addr, checkEntry(t, link, q, o.Verdict), o.Reply)
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

func checkAdvertisement(t *testing.T, link Link, addr netip.Addr, mac MAC, frame []byte) {
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
	if len(na.Options) != 1 || MAC(na.Options[0].(*ndp.LinkLayerAddress).Addr) != mac || MAC(eth.Source) != link.MAC {
		t.Fatalf("options = %+v, Ethernet source %v", na.Options, eth.Source)
	}
}
