package wire

import (
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
)

const (
	vip4 = "192.0.2.10"
	vip6 = "2001:db8::10"
)

func testLog(t *testing.T) logr.Logger { return testr.New(t) }

func wantForDaemon() map[netip.Addr][]string { return wantOn("lan0", vip4, vip6) }

func TestTheKernelOfAClientResolvesOurAddresses(t *testing.T) {
	l := newLAN(t)
	start(t, vip4, vip6)
	for _, vip := range []string{vip4, vip6} {
		if got := l.resolve(netip.MustParseAddr(vip), patience); got != l.mac() {
			t.Errorf("%s is at %v, want %v", vip, got, l.mac())
		}
	}
}

func TestNothingIsAnsweredAfterSetTookItAway(t *testing.T) {
	l := newLAN(t)
	w, _ := start(t, vip4, vip6)
	for _, vip := range []string{vip4, vip6} {
		if got := l.resolve(netip.MustParseAddr(vip), patience); got != l.mac() {
			t.Fatalf("%s is at %v, want %v", vip, got, l.mac())
		}
	}
	w.Set(nil)
	for _, vip := range []string{vip4, vip6} {
		if got := l.resolve(netip.MustParseAddr(vip), 300*time.Millisecond); got != [6]byte{} {
			t.Errorf("%s is still answered by %v", vip, got)
		}
	}
}
