package gossip

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// beginners returns how many of n live nodes join a peer.
func beginners(n int, round int64, heard bool, since time.Duration) (count int) {
	for place := range n {
		if ours(place, n, round, heard, since) {
			count++
		}
	}
	return count
}

func TestFewJoinAPeerThatManyMiss(t *testing.T) {
	for _, c := range []struct {
		name  string
		live  int
		heard bool
		since time.Duration
		want  int
	}{
		{"alone, in silence", 1, false, 0, 1},
		{"alone", 1, true, 0, 1},
		{"four, in silence", 4, false, 0, 4},
		{"four", 4, true, 0, 4},
		{"thirty, in silence", 30, false, 0, 4},
		{"a hundred, in silence", 100, false, 0, 13},
		{"a hundred, heard just now", 100, true, 0, 4},
		{"a hundred, heard for less than a round", 100, true, 249 * time.Millisecond, 4},
		{"a hundred, heard for a round", 100, true, 250 * time.Millisecond, 16},
		{"a hundred, heard for two", 100, true, 500 * time.Millisecond, 64},
		{"a hundred, heard for three", 100, true, 750 * time.Millisecond, 100},
		{"a hundred, heard for long", 100, true, time.Hour, 100},
	} {
		for round := range int64(20) {
			if got := beginners(c.live, round, c.heard, c.since); got != c.want {
				t.Errorf("%s, round %d: %d begin, want %d", c.name, round, got, c.want)
			}
		}
	}
}

func TestEverybodyHasATurnWithinTwoSeconds(t *testing.T) {
	for live := 1; live <= 300; live++ {
		for place := range live {
			last := int64(-1)
			for round := range int64(100) {
				if ours(place, live, round, false, 0) {
					if round-last > joinTurns+1 {
						t.Fatalf("number %d of %d waits from round %d to %d", place, live, last, round)
					}
					last = round
				}
			}
			if last < 100-joinTurns-1 {
				t.Fatalf("number %d of %d has its last turn in round %d of 100", place, live, last)
			}
		}
	}
}

func TestEachPeerHasAnOrderOfItsOwnOnWhichAllAgree(t *testing.T) {
	var live []string
	for i := range 100 {
		live = append(live, nameOf(i))
	}
	first := map[string]int{}
	for i := range 200 {
		peer := addrOf(100 + i)
		seen := map[int]bool{}
		for _, name := range live {
			at := place(name, live, peer)
			if at < 0 || at >= len(live) || seen[at] {
				t.Fatalf("%s stands at %d for %v, as another does", name, at, peer)
			}
			seen[at] = true
			if at < joinFirst {
				first[name]++
			}
		}
	}
	for name, count := range first { // 8 on average
		if count > 24 {
			t.Errorf("%s is among the first for %d of 200 peers", name, count)
		}
	}
}

func TestANodeBeginsFewJoinsInARound(t *testing.T) {
	b := newBook("n01", Fast(), noon)
	var missing []netip.AddrPort
	for i := 1; i < 100; i++ {
		p := b.peer(nameOf(i), noon)
		p.addr = addrOf(i)
		missing = append(missing, p.addr)
	}
	s := search{busy: map[netip.AddrPort]bool{}}
	at := noon.Truncate(rejoinInterval)
	tried := map[netip.AddrPort]bool{}
	for round := range 13 {
		for look := range 5 { // within the round: only the first finds something to do
			now := at.Add(time.Duration(round)*rejoinInterval + time.Duration(look)*time.Millisecond)
			got := s.pick(b, missing, now)
			if want := joinMost * (1 - min(look, 1)); len(got) != want {
				t.Fatalf("round %d, look %d: joins %d, want %d", round, look, len(got), want)
			}
			for _, peer := range got {
				tried[peer] = true
				s.done(peer)
			}
		}
	}
	if len(tried) != len(missing) {
		t.Errorf("in 13 rounds of %d it has tried %d of %d", joinMost, len(tried), len(missing))
	}
	heard := b.peers[nameOf(50)]
	heard.knocked, heard.watch.heard = at.Add(13*rejoinInterval), at.Add(13*rejoinInterval)
	if got := s.pick(b, missing, heard.knocked); len(got) != joinMost+1 {
		t.Errorf("joins %v, want %d and the one that is heard, %v", got, joinMost, heard.addr)
	}
	if got := s.pick(b, missing, heard.knocked.Add(10*time.Millisecond)); fmt.Sprint(got) != "[]" {
		t.Errorf("joins %v while all are in flight", got)
	}
}
