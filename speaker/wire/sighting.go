package wire

import (
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

const (
	// sightingsAhead is how many sightings wait for the reader before they are dropped.
	sightingsAhead = 4096
	// tellEvery bounds the sightings that say no more than that somebody is there: one from each source in that time, and of
	// tellMACs sources. Whoever talks more says nothing new by it.
	tellEvery = 200 * time.Millisecond
	tellMACs  = 256
)

// Sightings delivers what other stations say:
//
//	replies                                                     all
//	announcements of addresses that we answer for or asked for  all
//	anything else                                               one from each Ethernet source in 200 ms
//
// Nobody waits for the reader: what is not read in time is dropped and counted.
func (w *Wire) Sightings() <-chan neighbor.Sighting { return w.sightings }

// tell passes on what a frame said, if it says something new.
func (w *Wire) tell(f *family, s neighbor.Sighting, received, now time.Time) {
	about := neighbor.Target{Addr: s.Addr, Interface: s.Interface}
	matters := s.Kind == neighbor.SawReply
	if matters || s.Kind == neighbor.SawAnnouncement {
		kind, asked := w.asked.Load().kind(about, now)
		if asked {
			f.heard[kind].Inc()
		}
		matters = matters || asked || w.table.Load().Has(about.Interface, about.Addr)
	}
	if !matters && !f.limit.allow(s.Source, now) {
		return
	}
	s.At = now
	if !received.IsZero() {
		s.At = now.Add(-max(0, now.Sub(received))) // which keeps the monotonic reading
	}
	select {
	case w.sightings <- s:
	default:
		f.untold.Inc()
	}
}

// limit is a bound on what each MAC is heard to say. It belongs to one reader. The zero value is ready.
type limit struct {
	since time.Time // of the MACs in said
	said  map[neighbor.MAC]bool
}

// allow says whether mac may be heard, and that it was.
func (l *limit) allow(mac neighbor.MAC, now time.Time) bool {
	if l.said == nil {
		l.said = make(map[neighbor.MAC]bool, tellMACs)
	}
	if now.Sub(l.since) >= tellEvery {
		l.since = now
		clear(l.said)
	}
	if l.said[mac] || len(l.said) >= tellMACs {
		return false
	}
	l.said[mac] = true
	return true
}
