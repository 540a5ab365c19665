package neighbor

import (
	"net/netip"
	"testing"
)

func TestTableLeavesOutWhatCannotStandInAFrame(t *testing.T) {
	for _, s := range []string{"", "0.0.0.0", "224.0.0.1", "::", "ff02::1", "::ffff:192.0.2.1", "fe80::1%eth0"} {
		addr, _ := netip.ParseAddr(s)
		if NewTable(map[Target]Entry{{addr, "eth0"}: {}}).Has("eth0", addr) {
			t.Errorf("%v is in the table", addr)
		}
	}
}

func TestTableLeavesOutEntriesThatAnswerNobody(t *testing.T) {
	vip := target("192.0.2.10", "eth0")
	for name, e := range map[string]Entry{
		"a stand-in for nobody":        {Kind: StandIn},
		"a stand-in for a group":       {Kind: StandIn, As: MAC{3}},
		"a trail for nobody":           {Kind: Trail},
		"a kind that there is not":     {Kind: 99},
		"a trail with what others use": {Kind: Trail, As: MAC{2}, Not: []MAC{{2}}},
	} {
		if NewTable(map[Target]Entry{vip: e}).Has("eth0", vip.Addr) {
			t.Errorf("%s is in the table", name)
		}
	}
}

func TestTableKeepsNothingOfItsInput(t *testing.T) {
	trail, own, mac := target("192.0.2.10", "eth0"), target("192.0.2.11", "eth0"), MAC{2, 0, 0, 0, 0, 3}
	want := map[Target]Entry{trail: {Kind: Trail, Only: []MAC{mac}}, own: {Not: []MAC{mac}}}
	table := NewTable(want)
	want[trail].Only[0], want[own].Not[0] = MAC{2}, MAC{2}
	if _, v := table.answer(Link{Name: "eth0"}, asking{target: trail.Addr, by: mac}); v != Trailed {
		t.Errorf("trail: verdict = %v", v)
	}
	if _, v := table.answer(Link{Name: "eth0"}, asking{target: own.Addr, by: mac, toAll: true}); v != Withheld {
		t.Errorf("own: verdict = %v", v)
	}
}

// The table of Kind's comment, row by row. 02:..:02 is the owner that is stood in for, 02:..:03 the node before or after us.
func TestWhoIsAnsweredHow(t *testing.T) {
	client, owner, next := MAC{2, 0, 0, 0, 0, 0x99}, MAC{2, 0, 0, 0, 0, 2}, MAC{2, 0, 0, 0, 0, 3}
	us := testLink().MAC
	for _, c := range []struct {
		name, host string
		by         MAC
		toAll      bool
		inUse      bool
		mac        MAC
		want       Verdict
	}{
		{"own", "10", client, true, false, us, Answered},
		{"own, asked by unicast", "10", client, false, false, us, Answered},
		{"own, in use?", "10", client, true, true, us, Answered},
		{"own on another interface", "11", client, true, false, MAC{}, NotOurs},
		{"stand-in", "20", client, true, false, owner, StoodIn},
		{"stand-in, asked by unicast", "20", client, false, false, owner, StoodIn},
		{"stand-in, in use?", "20", client, true, true, owner, StoodIn},
		{"stand-in, asked by the owner itself", "20", owner, true, false, MAC{}, Withheld},
		{"trail, asked by a client", "30", client, true, false, MAC{}, Withheld},
		{"trail, asked by a client by unicast", "30", client, false, false, MAC{}, Withheld},
		{"trail, asked by the new owner", "30", next, true, false, us, Trailed},
		{"trail, asked by another MAC of the new owner", "30", MAC{2, 0, 0, 0, 0, 4}, false, false, us, Trailed},
		{"trail, the new owner wants to know whether it is in use", "30", next, true, true, MAC{}, Withheld},
		{"stand-in that trails, asked by a client", "50", client, true, false, owner, StoodIn},
		{"stand-in that trails, asked by the owner", "50", owner, true, false, us, Trailed},
		{"stand-in that trails, the owner wants to know whether it is in use", "50", owner, true, true, MAC{}, Withheld},
		{"moved to us, asked by a client", "40", client, true, false, us, Answered},
		{"moved to us, asked by the node before", "40", next, true, false, MAC{}, Withheld},
		{"moved to us, the node before asks us alone", "40", next, false, false, us, Answered},
		{"moved to us, the node before wants to know whether it is in use", "40", next, true, true, us, Answered},
		{"nobody's", "99", client, true, false, MAC{}, NotOurs},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, net := range []string{"192.0.2.", "2001:db8::"} {
				q := asking{netip.MustParseAddr(net + c.host), c.by, c.toAll, c.inUse}
				if mac, v := testTable().answer(testLink(), q); mac != c.mac || v != c.want {
					t.Errorf("%v: %v, %v; want %v, %v", q.target, mac, v, c.mac, c.want)
				}
			}
		})
	}
}

func TestEntriesThatAnswerAlikeAreEqual(t *testing.T) {
	e := Entry{Kind: Trail, Only: []MAC{{2}}}
	for name, o := range map[string]Entry{
		"another kind": {Only: []MAC{{2}}}, "another owner": {Kind: Trail, As: MAC{2}, Only: []MAC{{2}}},
		"others only": {Kind: Trail, Only: []MAC{{4}}}, "not all": {Kind: Trail, Only: []MAC{{2}}, Not: []MAC{{2}}},
	} {
		if e.Equal(o) {
			t.Errorf("%s is equal", name)
		}
	}
	if !e.Equal(Entry{Kind: Trail, Only: []MAC{{2}}}) {
		t.Error("the same is not equal")
	}
}
