package statuspage

import "math"

// states are all of them in their order.
func states() []State {
	return []State{Conflicting, Assigned, Retained, Reserved, Avoided, Quarantined, Free}
}

// at is where the addresses of a state are counted.
func (c *Counts) at(s State) *int64 {
	switch s {
	case Conflicting:
		return &c.Conflict
	case Assigned:
		return &c.Assigned
	case Retained:
		return &c.Retained
	case Reserved:
		return &c.Reserved
	case Avoided:
		return &c.Avoided
	case Quarantined:
		return &c.Quarantined
	}
	return &c.Free
}

func (c Counts) plus(o Counts) Counts {
	for _, s := range states() {
		*c.at(s) = plus(*c.at(s), *o.at(s))
	}
	return c
}

// state is that of a block with these counts; see Cell.State.
func (c Counts) state() State {
	for _, s := range states() {
		switch {
		case *c.at(s) == 0:
		case c.Free > 0 && (s == Reserved || s == Avoided || s == Quarantined):
		default:
			return s
		}
	}
	return Free
}

// total is the number of addresses.
func (c Counts) total() int64 {
	var n int64
	for _, s := range states() {
		n = plus(n, *c.at(s))
	}
	return n
}

// plus saturates at math.MaxInt64, which stands for "that many or more"; neither number is negative.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// minus leaves a saturated number as it is: it may be much larger.
func minus(a, b int64) int64 {
	if a == math.MaxInt64 {
		return a
	}
	return max(0, a-b)
}
