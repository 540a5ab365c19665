package lab

import (
	"testing"
	"time"
)

func TestProgressLearnsThePaceOfTheMachine(t *testing.T) {
	begin := time.Unix(0, 0)
	at := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	p := &progress{begin: begin, started: begin, costs: []float64{100, 50, 10}}
	check := func(now time.Time, want time.Duration) {
		t.Helper()
		if got := p.left(now); got != want {
			t.Errorf("after %v: %v left, want %v", now.Sub(begin), got, want)
		}
	}
	check(at(0), 160*time.Second)
	check(at(60), 100*time.Second)
	check(at(500), 70*time.Second) // the first job is late: a tenth of it is still to come, at least
	p.done(at(200))                // this machine needs twice the time
	check(at(200), 120*time.Second)
	check(at(230), 90*time.Second)
	p.done(at(200)) // and the second was in the compiler's cache: 150 for 200
	check(at(200), 13333333333)
	p.done(at(210))
	check(at(210), 0)
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0:00", 59600 * time.Millisecond: "1:00", 754 * time.Second: "12:34"} {
		if got := clock(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
