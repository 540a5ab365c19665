package core

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

func TestAnotherStationIsNewsOnceInAWhile(t *testing.T) {
	var f foreign
	for _, row := range []struct {
		name string
		addr netip.Addr
		mac  lb.MAC
		at   time.Duration
		want bool
	}{
		{"first", vip, printer, 0, true},
		{"again", vip, printer, time.Second, false},
		{"another station", vip, lb.MAC{2}, time.Second, true},
		{"for another address", other, printer, time.Second, true},
		{"as long after the last time as it counts", vip, printer, time.Second + foreignFor, false},
		{"after a long silence", vip, printer, time.Second + 2*foreignFor + 1, true},
	} {
		if got := f.heard(row.addr, row.mac, day.Add(row.at)); got != row.want {
			t.Errorf("%s: news %v, want %v", row.name, got, row.want)
		}
	}
}

func TestAnotherStationCountsForThreeSeconds(t *testing.T) {
	var f foreign
	f.heard(other, printer, day)
	f.heard(vip, lb.MAC{3}, day.Add(time.Second))
	f.heard(vip, lb.MAC{2}, day.Add(time.Second))
	nodes := map[lb.MAC]string{{2}: "n2"}
	late := []ownership.Foreign{{Addr: vip, MAC: lb.MAC{2}, Node: "n2", At: day.Add(time.Second)}, {Addr: vip, MAC: lb.MAC{3}, At: day.Add(time.Second)}}
	all := append(late[:2:2], ownership.Foreign{Addr: other, MAC: printer, At: day})
	for _, row := range []struct {
		at   time.Duration
		want []ownership.Foreign
	}{{3 * time.Second, all}, {3*time.Second + 1, late}, {4*time.Second + 1, nil}} {
		if diff := cmp.Diff(row.want, f.list(day.Add(row.at), nodes), cmpAddr()); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", row.at, diff)
		}
	}
	if len(f.seen) != 0 {
		t.Errorf("what is over is kept: %v", f.seen)
	}
}

func TestStationsAreForgottenWithTheAddress(t *testing.T) {
	var f foreign
	f.heard(vip, printer, day)
	f.heard(other, printer, day)
	f.keep(func(a netip.Addr) bool { return a == other })
	if diff := cmp.Diff([]ownership.Foreign{{Addr: other, MAC: printer, At: day}}, f.list(day, nil), cmpAddr()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
