package statuspage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// headline says in a sentence or two how things are.
func headline(s Summary) string {
	var out string
	all := " of " + plural(s.Services, "Service")
	switch {
	case s.Services == 0 && s.Pools == 0:
		return "Nothing to do yet."
	case s.Services == 0:
		return "No Services yet."
	case s.Waiting == 1:
		out = "1" + all + " waits for an address."
	case s.Waiting > 1:
		out = num(int64(s.Waiting)) + all + " wait for an address."
	case s.Unowned == 1:
		out = "1" + all + " has no node."
	case s.Unowned > 1:
		out = num(int64(s.Unowned)) + all + " have no node."
	case s.Services == 1:
		out = "The Service has an address, and a node answers for it."
	default:
		out = "All " + num(int64(s.Services)) + " Services have an address, and a node answers for it."
	}
	if s.Conflicts > 0 {
		out += " " + plural(s.Conflicts, "address", "addresses") + " in conflict."
	}
	return out
}

// num writes a number with a comma between thousands. math.MaxInt64 stands for that many or more.
func num(n int64) string {
	if n == math.MaxInt64 {
		return "over 9 quintillion"
	}
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural is a number and a noun; the plural is given, or has an s.
func plural(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return num(int64(n)) + " " + many[0]
	}
	return num(int64(n)) + " " + one + "s"
}

// dash is the text, or a dash for none.
func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// stateWord is the state as the table spells it.
func stateWord(s ServiceStatus) string {
	if s == Unowned {
		return "no node"
	}
	return string(s)
}

// Ago says how long before the Status something was: "12 s", "3 min", "5 h", "2 d"; "" when that is not known.
func (s Status) Ago(t time.Time) string {
	d := max(0, s.At.Sub(t))
	switch {
	case t.IsZero():
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return num(int64(d/(24*time.Hour))) + " d"
}

// because says why a node took addresses; causes are those of lb.Cause.
func because(m Move) string {
	from := m.From
	if from == "" {
		from = "the node before"
	}
	switch m.Cause {
	case "free":
		return "nobody had " + them(m)
	case "death":
		return from + " died"
	case "hold-expired":
		return "the speaker of " + from + " did not come back in time"
	case "ineligible":
		return from + " may not have " + them(m) + " any more"
	case "preferred":
		return m.Node + " is preferred"
	case "requested":
		return "the Service asks for " + m.Node
	case "rebalance":
		return from + " had more than its share"
	case "shutdown":
		return from + " went out of service"
	}
	return m.Cause
}

func them(m Move) string {
	if len(m.Addresses) == 1 {
		return "it"
	}
	return "them"
}

// Text says what an address or a block is used for; it is what pointing at a square shows.
func (c Cell) Text() string {
	if c.First != c.Last {
		return c.First + " to " + c.Last + ": " + c.Counts.Text()
	}
	out := c.First + ": " + c.State.Word()
	if len(c.For) > 0 {
		link := map[State]string{Assigned: " to ", Retained: " for "}[c.State]
		if link == "" {
			link = ", " + string(Assigned) + " to "
		}
		out += link + strings.Join(c.For[:min(len(c.For), 3)], ", ")
		if len(c.For) > 3 {
			out += fmt.Sprintf(" and %d more", len(c.For)-3)
		}
	}
	return out
}

// Class is the style of a square: its state, and of a block how full it is, in quarters.
func (c Cell) Class() string {
	if c.First == c.Last || c.State != Assigned {
		return string(c.State)
	}
	used := float64(c.Counts.Assigned) / float64(c.Counts.total())
	return fmt.Sprintf("%s q%d", c.State, min(4, 1+int(used*4)))
}

// Word is the state as the legend spells it.
func (s State) Word() string {
	switch s {
	case Conflicting:
		return "in conflict"
	case Avoided:
		return "left out"
	}
	return string(s)
}

// Text lists the states of which there are addresses: "3 assigned, 253 free".
func (c Counts) Text() string {
	var out []string
	for _, s := range states() {
		if n := *c.at(s); n > 0 {
			out = append(out, num(n)+" "+s.Word())
		}
	}
	return strings.Join(out, ", ")
}

// Text is what somebody who does not see the squares is told of a strip.
func (s Strip) Text() string {
	var all Counts
	for _, c := range s.Cells {
		all = all.plus(c.Counts)
	}
	return s.Range() + ": " + all.Text()
}

// Range is "first to last", or the one address.
func (s Strip) Range() string {
	if s.First == s.Last {
		return s.First
	}
	return s.First + " – " + s.Last
}

// Scale says what a square stands for; "" when it is one address.
func (s Strip) Scale() string {
	if s.Block == 0 {
		return ""
	}
	return fmt.Sprintf("a square is a /%d", s.Block)
}
