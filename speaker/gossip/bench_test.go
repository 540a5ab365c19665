package gossip

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkStateOf10000Claims(b *testing.B) {
	s := claiming(10000)
	s.Node, s.Boot, s.Seq = "n1", 1, 1
	raw := packed(s)
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := encodeState(s); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(raw)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := decodeState(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("publish unchanged", func(b *testing.B) {
		book := newBook("n1", Fast(), time.Now())
		_, _ = book.publish(s)
		for b.Loop() {
			if changed, err := book.publish(s); changed || err != nil {
				b.Fatal(changed, err)
			}
		}
	})
}

func BenchmarkTick(b *testing.B) {
	for _, n := range []int{3, 100} {
		b.Run(fmt.Sprint(n, " speakers"), func(b *testing.B) {
			now := time.Unix(1700000000, 0)
			book := newBook(nameOf(0), Fast(), now)
			for i := 1; i < n; i++ {
				book.joined(book.peer(nameOf(i), now))
			}
			for b.Loop() {
				now = now.Add(Fast().PingInterval)
				for _, p := range book.peers {
					p.watch.heard = now
				}
				book.tick(now)
			}
		})
	}
}
