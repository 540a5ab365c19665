package simnet

import (
	"sync"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

func TestAClientFallsBackToBroadcast(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *site) {
		var mu sync.Mutex
		var taken []Parcel
		for _, h := range s.hosts {
			h.Take(func(p Parcel) { mu.Lock(); defer mu.Unlock(); taken = append(taken, p) })
		}
		vip := addr("192.0.2.100")
		answering := 0 // which host answers for vip, whatever it is asked by
		for i, h := range s.hosts {
			table := neighbor.NewTable(map[neighbor.Target]neighbor.Entry{{Addr: vip, Interface: "eth0"}: {Kind: neighbor.StandIn, As: mac(1)}})
			nic := h.NICs()[0]
			socket := nic.Listen(NewProcess(), typeARP)
			defer socket.Close()
			go func() {
				buf := make([]byte, 100)
				for {
					n, _, err := socket.ReadFrame(buf)
					if err != nil {
						return
					}
					if o := neighbor.AnswerARP(table, nic.link(), buf[:n]); o.Reply != nil && answering == i {
						_ = socket.WriteFrame(o.Reply)
					}
				}
			}()
		}
		number := uint64(0)
		send := func(n int) {
			for range n {
				s.client.Send(vip, number)
				number++
				wait(20 * time.Millisecond)
			}
		}
		send(10)
		answering = 1 // with the MAC of n1, in whose place it stands
		s.client.Doubt(vip)
		send(500)
		if got, known := s.client.Knows(vip); got != mac(1) || !known || s.client.Lost() != 0 || len(taken) != int(number) {
			t.Errorf("%v known %v, lost %d, taken %d of %d", got, known, s.client.Lost(), len(taken), number)
		}
		for _, p := range taken {
			if p.By != "n1" {
				t.Fatalf("packet %d went to %s", p.Number, p.By)
			}
		}
	})
}
