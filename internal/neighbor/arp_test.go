package neighbor

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The link and table of all frame tests: we are 02:..:01 on eth0 and answer for 192.0.2.10 and 2001:db8::10 there, and for
// 192.0.2.11 and 2001:db8::11 on eth1 only.
func testLink() Link {
	return Link{Name: "eth0", MAC: MAC{2, 0, 0, 0, 0, 1}, Members: []MAC{{2, 0, 0, 0, 1, 1}}}
}

func testTable() *Table { return NewTable(testWant()) }

// testWant also has what was stood in for (the owner is 02:..:02) and what trails (for 02:..:03) on eth0: .20 and ::20, .30 and
// ::30. For .40 and ::40, which are ours, 02:..:03 is not answered. .50 and ::50 were given to 02:..:02 and are stood in for.
func testWant() map[Target]Entry {
	owner, next := MAC{2, 0, 0, 0, 0, 2}, MAC{2, 0, 0, 0, 0, 3}
	want := map[Target]Entry{}
	for _, net := range []string{"192.0.2.", "2001:db8::"} {
		want[target(net+"10", "eth0")] = Entry{}
		want[target(net+"11", "eth1")] = Entry{}
		want[target(net+"20", "eth0")] = Entry{Kind: StandIn, As: owner}
		want[target(net+"50", "eth0")] = Entry{Kind: StandIn, As: owner, Only: []MAC{owner}}
		want[target(net+"30", "eth0")] = Entry{Kind: Trail, Only: []MAC{{2, 0, 0, 0, 0, 4}, next}}
		want[target(net+"40", "eth0")] = Entry{Not: []MAC{next}}
	}
	return want
}

