package witness

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Record is what a Witness saw, in the order of time.
type Record []Sighting

// Of returns the sightings that name addr.
func (r Record) Of(addr netip.Addr) Record {
	return r.where(func(s Sighting) bool { return s.Addr == addr })
}

// Between returns the sightings with from ≤ time < to; a zero to means no end.
func (r Record) Between(from, to time.Time) Record {
	return r.where(func(s Sighting) bool { return !s.Time.Before(from) && (to.IsZero() || s.Time.Before(to)) })
}

// Announcements returns the sightings that were unasked.
func (r Record) Announcements() Record {
	return r.where(func(s Sighting) bool { return s.Kind.Announcement() })
}

func (r Record) where(keep func(Sighting) bool) Record {
	var out Record
	for _, s := range r {
		if keep(s) {
			out = append(out, s)
		}
	}
	return out
}

// MACs returns who said to have addr in [from, to), sorted: every Ethernet source and every hardware address in a payload.
func (r Record) MACs(addr netip.Addr, from, to time.Time) []MAC {
	var all []MAC
	for _, s := range r.Of(addr).Between(from, to) {
		all = append(all, s.claimants()...)
	}
	return sortedMACs(all)
}

// claimants are the hardware addresses that a frame ties to its address.
func (s Sighting) claimants() []MAC {
	if s.Payload == (MAC{}) || s.Payload == s.Src {
		return []MAC{s.Src}
	}
	return []MAC{s.Src, s.Payload}
}

func sortedMACs(all []MAC) []MAC {
	slices.SortFunc(all, func(a, b MAC) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all)
}

// Mismatches returns the sightings whose Ethernet source is not the hardware address in the payload.
func (r Record) Mismatches() Record {
	return r.where(func(s Sighting) bool { return len(s.claimants()) > 1 })
}

// FirstAnnouncementBy returns the first announcement of addr by mac at or after a time; both the Ethernet source and the
// payload must be mac.
func (r Record) FirstAnnouncementBy(addr netip.Addr, mac MAC, after time.Time) (Sighting, bool) {
	return r.firstAnnouncement(addr, after, func(s Sighting) bool { return s.Src == mac })
}

// FirstAnnouncementByOther returns the first announcement of addr by anybody but mac at or after a time.
func (r Record) FirstAnnouncementByOther(addr netip.Addr, mac MAC, after time.Time) (Sighting, bool) {
	return r.firstAnnouncement(addr, after, func(s Sighting) bool { return s.Src != mac })
}

func (r Record) firstAnnouncement(addr netip.Addr, after time.Time, by func(Sighting) bool) (Sighting, bool) {
	for _, s := range r.Of(addr).Announcements().Between(after, time.Time{}) {
		if by(s) && len(s.claimants()) == 1 {
			return s, true
		}
	}
	return Sighting{}, false
}

// String prints a line for each sighting, for the message of a test that fails.
func (r Record) String() string {
	if len(r) == 0 {
		return "nothing was heard"
	}
	var b strings.Builder
	for _, s := range r {
		fmt.Fprintf(&b, "%s %-30s %s at %s (Ethernet %s > %s)\n", s.Time.Format("15:04:05.000000"), s.Kind, s.Addr, s.Payload, s.Src, s.Dst)
	}
	return b.String()
}
