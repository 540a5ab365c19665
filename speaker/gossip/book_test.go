package gossip

import (
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// These tests drive a book by hand, for what a network hardly ever does.

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// ringOf returns the book of n01 among so many.
func ringOf(n int) *book {
	b := newBook(nameOf(0), Fast(), noon)
	for i := 1; i < n; i++ {
		b.joined(b.peer(nameOf(i), noon))
	}
	b.tick(noon)
	return b
}

// hearAll ticks every 50 ms until the time, and hears everybody but those left out.
func (b *book) hearAll(from, to time.Duration, without ...int) {
	silent := map[string]bool{}
	for _, i := range without {
		silent[nameOf(i)] = true
	}
	for at := from; at <= to; at += 50 * time.Millisecond {
		for name, p := range b.peers {
			if !silent[name] {
				b.hear(p, noon.Add(at))
			}
		}
		b.tick(noon.Add(at))
	}
}

func (b *book) lifeOf(i int, at time.Duration) lb.Life { return b.view(nameOf(i), noon.Add(at)).Gossip }

func says(k kind, who, about int, serial uint64, silent time.Duration) message {
	return message{kind: k, node: nameOf(who), boot: 7, serial: serial, subject: nameOf(about), silent: silent}
}

func TestHearsay(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		run   func(b *book)
		at    time.Duration
		want  lb.Life
		since time.Duration // of the silence
	}{
		{"nothing is said", func(*book) {}, time.Second, lb.Alive, 0},
		{"within the grace", func(b *book) { b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second)) },
			time.Second + Fast().hearsayGrace() - 1, lb.Alive, 0},
		{"after the grace", func(b *book) { b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second)) },
			time.Second + Fast().hearsayGrace(), lb.Unknown, 740 * ms},
		{"two say it, and the earlier counts", func(b *book) {
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
			b.receive(says(missed, 4, 5, 1, 400*ms), noon.Add(1010*ms))
		}, 1100 * ms, lb.Unknown, 610 * ms},
		{"heard by ourselves since", func(b *book) {
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
			b.hear(b.peers[nameOf(5)], noon.Add(1020*ms))
		}, 1100 * ms, lb.Alive, 0},
		{"heard by ourselves a moment before", func(b *book) {
			b.hear(b.peers[nameOf(5)], noon.Add(900*ms))
			b.receive(says(missed, 3, 5, 1, 50*ms), noon.Add(time.Second))
		}, 900*ms + Fast().MissAfter - 1, lb.Alive, 0},
		{"heard by ourselves a moment before, and not again", func(b *book) {
			b.hear(b.peers[nameOf(5)], noon.Add(900*ms))
			b.receive(says(missed, 3, 5, 1, 100*ms), noon.Add(time.Second))
		}, 900*ms + Fast().MissAfter, lb.Unknown, 900 * ms},
		{"taken back", func(b *book) {
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
			b.receive(says(back, 3, 5, 2, 0), noon.Add(1100*ms))
		}, 1100 * ms, lb.Alive, 0},
		{"taken back, and the first word comes once more", func(b *book) {
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
			b.receive(says(back, 3, 5, 2, 0), noon.Add(1100*ms))
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(1110*ms))
		}, 1300 * ms, lb.Alive, 0},
		{"words about two, in the wrong order", func(b *book) {
			b.receive(says(missed, 3, 6, 2, 260*ms), noon.Add(time.Second))
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
		}, 1100 * ms, lb.Unknown, 740 * ms},
		{"not said again", func(b *book) {
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
			b.hearAll(time.Second, time.Second+Fast().hearsayLife(), 5)
		}, time.Second + Fast().hearsayLife(), lb.Alive, 0},
		{"said again in time", func(b *book) {
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
			b.hearAll(time.Second, 2500*ms, 5)
			b.receive(says(missed, 3, 5, 2, 1760*ms), noon.Add(2500*ms))
		}, 4 * time.Second, lb.Unknown, 740 * ms},
		{"of one that has left", func(b *book) {
			b.receive(message{kind: bye, node: nameOf(5), boot: 7, serial: 1}, noon.Add(time.Second))
			b.receive(says(back, 3, 5, 2, 0), noon.Add(1100*ms))
		}, 1100 * ms, lb.Dead, time.Second},
		{"dropped by memberlist, silent before", func(b *book) {
			b.receive(says(missed, 3, 5, 1, 260*ms), noon.Add(time.Second))
			b.dropped(b.peers[nameOf(5)], noon.Add(1500*ms))
		}, 1600 * ms, lb.Dead, 740 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := ringOf(8)
			c.run(b)
			if got := b.lifeOf(5, c.at); got != c.want {
				t.Errorf("life = %v, want %v", got, c.want)
			}
			want := time.Time{}
			if c.since > 0 {
				want = noon.Add(c.since)
			}
			if got := b.view(nameOf(5), noon.Add(c.at)).Silent; !got.Equal(want) {
				t.Errorf("silent since %v, want %v", got, want)
			}
		})
	}
}

