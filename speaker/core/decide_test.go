package core

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

var (
	lan  = []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}
	mgmt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
)

func nic(name string, prefixes []netip.Prefix, macs ...lb.MAC) lb.Interface {
	return lb.Interface{Name: name, Up: true, Prefixes: prefixes, MACs: macs}
}

// pair is n1, which decides, and n2, whose LAN interface has another name and is a bond.
func pair() ownership.View {
	return ownership.View{Self: "n1", Speakers: []lb.Speaker{
		{Node: "n1", Interfaces: []lb.Interface{nic("eth0", lan, lb.MAC{1})}},
		{Node: "n2", Interfaces: []lb.Interface{nic("bond0", lan, lb.MAC{2}, lb.MAC{3}), nic("eth0", mgmt, lb.MAC{4})}},
	}}
}

func TestWhatTheWireAnswers(t *testing.T) {
	on := func(kind neighbor.Kind, node string) ownership.Answer {
		return ownership.Answer{Addr: vip, Interfaces: []string{"eth0"}, Kind: kind, Node: node}
	}
	all := []lb.MAC{{2}, {3}, {4}}
	for _, c := range []struct {
		name    string
		answers []ownership.Answer
		want    []neighbor.Entry // for vip on eth0; none for nothing
	}{
		{"nothing", nil, nil},
		{"its own address", []ownership.Answer{on(neighbor.Own, "")}, []neighbor.Entry{{}}},
		{"its own, and not the owner before, which is told to unlearn", []ownership.Answer{on(neighbor.Own, "n2")},
			[]neighbor.Entry{{Kind: neighbor.Own, Not: all, As: lb.MAC{2}}}},
		{"in another's name, with its address on this LAN", []ownership.Answer{on(neighbor.StandIn, "n2")},
			[]neighbor.Entry{{Kind: neighbor.StandIn, As: lb.MAC{2}}}},
		{"not in the name of one whose address it does not know", []ownership.Answer{on(neighbor.StandIn, "n9")}, nil},
		{"the new owner alone", []ownership.Answer{on(neighbor.Trail, "n2")}, []neighbor.Entry{{Kind: neighbor.Trail, Only: all}}},
		{"not a new owner whose address it does not know", []ownership.Answer{on(neighbor.Trail, "n9")}, nil},
		{"in the name of the new owner, and that owner itself", []ownership.Answer{on(neighbor.StandIn, "n2"), on(neighbor.Trail, "n2")},
			[]neighbor.Entry{{Kind: neighbor.StandIn, As: lb.MAC{2}, Only: all}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := table(pair(), c.answers)
			want := map[neighbor.Target]neighbor.Entry{}
			for _, e := range c.want {
				want[neighbor.Target{Addr: vip, Interface: "eth0"}] = e
			}
			if diff := cmp.Diff(want, got, cmpAddr()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAddressIsAnsweredOnEachOfItsInterfaces(t *testing.T) {
	got := table(pair(), []ownership.Answer{{Addr: vip, Interfaces: []string{"eth0", "eth1"}}})
	if len(got) != 2 {
		t.Errorf("%v, want an entry for eth0 and one for eth1", got)
	}
}

func TestHardwareAddressOfAPeerOnOurSegment(t *testing.T) {
	for _, c := range []struct {
		name string
		ours lb.Interface
		on   string
		peer []lb.Interface
		want lb.MAC
	}{
		{"the one that shares a prefix, before the one of the same name", nic("eth0", lan), "eth0",
			[]lb.Interface{nic("eth0", mgmt, lb.MAC{4}), nic("eth1", lan, lb.MAC{2})}, lb.MAC{2}},
		{"of a bond its own, and not that of a member", nic("eth0", lan), "eth0", []lb.Interface{nic("bond0", lan, lb.MAC{2}, lb.MAC{3})}, lb.MAC{2}},
		{"the one of the same name, where no prefix is shared", nic("eth0", lan), "eth0",
			[]lb.Interface{nic("dummy0", nil, lb.MAC{5}), nic("eth0", mgmt, lb.MAC{4})}, lb.MAC{4}},
		{"none that has no hardware address", nic("eth0", lan), "eth0", []lb.Interface{nic("eth0", lan)}, lb.MAC{}},
		{"none where neither is the same", nic("eth0", lan), "eth0", []lb.Interface{nic("eth1", mgmt, lb.MAC{4})}, lb.MAC{}},
		{"none on an interface that is not ours", nic("eth0", lan), "eth7", []lb.Interface{nic("eth7", lan, lb.MAC{4})}, lb.MAC{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := onSegment(lb.Speaker{Interfaces: c.peer}, lb.Speaker{Interfaces: []lb.Interface{c.ours}}, c.on); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
