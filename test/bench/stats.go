package main

import (
	"slices"
	"time"
)

// samples are durations, in the order in which they were measured.
type samples []time.Duration

// quantile returns the smallest sample that at least the share q of all samples do not exceed (the nearest-rank rule); 0
// without samples.
func (s samples) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}
