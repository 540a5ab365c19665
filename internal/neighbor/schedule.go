package neighbor

import (
	"container/heap"
	"math/bits"
	"slices"
	"time"
)

// When announcements are sent. A new owner says it six times, since any one broadcast may be lost: 0, 100 ms, 1.1, 2.2, 3.3
// and 4.4 s after the first; and once a minute, so that switches that forget a quiet MAC (300 s by default) never do.
const (
	Refresh = 60 * time.Second
	// FramesPerSecond bounds all frames of a Schedule in any second: announcements, and what has the owner before unlearn them.
	FramesPerSecond = 2000
	// burst is how many frames may leave at once; the budget refills at FramesPerSecond − burst, so that a full budget
	// and a second's refill together keep the bound. A caller that comes late, because the machine is busy, loses nothing up to
	// the 50 ms that a burst lasts.
	burst = 100
	// batch is how many frames an empty budget waits for: 200 wake-ups a second instead of 2,000.
	batch = 10
	// perFrame is the time in which the budget grows by one frame.
	perFrame = time.Second / (FramesPerSecond - burst)
)

// gapAfter returns the time from announcement number round (0 for the first) to the next; ok is false after the last one.
func gapAfter(round int) (gap time.Duration, ok bool) {
	switch round {
	case 0:
		return 100 * time.Millisecond, true
	case 1:
		return time.Second, true
	case 2, 3, 4:
		return 1100 * time.Millisecond, true
	}
	return 0, false
}

// Due is one frame to be sent now.
type Due struct {
	Target
	Form Form
	To   MAC // the one station that gets it, of an Unlearning; zero otherwise: everybody
}

// Frame returns it for the link of its interface.
func (d Due) Frame(link Link) []byte {
	if d.Form == Unlearning {
		return Unlearn(link, d.Addr, d.To)
	}
	return Announce(link, d.Addr, d.Form)
}

// Schedule says which announcement is due when. It is a state machine without a clock: the caller passes the time, which
// must never go backwards (monotonic readings do not). It is not safe for concurrent use. The same calls with the same times
// give the same frames.
//
// When more is due than the bound allows, frames leave in this order:
//
//	the first of each target   what clients need is to hear of every address once
//	what unlearns these        the sooner behind the announcement the better
//	the rest, by its time      an announcement and what unlearns it in one go; see frames
//
// Nothing here costs more than the logarithm of the number of targets per frame.
type Schedule struct {
	entries map[Target]*entry
	queue   queue
	seq     uint64    // of the entry armed last
	epoch   time.Time // of the refreshes: the time of the first call
	budget  time.Time // the budget is full when this is not in the future, and empty when it is burst × perFrame ahead
}

// entry is the next frame of one target.
type entry struct {
	target Target
	before MAC  // told to unlearn each announcement; zero: nobody
	owed   bool // it was not yet told to unlearn the first frame
	form   Form
	round  int       // 0 for the first announcement; grows no further once the repeats are over
	due    time.Time // not before this
	seq    uint64
	index  int // in the queue
}

// first says that nothing has been sent since the target was armed.
func (e *entry) first() bool { return e.round == 0 && e.form == firstForm(e.target.Addr) }

// Set replaces the targets: new ones are announced from now, missing ones never again, the others go on as they were. The value
// is the MAC of the owner before, which is told to unlearn each announcement (see Unlearn); the zero MAC stands for none.
func (s *Schedule) Set(now time.Time, targets map[Target]MAC) {
	s.begin(now)
	for t, e := range s.entries {
		before, wanted := targets[t]
		switch {
		case !wanted:
			heap.Remove(&s.queue, e.index)
			delete(s.entries, t)
		case before != e.before:
			e.before, e.owed = before, e.owed && before.IsUnicast()
			heap.Fix(&s.queue, e.index)
		}
	}
	var fresh []Target
	for t := range targets {
		if s.entries[t] == nil && usable(t.Addr) {
			fresh = append(fresh, t)
		}
	}
	slices.SortFunc(fresh, Target.Compare)
	for _, t := range fresh {
		e := &entry{target: t, before: targets[t]}
		s.arm(e, now)
		s.entries[t] = e
		heap.Push(&s.queue, e)
	}
}

