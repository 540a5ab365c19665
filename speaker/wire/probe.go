package wire

import (
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// Probe sends questions to the LAN. What comes back is among the Sightings.
func (w *Wire) Probe([]neighbor.Probe) {}

// Sightings delivers what other stations say. Nobody waits for the reader: what is not read in time is dropped and counted.
func (w *Wire) Sightings() <-chan neighbor.Sighting { return w.sightings }

// Stalled has a value in it when the process has been stopped for a while: for how long. The Wire is mute then.
func (w *Wire) Stalled() <-chan time.Duration { return w.stalled }

// Mute makes the Wire answer and announce nothing, or ends that. The table is kept.
func (w *Wire) Mute(bool) {}

// Announce announces addresses that are ours once, now (RFC 5227 §2.4).
func (w *Wire) Announce([]netip.Addr) {}

// UpSince returns for each interface that is up since when.
func (w *Wire) UpSince() map[string]time.Time { return nil }

// Answer replaces what this host answers, and how.
func (w *Wire) Answer(want map[neighbor.Target]neighbor.Entry) {}
