package witness

import (
	"slices"
	"time"
)

// apart is how long two nodes may be heard one at a time and the doubt still count as one, and how long a settled address may be
// silent.
const apart = 200 * time.Millisecond

// Verdict is what a client on the LAN says of one address over some time.
type Verdict struct {
	// Silence is the longest time in which no question to everybody was answered, from the first such question to the next
	// answer, or to the end. Its exactness is the patrol's pace. SilentAt is when it began.
	Silence  time.Duration
	SilentAt time.Time
	// Asked and Unanswered count questions to everybody; Unheard those rounds in which the owner answered everybody's question,
	// by itself, and not the one to it alone.
	Asked, Unanswered, Unheard int
	// Doubt is the longest time in which two were said to have the address, DoubtAt its beginning. A move within one round
	// is no doubt.
	Doubt   time.Duration
	DoubtAt time.Time
	// Owners is who had the address, one after the other; nobody appears twice in a row. Moves is one less.
	// Since is when each of them was first seen to have it.
	Owners []string
	Since  []time.Time
	// StoodIn counts the rounds in which somebody answered in the name of another.
	StoodIn int
	// Pace is the longest time between two rounds: a patrol that had no CPU proves little.
	Pace time.Duration
}

// Moves is how often the address moved.
func (v Verdict) Moves() int { return max(0, len(v.Owners)-1) }

// unheardShare is which share of an owner's rounds may lack the answer to the question asked of it alone: one in so many. A
// frame is lost now and then on a machine without a free CPU; an owner that does not answer unicast lacks all.
const unheardShare = 10

// Settled says that one and the same node answered, by itself, all and alone asked, and nobody else did. A question may be lost
// now and then, for no longer than apart.
func (v Verdict) Settled() bool {
	return v.Asked > 0 && v.Silence <= apart && v.Unheard*unheardShare <= v.Asked && v.Doubt == 0 && len(v.Owners) == 1 && v.StoodIn == 0
}

// Judge looks at the rounds that began in [from, to). name maps a hardware address to the host that has it: two addresses of
// one host are one owner, and the empty name is nobody that counts (a stranger that the test put there).
func Judge(looks []Look, name func(MAC) string, from, to time.Time) Verdict {
	var v Verdict
	var silent, doubtful, last, lastDoubt time.Time
	for _, l := range looks {
		if l.Time.Before(from) || !l.Time.Before(to) {
			continue
		}
		if !last.IsZero() {
			v.Pace = max(v.Pace, l.Time.Sub(last))
		}
		last = l.Time
		v.Asked++
		owners := l.owners(name)
		answered := l.Answered && len(owners) > 0
		if !answered {
			v.Unanswered++
			if silent.IsZero() {
				silent = l.Time
			}
		} else if !silent.IsZero() {
			v.silence(silent, l.Time.Add(l.Delay))
			silent = time.Time{}
		}
		if len(owners) > 1 {
			if doubtful.IsZero() || l.Time.Sub(lastDoubt) > apart {
				doubtful = l.Time
			}
			lastDoubt = l.Time
			v.doubt(doubtful, l.Time)
		}
		v.own(l, owners, name, answered)
	}
	if !silent.IsZero() {
		v.silence(silent, to)
	}
	return v
}

// own counts who owned the address in a round, and whether it spoke for itself.
func (v *Verdict) own(l Look, owners []string, name func(MAC) string, answered bool) {
	stoodIn := slices.ContainsFunc(l.Speakers, func(m MAC) bool { return name(m) != "" && !slices.Contains(owners, name(m)) })
	if stoodIn {
		v.StoodIn++
	}
	if len(owners) != 1 {
		return
	}
	if len(v.Owners) == 0 || v.Owners[len(v.Owners)-1] != owners[0] {
		v.Owners, v.Since = append(v.Owners, owners[0]), append(v.Since, l.Time)
	}
	if !stoodIn && answered && !slices.ContainsFunc(l.Alone, func(m MAC) bool { return name(m) == owners[0] }) {
		v.Unheard++
	}
}

// owners are the hosts that were said to have the address, sorted.
func (l Look) owners(name func(MAC) string) []string {
	var out []string
	for _, m := range l.Owners {
		if n := name(m); n != "" {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (v *Verdict) silence(from, to time.Time) {
	if d := to.Sub(from); d > v.Silence {
		v.Silence, v.SilentAt = d, from
	}
}

func (v *Verdict) doubt(from, to time.Time) {
	if d := to.Sub(from); d > v.Doubt {
		v.Doubt, v.DoubtAt = d, from
	}
}