// frame decodes hexadecimal octets; blanks and line ends are for the reader.
func frame(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func arpPadding() string { return strings.Repeat("00", 60-headerLen-arpLen) }

func TestAnswerARP(t *testing.T) {
	const (
		toAll  = "ffffffffffff 020000000099 0806 "
		toUs   = "020000000001 020000000099 0806 "
		isEth  = "0001 0800 06 04 "
		noMAC  = "000000000000 "
		reply  = "020000000099 020000000001 0806 0001 0800 06 04 0002 020000000001 c000020a 020000000099 c0000263"
		probed = "020000000099 020000000001 0806 0001 0800 06 04 0002 020000000001 c000020a 020000000099 00000000"
	)
	for _, c := range []struct {
		name  string
		frame string
		want  Verdict
		reply string
	}{
		{"a broadcast request", toAll + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", Answered, reply},
		{"a unicast request", toUs + isEth + "0001 020000000099 c0000263 020000000001 c000020a", Answered, reply},
		{"a unicast request to a member of the bond",
			"020000000101 020000000099 0806" + isEth + "0001 020000000099 c0000263 020000000001 c000020a", Answered, reply},
		{"a request from a member of the bond", "ffffffffffff 020000000101 0806" + isEth + "0001 020000000101 c0000263" + noMAC + "c000020a", OwnFrame, ""},
		{"a padded request", toAll + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a" + arpPadding(), Answered, reply},
		{"a probe", toAll + isEth + "0001 020000000099 00000000" + noMAC + "c000020a", Answered, probed},
		{"a request by a station behind a wireless bridge is answered to the station",
			"ffffffffffff 020000000077 0806" + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", Answered, reply},
		{"an address of another interface", toAll + isEth + "0001 020000000099 c0000263" + noMAC + "c000020b", NotOurs, ""},
		{"an announcement of an address that is not ours", toAll + isEth + "0001 020000000099 c0000263" + noMAC + "c0000263", Gratuitous, ""},
		{"an unknown address", toAll + isEth + "0001 020000000099 c0000263" + noMAC + "c00002ff", NotOurs, ""},
		{"an announcement of our address by another", toAll + isEth + "0001 020000000099 c000020a" + noMAC + "c000020a", Gratuitous, ""},
		{"a reply", toAll + isEth + "0002 020000000099 c000020a 020000000001 c000020a", Reply, ""},
		{"a reverse request", toAll + isEth + "0003 020000000099 c0000263" + noMAC + "c000020a", Malformed, ""},
		{"our own request", "ffffffffffff 020000000001 0806" + isEth + "0001 020000000001 c0000263" + noMAC + "c000020a", OwnFrame, ""},
		{"a request of a member of the bond sent on by a bridge",
			"ffffffffffff 020000000077 0806" + isEth + "0001 020000000101 c0000263" + noMAC + "c000020a", OwnFrame, ""},
		{"another's request sent on by a member of the bond",
			"ffffffffffff 020000000101 0806" + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", OwnFrame, ""},
		{"our own request sent on by a bridge", "ffffffffffff 020000000077 0806" + isEth + "0001 020000000001 c0000263" + noMAC + "c000020a", OwnFrame, ""},
		{"a unicast request to another", "020000000055 020000000099 0806" + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", Elsewhere, ""},
		{"a request to a group", "0180c2000000 020000000099 0806" + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", Elsewhere, ""},
		{"a group as sender", toAll + isEth + "0001 030000000099 c0000263" + noMAC + "c000020a", Malformed, ""},
		{"nobody as sender", toAll + isEth + "0001 000000000000 c0000263" + noMAC + "c000020a", Malformed, ""},
		{"a group as Ethernet source", "ffffffffffff 030000000099 0806" + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", Malformed, ""},
		{"another hardware type", toAll + "0006 0800 06 04 0001 020000000099 c0000263" + noMAC + "c000020a", Malformed, ""},
		{"another protocol type", toAll + "0001 86dd 06 04 0001 020000000099 c0000263" + noMAC + "c000020a", Malformed, ""},
		{"another hardware length", toAll + "0001 0800 08 04 0001 020000000099 c0000263" + noMAC + "c000020a 00000000", Malformed, ""},
		{"another protocol length", toAll + "0001 0800 06 10 0001 020000000099" + strings.Repeat("00", 40), Malformed, ""},
		{"one octet short", toAll + isEth + "0001 020000000099 c0000263" + noMAC + "c00002", Malformed, ""},
		{"a header alone", toAll, Malformed, ""},
		{"half a header", "ffffffffffff 0200", Malformed, ""},
		{"no octet", "", Malformed, ""},
		{"a VLAN tag", "ffffffffffff 020000000099 8100 0064 0806" + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", Tagged, ""},
		{"a service VLAN tag", "ffffffffffff 020000000099 88a8 0064 0806" + isEth + "0001 020000000099 c0000263" + noMAC + "c000020a", Tagged, ""},
		{"IPv4", "ffffffffffff 020000000099 0800 4500", OtherProtocol, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := AnswerARP(testTable(), testLink(), frame(t, c.frame))
			if got.Verdict != c.want {
				t.Fatalf("verdict = %v, want %v", got.Verdict, c.want)
			}
			var want []byte
			if c.reply != "" {
				want = frame(t, c.reply+arpPadding())
			}
			if diff := cmp.Diff(want, got.Reply); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoTableAnswersNothing(t *testing.T) {
	request := frame(t, "ffffffffffff 020000000099 0806 0001 0800 06 04 0001 020000000099 c0000263 000000000000 c000020a")
	for name, table := range map[string]*Table{"nil": nil, "zero": {}, "empty": NewTable(nil)} {
		if o := AnswerARP(table, testLink(), request); o.Reply != nil || o.Verdict != NotOurs {
			t.Errorf("%s table: %+v", name, o)
		}
	}
}

func TestVerdictsHaveDistinctLabels(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range Verdicts() {
		if seen[v.String()] {
			t.Errorf("label %q stands for two verdicts", v)
		}
		seen[v.String()] = true
	}
}
