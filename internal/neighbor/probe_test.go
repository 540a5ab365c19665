package neighbor

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAsk(t *testing.T) {
	peer := MAC{2, 0, 0, 0, 0, 2}
	const (
		fromUs = " 020000000001 "
		llocal = "fe800000000000000000000000000001 "
		lpeer  = "fe800000000000000000000000000002 "
	)
	for _, c := range []struct {
		name   string
		probe  Probe
		source string
		want   string
	}{
		{"a host by ARP: unicast, from our own address", Probe{Kind: HostProbe, To: peer, Target: netip.MustParseAddr("192.0.2.2")}, "192.0.2.1",
			"020000000002" + fromUs + "0806 0001 0800 06 04 0001" + fromUs + "c0000201 000000000000 c0000202" + arpPadding()},
		{"an answer by ARP: the same, for the service address", Probe{Kind: AnswerProbe, To: peer, Target: netip.MustParseAddr("192.0.2.10")}, "192.0.2.1",
			"020000000002" + fromUs + "0806 0001 0800 06 04 0001" + fromUs + "c0000201 000000000000 c000020a" + arpPadding()},
		{"whether an address is in use, by ARP: to all, from 0.0.0.0", Probe{Kind: FirstProbe, Target: netip.MustParseAddr("192.0.2.10")}, "192.0.2.1",
			"ffffffffffff" + fromUs + "0806 0001 0800 06 04 0001" + fromUs + "00000000 000000000000 c000020a" + arpPadding()},
		{"a host by solicitation: unicast, with our link-layer address", Probe{Kind: HostProbe, To: peer, Target: netip.MustParseAddr("fe80::2")}, "fe80::1",
			"020000000002" + fromUs + "86dd 60000000 0020 3a ff" + llocal + lpeer + "87 00 7a1b 00000000" + lpeer + "01 01 020000000001"},
		{"an answer by solicitation", Probe{Kind: AnswerProbe, To: peer, Target: netip.MustParseAddr("2001:db8::10")}, "fe80::1",
			"020000000002" + fromUs + "86dd 60000000 0020 3a ff" + llocal + vip10 + "87 00 1b8f 00000000" + vip10 + "01 01 020000000001"},
		{"whether an address is in use, by solicitation: to its group", Probe{Kind: FirstProbe, Target: netip.MustParseAddr("2001:db8::10")}, "fe80::1",
			"3333ff000010" + fromUs + "86dd 60000000 0020 3a ff" + llocal + group10 + "87 00 4b43 00000000" + vip10 + "01 01 020000000001"},
		{"the same before we have an address: a duplicate address detection", Probe{Kind: FirstProbe, Target: netip.MustParseAddr("2001:db8::10")}, "",
			"3333ff000010" + fromUs + "86dd 60000000 0018 3a ff" + unspec + group10 + "87 00 4ccf 00000000" + vip10},
		{"a host, but from nowhere", Probe{Kind: HostProbe, To: peer, Target: netip.MustParseAddr("192.0.2.2")}, "", ""},
		{"a host, but from 0.0.0.0", Probe{Kind: HostProbe, To: peer, Target: netip.MustParseAddr("192.0.2.2")}, "0.0.0.0", ""},
		{"a host, but from ::", Probe{Kind: HostProbe, To: peer, Target: netip.MustParseAddr("fe80::2")}, "::", ""},
		{"a host, but from the other family", Probe{Kind: HostProbe, To: peer, Target: netip.MustParseAddr("192.0.2.2")}, "fe80::1", ""},
		{"nobody", Probe{Kind: HostProbe, Target: netip.MustParseAddr("192.0.2.2")}, "192.0.2.1", ""},
		{"everybody as a host", Probe{Kind: AnswerProbe, To: broadcastMAC(), Target: netip.MustParseAddr("192.0.2.2")}, "192.0.2.1", ""},
		{"for no address", Probe{Kind: FirstProbe}, "192.0.2.1", ""},
		{"for a group", Probe{Kind: FirstProbe, Target: netip.MustParseAddr("ff02::1")}, "fe80::1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var source netip.Addr
			if c.source != "" {
				source = netip.MustParseAddr(c.source)
			}
			var want []byte
			if c.want != "" {
				want = frame(t, c.want)
			}
			got := Ask(testLink(), c.probe, source)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSource(t *testing.T) {
	own := []string{"192.0.2.1/24", "198.51.100.1/24", "198.51.100.2/24", "2001:db8::1/64", "2001:db8:2::1/64"}
	for _, c := range []struct {
		name   string
		own    []string
		target string
		want   string
	}{
		{"the subnet's", own, "198.51.100.9", "198.51.100.1"},
		{"the first where no subnet fits", own, "203.0.113.9", "192.0.2.1"},
		{"the IPv6 subnet's", own, "2001:db8:2::9", "2001:db8:2::1"},
		{"link-local before all", append(own, "fe80::1/64"), "2001:db8:2::9", "fe80::1"},
		{"an IPv4 link-local one is like others", []string{"169.254.0.1/16", "192.0.2.1/24"}, "192.0.2.9", "192.0.2.1"},
		{"not one of nobody", []string{"0.0.0.0/24", "192.0.2.1/24"}, "198.51.100.9", "192.0.2.1"},
		{"link-local does not fit IPv4", []string{"fe80::1/64"}, "192.0.2.9", ""},
		{"none", nil, "192.0.2.9", ""},
		{"none of the family", own[:3], "2001:db8::9", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var prefixes []netip.Prefix
			for _, s := range c.own {
				prefixes = append(prefixes, netip.MustParsePrefix(s))
			}
			var want netip.Addr
			if c.want != "" {
				want = netip.MustParseAddr(c.want)
			}
			if got := Source(prefixes, netip.MustParseAddr(c.target)); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func TestWhatFramesTell(t *testing.T) {
	const arpTail = " 000000000000 "
	arpFrame := func(dst, src, op, sha, spa, tpa string) []byte {
		return frame(t, dst+src+"0806 0001 0800 06 04"+op+sha+spa+arpTail+tpa)
	}
	const (
		all, us, peer, relay = "ffffffffffff ", "020000000001 ", "020000000002 ", "020000000077 "
		tlla                 = "02 01 020000000002"
	)
	at := func(mac, source byte, addr string, kind Saw) Sighting {
		s := Sighting{Interface: "eth0", MAC: MAC{2, 0, 0, 0, 0, mac}, Source: MAC{2, 0, 0, 0, 0, source}, Kind: kind}
		if addr != "" {
			s.Addr = netip.MustParseAddr(addr)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  Sighting
	}{
		{"an ARP reply", arpFrame(us, peer, "0002", peer, "c0000202", "c0000201"), at(2, 2, "192.0.2.2", SawReply)},
		{"an ARP reply that another sent", arpFrame(us, relay, "0002", peer, "c0000202", "c0000201"), at(2, 0x77, "192.0.2.2", SawReply)},
		{"a gratuitous request", arpFrame(all, peer, "0001", peer, "c000020a", "c000020a"), at(2, 2, "192.0.2.10", SawAnnouncement)},
		{"a gratuitous reply", arpFrame(all, peer, "0002", peer, "c000020a", "c000020a"), at(2, 2, "192.0.2.10", SawAnnouncement)},
		{"an ARP request", arpFrame(all, peer, "0001", peer, "c0000202", "c000020a"), at(2, 2, "192.0.2.2", SawRequest)},
		{"an ARP probe", arpFrame(all, peer, "0001", peer, "00000000", "c000020a"), at(2, 2, "", SawRequest)},
		{"a reverse ARP request", arpFrame(all, peer, "0003", relay, "c0000202", "c000020a"), at(2, 2, "", SawOther)},
		{"a group that says it sends ARP", arpFrame(all, peer, "0001", "030000000002", "c0000202", "c000020a"), at(2, 2, "", SawOther)},
		{"an ARP packet cut short", frame(t, all+peer+"0806 0001"), at(2, 2, "", SawOther)},
		{"our own ARP request", arpFrame(all, us, "0001", us, "c0000201", "c0000202"), Sighting{}},
		{"an ARP request to another", arpFrame(relay, peer, "0001", peer, "c0000202", "c000020a"), Sighting{}},
		{"a solicited advertisement", solicit(t, us+peer+"86dd", vip11, srcGlobal, "88 00 0000 60000000"+vip11+tlla), at(2, 2, "2001:db8::11", SawReply)},
		{"one that another sent", solicit(t, us+relay+"86dd", vip11, srcGlobal, "88 00 0000 60000000"+vip11+tlla), at(2, 0x77, "2001:db8::11", SawReply)},
		{"one without an option", solicit(t, us+peer+"86dd", vip11, srcGlobal, "88 00 0000 40000000"+vip11), at(2, 2, "2001:db8::11", SawReply)},
		{"an unsolicited advertisement", solicit(t, "333300000001"+peer+"86dd", vip11, "ff020000000000000000000000000001", "88 00 0000 20000000"+vip11+tlla),
			at(2, 2, "2001:db8::11", SawAnnouncement)},
		{"a solicited advertisement to all is invalid", solicit(t, "333300000001"+peer+"86dd", vip11, "ff020000000000000000000000000001", "88 00 0000 60000000"+vip11+tlla),
			at(2, 2, "", SawOther)},
		{"an advertisement from nowhere is invalid", solicit(t, us+peer+"86dd", unspec, srcGlobal, "88 00 0000 60000000"+vip11+tlla), at(2, 2, "", SawOther)},
		{"an advertisement of 23 octets", solicit(t, us+peer+"86dd", vip11, srcGlobal, "88 00 0000 60000000"+vip11[:30]), at(2, 2, "", SawOther)},
		{"a solicitation", solicit(t, ethToGroup, srcGlobal, group10, "87 00 0000 00000000"+vip10+slla), at(0x99, 0x99, "2001:db8::99", SawRequest)},
		{"a duplicate address detection", solicit(t, ethToGroup, unspec, group10, "87 00 0000 00000000"+vip10), at(0x99, 0x99, "", SawRequest)},
		{"another IPv6 packet", solicit(t, ethToGroup, srcGlobal, group10, "80 00 0000 00000000"), at(0x99, 0x99, "", SawOther)},
		{"our own solicitation", solicit(t, "3333ff000010"+us+"86dd", srcGlobal, group10, "87 00 0000 00000000"+vip10), Sighting{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := AnswerARP
			if c.frame[12] == 0x86 {
				answer = AnswerNDP
			}
			got := answer(testTable(), testLink(), c.frame).Seen
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("sighting (-want +got):\n%s", diff)
			}
			if got.At != (time.Time{}) {
				t.Errorf("the time is %v, which nobody told", got.At)
			}
		})
	}
}

func TestProbeKindsHaveDistinctLabels(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range ProbeKinds() {
		if seen[k.String()] {
			t.Errorf("label %q stands for two kinds", k)
		}
		seen[k.String()] = true
	}
}