func TestOneThatIsMissedItselfContradicts(t *testing.T) {
	b := ringOf(8)
	_, _ = b.publish(lb.Speaker{})
	b.hearAll(0, time.Second)
	at := noon.Add(1010 * time.Millisecond)
	if r := b.receive(says(missed, 3, 0, 1, 260*time.Millisecond), at); !r.step {
		t.Fatal("not woken")
	}
	if got := len(b.tick(at).packets); got != 7 {
		t.Errorf("%d beats, want one for each of the 7 others", got)
	}
	b.receive(says(missed, 3, 0, 2, 270*time.Millisecond), at.Add(time.Millisecond))
	if got := len(b.tick(at.Add(time.Millisecond)).packets); got != 0 {
		t.Errorf("%d more beats at once, want to be told more than once in %v without repeating it", got, Fast().PingInterval)
	}
}

func TestAProcessThatWasStoppedMissesNobodyForIt(t *testing.T) {
	b := ringOf(3)
	b.hearAll(0, time.Second)
	woken := 6 * time.Second
	b.tick(noon.Add(woken))
	for _, i := range []int{1, 2} {
		if got := b.lifeOf(i, woken); got != lb.Alive {
			t.Errorf("%s is %v right after waking, want Alive", nameOf(i), got)
		}
	}
	b.hearAll(woken+50*time.Millisecond, woken+Fast().MissAfter, 1, 2)
	if got := b.lifeOf(1, woken+Fast().MissAfter); got != lb.Unknown {
		t.Errorf("a peer that is silent after waking is %v, want Unknown", got)
	}
}

func TestWhoDroppedAMissedNodeSaysSoForAWhile(t *testing.T) {
	b := ringOf(8)
	b.hearAll(0, 600*time.Millisecond, 1)
	b.dropped(b.peers[nameOf(1)], noon.Add(600*time.Millisecond))
	said := 0
	for at := 650 * time.Millisecond; at < 10*time.Second; at += 50 * time.Millisecond {
		for name, p := range b.peers {
			if name != nameOf(1) {
				b.hear(p, noon.Add(at))
			}
		}
		said += len(b.news(noon.Add(at)))
		b.settle(noon.Add(at))
	}
	if want := 6 * int(Fast().hearsayAfter()/Fast().hearsayRepeat()); said < want-6 || said > want+6 {
		t.Errorf("said %d times, want about %d: %v long to each of 6", said, want, Fast().hearsayAfter())
	}
	if b.peers[nameOf(1)].watch.missed {
		t.Error("it is said for ever")
	}
}

func TestAnEchoOfWhatWasNeverSentIsNoAnswer(t *testing.T) {
	b := ringOf(2)
	for _, echo := range []uint64{0, b.vigil.serial + 1, 1 << 63} {
		b.receive(message{kind: beat, node: nameOf(1), boot: 7, serial: echo + 1, echo: echo}, noon.Add(time.Second))
		if !b.vigil.answered.IsZero() {
			t.Errorf("an echo of %d counts as an answer to what was sent at %v", echo, b.vigil.answered)
		}
	}
}

func TestALargeStateIsSentLessOften(t *testing.T) {
	at := noon.Add(time.Second)
	gaps := map[int]time.Duration{}
	for _, claims := range []int{1, 50000} {
		b := ringOf(50)
		for i := 1; i < 50; i++ { // memberlist knows where they are
			b.peers[nameOf(i)].addr = addrOf(i)
		}
		if _, err := b.publish(claiming(claims)); err != nil {
			t.Fatal(err)
		}
		if got, _ := b.errands(at); len(got) != 49 {
			t.Fatalf("%d errands, want one for each peer", len(got))
		}
		for name := range b.peers {
			b.carried(name)
		}
		if _, err := b.publish(claiming(claims - 1)); err != nil {
			t.Fatal(err)
		}
		got, next := b.errands(at)
		if len(got) != 0 {
			t.Fatalf("%d errands at once", len(got))
		}
		gaps[claims] = next.Sub(at)
	}
	if gaps[1] < stateGap || gaps[1] > stateGap+time.Millisecond || gaps[50000] < time.Second {
		t.Errorf("gaps %v, want about %v for a small state and more than a second for 49 × 0.8 MB", gaps, stateGap)
	}
}

// The first word of a new life may come before memberlist has let it in. Counted with the silence of the life before, it would be dead
// for long, and what it takes up again would look abandoned.
func TestANewLifeIsNotAsSilentAsTheOneBefore(t *testing.T) {
	b := ringOf(3)
	name, back := nameOf(1), noon.Add(20*time.Second)
	b.learn(lb.Speaker{Node: name, Boot: 7, Seq: 1, Restarting: true}, noon)
	b.receive(message{kind: bye, node: name, boot: 7, serial: 1}, noon)
	b.dropped(b.peers[name], noon)
	if p := b.view(name, back); p.Gossip != lb.Dead || !p.Left || !p.Silent.Equal(noon) {
		t.Fatalf("before it is back: %+v", p)
	}
	b.learn(lb.Speaker{Node: name, Boot: 8, Seq: 1}, back)
	if p := b.view(name, back); p.Gossip != lb.Unknown || p.Left || !p.Silent.Equal(back) {
		t.Errorf("after its first word: %+v", p)
	}
	if p := b.view(name, back.Add(strangerTime)); p.Gossip != lb.Dead || p.Left || !p.Silent.Equal(back) {
		t.Errorf("when memberlist never lets it in: %+v", p)
	}
	b.joined(b.peers[name])
	if p := b.view(name, back.Add(strangerTime)); p.Gossip != lb.Alive || !p.Silent.IsZero() {
		t.Errorf("once it is a member: %+v", p)
	}
}
