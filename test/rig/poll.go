package rig

import (
	"context"
	"fmt"
	"time"
)

// pollEvery is the pause between two looks: short against everything waited for, long against the cost of a look.
const pollEvery = 100 * time.Millisecond

// Poll calls f until it returns nil or ctx ends; the error is then f's last one, which says what was still missing.
func Poll(ctx context.Context, f func() error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // an error that is only the end of ctx would hide what was missing
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
