package lab

import (
	"fmt"
	"time"
)

// progress estimates how long a list of builds will take still: the costs are known for one machine, and what has been built
// says how much faster or slower this one is, or how much of it the compiler's own cache had.
type progress struct {
	begin   time.Time
	started time.Time // of the current job
	costs   []float64 // of the jobs that are left, the current one first, in seconds
	spent   float64   // cost of those that are done
	took    float64   // seconds that they took
}

func newProgress(jobs []job) *progress {
	now := time.Now()
	p := &progress{begin: now, started: now}
	for _, j := range jobs {
		p.costs = append(p.costs, j.seconds)
	}
	return p
}

// done moves on to the next job.
func (p *progress) done(now time.Time) {
	p.spent += p.costs[0]
	p.took += now.Sub(p.started).Seconds()
	p.costs, p.started = p.costs[1:], now
}

// left estimates the rest, the current job included. A job that takes longer than it should counts for at least a tenth of
// its cost still.
func (p *progress) left(now time.Time) time.Duration {
	pace := 1.0
	if p.spent > 0 {
		pace = p.took / p.spent
	}
	var rest float64
	for i, cost := range p.costs {
		need := cost * pace
		if i == 0 {
			need = max(need-now.Sub(p.started).Seconds(), need/10)
		}
		rest += need
	}
	return time.Duration(rest * float64(time.Second))
}

// text is what follows a line of the log.
func (p *progress) text(now time.Time) string {
	return fmt.Sprintf("  (%s so far, about %s left)", clock(now.Sub(p.begin)), clock(p.left(now)))
}

// clock prints minutes and seconds.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
