package live

import "time"

// skewTold is the least difference between clocks that is told.
const skewTold = 2 * time.Second

// Skew is how far the speaker's clock is ahead of the one of who asked it; negative when it is behind. It was asked after asked and had
// answered before answered, so within that time, and 2 s beside it, nothing can be said, which is 0.
func (v View) Skew(asked, answered time.Time) time.Duration {
	switch {
	case v.Time.Before(asked.Add(-skewTold)):
		return v.Time.Sub(asked)
	case v.Time.After(answered.Add(skewTold)):
		return v.Time.Sub(answered)
	}
	return 0
}