// Rearm announces all targets of the interface from the beginning: its link came up, or its MAC changed.
func (s *Schedule) Rearm(now time.Time, name string) {
	s.begin(now)
	var again []*entry
	for t, e := range s.entries {
		if t.Interface == name {
			again = append(again, e)
		}
	}
	slices.SortFunc(again, func(a, b *entry) int { return a.target.Compare(b.target) })
	for _, e := range again {
		s.arm(e, now)
		heap.Fix(&s.queue, e.index)
	}
}

// Once announces those targets that again accepts once more, now: after a conflict, or a time in which nothing was sent. It does not
// begin the repeats anew, and does not stop them.
func (s *Schedule) Once(now time.Time, again func(Target) bool) {
	s.begin(now)
	for t, e := range s.entries {
		if e.due.After(now) && again(t) {
			e.form, e.due = firstForm(t.Addr), now
			heap.Fix(&s.queue, e.index)
		}
	}
}

// Next returns the frames to be sent now, in order, and when to call again; the zero time says that nothing is left to send
// until Set or Rearm is called.
func (s *Schedule) Next(now time.Time) (due []Due, wake time.Time) {
	s.begin(now)
	for len(s.queue) > 0 {
		e := s.queue[0]
		if !e.owed && e.due.After(now) {
			return due, e.due
		}
		together := e.frames()
		if s.budget.Sub(now) > time.Duration(burst-len(together))*perFrame {
			return due, now.Add(batch * perFrame)
		}
		s.budget = later(s.budget, now).Add(time.Duration(len(together)) * perFrame)
		due = append(due, together...)
		s.advance(e, now)
		heap.Fix(&s.queue, 0)
	}
	return due, time.Time{}
}

func (s *Schedule) begin(now time.Time) {
	if s.entries == nil {
		s.entries, s.epoch = map[Target]*entry{}, now
	}
}

func (s *Schedule) arm(e *entry, now time.Time) {
	s.seq++
	e.owed, e.form, e.round, e.due, e.seq = false, firstForm(e.target.Addr), 0, now, s.seq
}

// frames returns those of e that leave together, four at most:
//
//	a first frame               it alone
//	what unlearns it            it alone
//	the rest of an announcement what is left of its forms, then what unlearns them
//	a whole announcement        the same, with one more to unlearn in front: a kernel that is asking keeps packets until it
//	                            learns anything, and would send all of them to us
//
// Without an owner before there is nothing to unlearn.
func (e *entry) frames() []Due {
	unlearn := Due{e.target, Unlearning, e.before}
	if e.owed {
		return []Due{unlearn}
	}
	if e.first() {
		return []Due{{Target: e.target, Form: e.form}}
	}
	var all []Due
	for form := e.form; form <= lastForm(e.target.Addr); form++ {
		all = append(all, Due{Target: e.target, Form: form})
	}
	if e.before.IsUnicast() {
		if e.form == firstForm(e.target.Addr) {
			all = append([]Due{unlearn}, all...)
		}
		all = append(all, unlearn)
	}
	return all
}

// advance moves e on after its frames were sent at now.
func (s *Schedule) advance(e *entry, now time.Time) {
	if e.owed {
		e.owed = false
		return
	}
	e.owed = e.first() && e.before.IsUnicast()
	if e.first() && e.form != lastForm(e.target.Addr) {
		e.form++
		return
	}
	e.form = firstForm(e.target.Addr)
	if gap, ok := gapAfter(e.round); ok {
		e.round++
		e.due = now.Add(gap)
		return
	}
	e.due = s.refreshAfter(e, now)
}

// refreshAfter returns the time after now at which e is refreshed: once in each period, at a phase of its own. The phases of
// entries armed one after the other are multiples of the golden section, which spreads any number of them evenly.
func (s *Schedule) refreshAfter(e *entry, now time.Time) time.Time {
	const golden = 0x9e3779b97f4a7c15                        // 2^64 / φ, so that the product wraps around at a whole period
	fraction, _ := bits.Mul64(e.seq*golden, uint64(Refresh)) // (seq × golden mod 2^64) ÷ 2^64 × Refresh
	phase := time.Duration(fraction)
	elapsed := now.Sub(s.epoch)
	next := elapsed.Truncate(Refresh) + phase
	if next <= elapsed {
		next += Refresh
	}
	return s.epoch.Add(next)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// queue is a heap of entries: those that never sent a frame first, then what unlearns these, then by time, then by the order of arming.
type queue []*entry

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if a.first() != b.first() {
		return a.first()
	}
	if a.owed != b.owed {
		return a.owed
	}
	if c := a.due.Compare(b.due); c != 0 {
		return c < 0
	}
	return a.seq < b.seq
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}
