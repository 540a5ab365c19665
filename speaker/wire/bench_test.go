package wire

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// BenchmarkAnswer asks over a real veth, one request after the other, with few and with many addresses in the table. It
// reports the median and the 99th percentile of the time from the request to its answer, as the client sees it.
func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := newLAN(b)
			w, _ := start(b)
			want := wantOn("lan0", vip4)
			for i := range n - 1 {
				want[neighbor.Target{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Interface: "lan0"}] = neighbor.Entry{}
			}
			w.Answer(want)
			arps := l.tap("eth0", unix.ETH_P_ARP)
			asker := neighbor.MAC{2, 0, 0, 0, 0, 9}
			question := request(b, asker, l.mac(), vip4)
			var took []time.Duration
			for b.Loop() {
				asked := time.Now()
				arps.send(question)
				if arps.next(patience, answerFor(vip4, asker)) == nil {
					b.Fatal("no answer")
				}
				took = append(took, time.Since(asked))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
