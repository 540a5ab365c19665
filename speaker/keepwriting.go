package speaker

import (
	"context"
	"time"
)

const (
	// writeTimeout bounds one write.
	writeTimeout = 5 * time.Second
	// writePause is the least time between two rounds of writing; what comes meanwhile is one round.
	writePause = 200 * time.Millisecond
	// writeRetryMin and writeRetryMax bound the doubling wait after a write that failed.
	writeRetryMin = 500 * time.Millisecond
	writeRetryMax = 10 * time.Second
)

// keepWriting calls write whenever wake has a token, until ctx ends. write returns after what time it wants to be called
// without one, 0 for never. When it fails, failed is told, and it is called again after doubling waits; tokens wait as long.
func keepWriting(ctx context.Context, wake <-chan struct{}, write func(context.Context) (time.Duration, error), failed func(error, time.Duration)) {
	retry := writeRetryMin
	pause := time.Duration(0)
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-again:
		}
		wait, err := write(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failed(err, retry)
			pause, wait = retry, retry
			retry = min(2*retry, writeRetryMax)
		default:
			pause, retry = writePause, writeRetryMin
		}
		again = nil
		if wait > 0 {
			again = time.After(wait)
		}
	}
}
