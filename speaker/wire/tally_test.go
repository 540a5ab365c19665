package wire

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// perAddress returns the value of every series with an address, as "requests_received 192.0.2.10".
func perAddress(t *testing.T, r *prometheus.Registry) map[string]int {
	t.Helper()
	families, err := r.Gather()
	check(t, err)
	out := map[string]int{}
	for _, f := range families {
		name, ok := strings.CutPrefix(f.GetName(), "metallb_layer2_")
		for _, m := range f.GetMetric() {
			if ok {
				out[name+" "+m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
			}
		}
	}
	return out
}

func TestFramesAreCountedByAddress(t *testing.T) {
	l := newLAN(t)
	w, registry := start(t)
	w.Answer(entriesOn("lan0", neighbor.Entry{Not: []neighbor.MAC{theOwner()}}, vip4, vip6))
	arps := l.tap("eth0", unix.ETH_P_ARP)
	for _, by := range []neighbor.MAC{theClient(), theOwner(), theClient()} { // the second is not answered
		arps.send(request(t, by, broadcast(), vip4))
	}
	ndps := l.tap("eth0", unix.ETH_P_IPV6)
	ndps.send(solicitation(t, theClient(), l.mac(), vip6))
	eventually(t, "every question and answer is counted, and an announcement of each address", func() bool {
		n := perAddress(t, registry)
		return n["requests_received "+vip4] == 3 && n["responses_sent "+vip4] == 2 && n["gratuitous_sent "+vip4] >= 1 &&
			n["requests_received "+vip6] == 1 && n["responses_sent "+vip6] == 1 && n["gratuitous_sent "+vip6] >= 1
	})
}

func TestOnlyAddressesOfOurOwnHaveSeries(t *testing.T) {
	registry := prometheus.NewRegistry()
	w := New(Options{Log: testLog(t), Registerer: registry})
	own, other := netip.MustParseAddr(vip4), netip.MustParseAddr(vip6)
	want := map[neighbor.Target]neighbor.Entry{
		{Addr: own, Interface: "lan0"}:   {},
		{Addr: own, Interface: "lan1"}:   {}, // one series for both
		{Addr: other, Interface: "lan0"}: {Kind: neighbor.StandIn, As: theOwner()},
	}
	w.Answer(want)
	w.metrics.tallies.asked(own, true)
	w.metrics.tallies.asked(own, false)
	w.metrics.tallies.asked(other, true)
	w.metrics.tallies.announced(own)
	series := func(requests, responses, gratuitous int) map[string]int {
		return map[string]int{"requests_received " + vip4: requests, "responses_sent " + vip4: responses, "gratuitous_sent " + vip4: gratuitous}
	}
	if diff := cmp.Diff(series(2, 1, 1), perAddress(t, registry)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want[neighbor.Target{Addr: other, Interface: "lan1"}] = neighbor.Entry{Kind: neighbor.Trail, Only: []neighbor.MAC{theOwner()}}
	w.Answer(want)
	if diff := cmp.Diff(series(2, 1, 1), perAddress(t, registry)); diff != "" {
		t.Errorf("after another address changed (-want +got):\n%s", diff)
	}
	w.Answer(nil)
	if diff := cmp.Diff(map[string]int{}, perAddress(t, registry)); diff != "" {
		t.Errorf("after the release (-want +got):\n%s", diff)
	}
	w.Answer(want)
	if diff := cmp.Diff(series(0, 0, 0), perAddress(t, registry)); diff != "" {
		t.Errorf("when it is ours again (-want +got):\n%s", diff)
	}
}

// broken is a Conn that sends nothing.
type broken struct{ Conn }

func (broken) WriteFrame([]byte) error { return errors.New("no buffer space") }

func TestAFrameThatDidNotLeaveIsCountedAsAnError(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := &family{counters: newMetrics(registry).of("lan0", lb.IPv4), conn: broken{}}
	if f.send(nil, f.answered[neighbor.Answered]) {
		t.Error("it is said to have left")
	}
	if n := counted(t, registry, "steelyard_wire_errors_total", "IPv4", "write"); n != 1 {
		t.Errorf("%d errors", n)
	}
	if n := counted(t, registry, "steelyard_wire_frames_sent_total", "IPv4", "answer"); n != 0 {
		t.Errorf("%d answers", n)
	}
}
