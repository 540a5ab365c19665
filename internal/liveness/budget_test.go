package liveness

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// limit is the most ARP packets a second that a port may send in the steady state: a switch with dynamic ARP inspection shuts a
// port at 15.
const limit = 10

func TestBudgetTable(t *testing.T) {
	for n, want := range map[int]Budget{-1: {}, 0: {}, 1: {}, 2: {3, 3}, 3: {3, 3}, 4: {3, 3}, 5: {3, 3}, 1000: {3, 3}} {
		if diff := cmp.Diff(want, BudgetPerSecond(n)); diff != "" {
			t.Errorf("%d speakers, -want +got:\n%s", n, diff)
		}
	}
	if worst := MostPerSecond + BudgetPerSecond(1000).Answered; worst > limit {
		t.Errorf("%d a second for as long as a fault lasts", worst)
	}
}

// reset forgets what was sent so far.
func (l *lan) reset() {
	for _, s := range l.stations {
		s.sent = nil
	}
}

func TestTheSteadyStateKeepsItsBudget(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 10, 20, 50, 100} {
		t.Run(fmt.Sprintf("%d speakers", n), func(t *testing.T) {
			l := lanOf(t, n)
			l.run(45 * time.Second) // until everybody has been asked once
			l.reset()
			l.run(20 * time.Second)
			for _, s := range l.stations {
				if got, want := most(s.sent), BudgetPerSecond(n).Total(); got != want {
					t.Errorf("%s sends up to %d a second, want %d", s.node, got, want)
				}
			}
		})
	}
}

func TestClocksThatDifferStayUnderTheLimit(t *testing.T) {
	for _, c := range []struct {
		within time.Duration
		limit  int
	}{{100 * time.Millisecond, limit}, {time.Minute, 14}} { // the latter is chance, and still under what shuts a port
		for _, n := range []int{3, 4, 10, 40} {
			for seed := range uint64(3) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				l := lanOf(t, n)
				for _, s := range l.stations {
					s.Watch, s.skew = New(s.node, notice), time.Duration(rnd.Int64N(int64(c.within)))
				}
				l.meet()
				l.run(45 * time.Second)
				l.reset()
				l.run(20 * time.Second)
				for _, s := range l.stations {
					if got := most(s.sent); got > c.limit {
						t.Errorf("%d speakers, clocks within %v, seed %d: %s sends up to %d a second", n, c.within, seed, s.node, got)
					}
				}
			}
		}
	}
}

func TestANewcomerIsNotAskedByAllAtOnce(t *testing.T) {
	l := lanOf(t, 60)
	last := l.stations[59]
	l.stations = l.stations[:59]
	l.meet()
	l.run(45 * time.Second)
	l.stations = append(l.stations, last)
	last.Watch, last.sent = New(last.node, notice), nil
	l.meet()
	l.run(25 * time.Second) // the others of 59, three a second, and a little
	if got, most := most(last.sent), limit; got > most {
		t.Errorf("it sends up to %d a second", got)
	}
	if got := len(last.Verdict(l.now).Peers); got != 59 {
		t.Fatalf("it knows %d", got)
	}
	for _, s := range l.stations[:59] {
		if s.host(l.now, last.node) != lb.Alive || last.host(l.now, s.node) != lb.Alive {
			t.Errorf("%s and the newcomer have not met", s.node)
		}
	}
}

// As long as a fault lasts, nobody sends more than the limit on average, and in no second as much as would shut a port.
func TestLastingFaultsKeepTheBudget(t *testing.T) {
	for _, n := range []int{3, 10, 40} {
		for _, c := range []struct {
			name  string
			fault func(*lan)
		}{
			{"one speaker stopped", func(l *lan) { l.stations[0].mute = true; l.suspect("n001", lb.Unknown) }},
			{"gossip of one is cut", func(l *lan) { l.suspect("n001", lb.Dead) }},
			{"gossip is cut in two halves", func(l *lan) {
				for i, s := range l.stations {
					for j, p := range l.stations {
						if i%2 != j%2 {
							s.gossip[p.node] = lb.Dead
						}
					}
				}
				l.meet()
			}},
			{"gossip is cut everywhere", func(l *lan) {
				for _, s := range l.stations {
					for _, p := range l.stations {
						s.gossip[p.node] = lb.Dead
					}
				}
				l.meet()
			}},
			{"one host dead", func(l *lan) { l.stations[0].off = true; l.suspect("n001", lb.Dead) }},
			{"all hear nobody, gossip works", func(l *lan) {
				for _, s := range l.stations {
					s.deaf = true
				}
			}},
			{"all hear nobody, gossip is cut", func(l *lan) {
				for _, s := range l.stations {
					s.deaf = true
					for _, p := range l.stations {
						s.gossip[p.node] = lb.Dead
					}
				}
				l.meet()
			}},
		} {
			t.Run(fmt.Sprintf("%d speakers, %s", n, c.name), func(t *testing.T) {
				l := lanOf(t, n)
				l.run(45 * time.Second)
				c.fault(l)
				l.run(60 * time.Second) // the burst, and until its bucket is as full as it gets
				l.reset()
				l.run(20 * time.Second)
				for _, s := range l.stations {
					if got, average := most(s.sent), len(s.sent)/20; average > limit || got > 14 {
						t.Errorf("%s sends %d a second, up to %d", s.node, average, got)
					}
				}
			})
		}
	}
}

// Three questions in a row to each, and those of the alarm.
func TestABurstIsBounded(t *testing.T) {
	l := lanOf(t, 20)
	l.run(30 * time.Second)
	s := l.stations[0]
	s.asked = nil
	for _, p := range l.stations[1:] {
		p.off = true
		s.gossip[p.node] = lb.Unknown
	}
	l.meet()
	l.run(500 * time.Millisecond)
	asked := map[string]int{}
	for _, a := range s.asked {
		asked[a.Node]++
	}
	for _, p := range l.stations[1:] {
		if n := asked[p.node]; n < enough || n > enough+1 {
			t.Errorf("%s was asked %d times", p.node, n)
		}
	}
	if most := enough*len(asked) + alarmHolds; len(s.asked) > most {
		t.Errorf("it asked %d questions, want %d at most", len(s.asked), most)
	}
}
