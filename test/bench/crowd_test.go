package main

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// announcement is an ARP announcement of an address (RFC 5227 §3) from a station.
func announcement(mac witness.MAC, addr netip.Addr) []byte {
	return witness.Request(witness.Station{MAC: mac, IPv4: addr}, addr, witness.Broadcast)
}

func TestFramesAreCountedByKind(t *testing.T) {
	self := nearStation()
	four, six := asked()[0], asked()[1]
	ip := func(etherType [2]byte, at int, protocol byte, more ...byte) []byte {
		frame := make([]byte, 14+at+1)
		copy(frame[12:], etherType[:])
		frame[14+at] = protocol
		return append(frame, append(make([]byte, 40-at-1), more...)...)
	}
	v4, v6 := [2]byte{0x08, 0x00}, [2]byte{0x86, 0xdd}
	for _, c := range []struct {
		name  string
		frame []byte
		want  traffic
	}{
		{"an ARP request", witness.Request(self, four, witness.Broadcast), traffic{requests: 1}},
		{"an ARP announcement", announcement(self.MAC, four), traffic{announcements: 1}},
		{"an NS", witness.Solicitation(self, six, witness.Broadcast), traffic{solicitations: 1}},
		{"UDP over IPv4", ip(v4, 9, 17), traffic{udp: 1}},
		{"TCP over IPv6", ip(v6, 6, 6, 0), traffic{tcp: 1}},
		{"an MLD report", ip(v6, 6, 0, 58), traffic{others: 1}},
		{"a frame that is too short", []byte{1, 2, 3}, traffic{others: 1}},
	} {
		var got traffic
		got.count(c.frame)
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(traffic{})); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

func TestATCPSegmentCountsAsTheFramesThatACardCutsItInto(t *testing.T) {
	const ipv4Options, tcpOptions = 4, 12
	segment := func(etherType [2]byte, ip, payload int) []byte {
		frame := make([]byte, 14+ip+20+tcpOptions+payload)
		copy(frame[12:], etherType[:])
		frame[14] = 0x40 | byte(ip/4)
		frame[14+ip+12] = (20 + tcpOptions) / 4 << 4
		return frame
	}
	v4, v6 := [2]byte{0x08, 0x00}, [2]byte{0x86, 0xdd}
	for _, c := range []struct {
		name  string
		frame []byte
		want  int
	}{
		{"an acknowledgement", segment(v4, 20, 0), 1},
		{"as much as fits", segment(v4, 20, 1448), 1},
		{"a byte more", segment(v4, 20, 1449), 2},
		{"less room after options of IPv4", segment(v4, 20+ipv4Options, 1448), 2},
		{"64 KiB", segment(v4, 20, 64<<10), 46},
		{"as much as fits over IPv6", segment(v6, 40, 1428), 1},
		{"a byte more over IPv6", segment(v6, 40, 1429), 2},
		{"one that is cut short", segment(v4, 20, 0)[:40], 1},
	} {
		etherType := binary.BigEndian.Uint16(c.frame[12:])
		if got := segments(etherType, c.frame); got != c.want {
			t.Errorf("%s: %d frames, want %d", c.name, got, c.want)
		}
	}
}

func TestTheOwnerIsWhoAnnouncedLast(t *testing.T) {
	a, b := witness.MAC{1}, witness.MAC{2}
	heard := witness.Record{
		{Addr: crowdAddr(0), Kind: witness.AnnounceRequest, Src: a}, {Addr: crowdAddr(1), Kind: witness.AnnounceRequest, Src: a},
		{Addr: crowdAddr(0), Kind: witness.AnnounceReply, Src: b}, {Addr: crowdAddr(1), Kind: witness.Reply, Src: b},
		{Addr: netip.MustParseAddr("192.168.1.11"), Kind: witness.AnnounceRequest, Src: a},
	}
	want := map[netip.Addr]witness.MAC{crowdAddr(0): b, crowdAddr(1): a}
	if diff := cmp.Diff(want, owners(heard), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestATakeoverIsTheFirstAnnouncementOfEachByAnother(t *testing.T) {
	dead, heir := witness.MAC{1}, witness.MAC{2}
	cut := time.Unix(1000, 0)
	say := func(after time.Duration, i int, src, payload witness.MAC, kind witness.Kind) witness.Sighting {
		return witness.Sighting{Time: cut.Add(after), Addr: crowdAddr(i), Kind: kind, Src: src, Payload: payload}
	}
	heard := witness.Record{
		say(-1, 0, heir, heir, witness.AnnounceRequest), // before the cut
		say(1, 0, dead, dead, witness.AnnounceRequest),
		say(2, 0, heir, dead, witness.AnnounceRequest), // in the name of the dead
		say(3, 0, heir, heir, witness.Reply),           // asked for
		say(4, 0, heir, heir, witness.AnnounceRequest),
		say(5, 2, heir, heir, witness.AnnounceRequest), // none of the dead one's
		say(6, 0, heir, heir, witness.AnnounceReply),   // again
		say(7, 1, heir, heir, witness.AnnounceRequest),
	}
	addrs := map[netip.Addr]bool{crowdAddr(0): true, crowdAddr(1): true}
	if diff := cmp.Diff(samples{4, 7}, firstByOther(heard, cut, dead, addrs)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestFramesAreGivenPerNodeAndSecondBesideTheFormula(t *testing.T) {
	f := idleFigure{cost: cost{period: 10 * time.Second, speakerCount: 2, speakersCPU: time.Second, speakerRSS: 3 << 20},
		speakers: 3, services: 1800, nodes: 3, sent: traffic{requests: 60, replies: 60, announcements: 300, udp: 900, tcp: 3, others: 30}}
	if got, want := f.frames(true), "4.0 / 10.0 / 30.0 / 0.1 / 1.0 (formula 6 / 20.0 / 30 / – / –)"; got != want {
		t.Errorf("frames %q, want %q", got, want)
	}
	f.unrest = "silent: [voice-07]"
	if got, want := f.frames(false), "4.0 / 10.0 / 30.0 / 0.1 / 1.0; not at rest: silent: [voice-07]"; got != want {
		t.Errorf("frames %q, want %q", got, want)
	}
	if got, want := f.use(), "3 MiB / 3.00 s"; got != want {
		t.Errorf("use %q, want %q", got, want)
	}
}

func TestTheCrowdsAddressesAreThoseOfItsPool(t *testing.T) {
	for _, i := range []int{0, 255, 256, 65535, 65536, 131071} {
		if a := crowdAddr(i); !inCrowd(a) {
			t.Errorf("address %d, %s, is not in the pool", i, a)
		}
	}
	if inCrowd(voiceAddr(0)) || inCrowd(voice(0, voice(0, [6]byte{1}).Interfaces[0].MACs[0]).Claims[0].Addr) {
		t.Error("a simulated speaker has an address of the crowd")
	}
}

func TestASimulatedSpeakerLooksForNewsThatWasLost(t *testing.T) {
	start := time.Unix(1000, 0)
	var r roll
	for range 3 {
		r.add(start)
	}
	at := func(i int) netip.AddrPort { return netip.AddrPortFrom(voiceAddr(i), gossipPort) }
	for _, c := range []struct {
		name  string
		of    int
		after time.Duration
		want  []netip.AddrPort
	}{
		{"the latest, at once", 2, 0, nil},
		{"the latest, when the news had their time", 2, newsTime, []netip.AddrPort{at(0), at(1)}},
		{"one before it, at once", 1, 0, nil},
		{"one before it, when the news had their time", 1, newsTime, []netip.AddrPort{at(2)}},
	} {
		got := r.peersOf(c.of, start.Add(c.after))
		if diff := cmp.Diff(append(leaders(), c.want...), got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

func TestTheHelpersRefuseWrongArguments(t *testing.T) {
	for _, args := range []string{asAnswerer, asAnswerer + " maybe 3", asAnswerer + " true many", asChorus, asChorus + " no-mac"} {
		words := strings.Fields(args)
		if err := helpers()[words[0]](words[1:]); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
