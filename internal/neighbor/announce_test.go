package neighbor

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnnounce(t *testing.T) {
	for _, c := range []struct {
		name, addr string
		form       Form
		want       string
	}{
		{"the request form: target hardware address 0", "192.0.2.10", ARPRequest,
			"ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c000020a 000000000000 c000020a" + arpPadding()},
		{"the reply form: target hardware address is the sender's", "192.0.2.10", ARPReply,
			"ffffffffffff 020000000001 0806 0001 0800 06 04 0002 020000000001 c000020a 020000000001 c000020a" + arpPadding()},
		{"the advertisement: to all nodes, not solicited, override", "2001:db8::10", NeighborAdvertisement,
			"333300000001 020000000001 86dd 60000000 0020 3a ff" + vip10 + "ff020000000000000000000000000001" +
				"88 00 f90c 20000000" + vip10 + "02 01 020000000001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Announce(testLink(), netip.MustParseAddr(c.addr), c.form)
			if diff := cmp.Diff(frame(t, c.want), got); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnlearn(t *testing.T) {
	for _, c := range []struct{ name, addr, want string }{
		{"a request form from the receiver's own address", "192.0.2.10",
			"020000000009 020000000001 0806 0001 0800 06 04 0001 020000000009 c000020a 000000000000 c000020a" + arpPadding()},
		{"an advertisement of the receiver's own address, to it alone", "2001:db8::10",
			"020000000009 020000000001 86dd 60000000 0020 3a ff" + vip10 + "ff020000000000000000000000000001" +
				"88 00 f904 20000000" + vip10 + "02 01 020000000009"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Unlearn(testLink(), netip.MustParseAddr(c.addr), MAC{2, 0, 0, 0, 0, 9})
			if diff := cmp.Diff(frame(t, c.want), got); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMACString(t *testing.T) {
	if got := (MAC{0x02, 0, 0x5e, 0x10, 0, 0x01}).String(); got != "02:00:5e:10:00:01" {
		t.Errorf("String = %q", got)
	}
}
