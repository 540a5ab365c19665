package wire

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// answerTime is how long after a probe a reply for the same address counts as its answer.
const answerTime = time.Second

// questions are the probes sent lately. A value is never changed: the frame path reads it while the next one is being built.
type questions map[neighbor.Target]question

type question struct {
	kind neighbor.ProbeKind
	at   time.Time
}

// kind says what was asked about the address on the interface within answerTime.
func (q *questions) kind(t neighbor.Target, now time.Time) (neighbor.ProbeKind, bool) {
	if q == nil {
		return 0, false
	}
	asked, ok := (*q)[t]
	return asked.kind, ok && now.Sub(asked.at) <= answerTime
}

// outgoing is a probe on its way.
type outgoing struct {
	neighbor.Probe
	frame []byte
	via   *family
}

// Probe sends questions to the LAN, also while the Wire is mute. What comes back is among the Sightings. A question that cannot
// be asked is counted and left out: its interface is no more or has no address to ask from, or nobody is named.
func (w *Wire) Probe(probes []neighbor.Probe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	asked := questions{}
	if last := w.asked.Load(); last != nil {
		maps.Copy(asked, *last)
		maps.DeleteFunc(asked, func(_ neighbor.Target, q question) bool { return now.Sub(q.at) > answerTime })
	}
	var out []outgoing
	for _, p := range probes {
		port := w.ports[p.Interface]
		if port == nil {
			continue
		}
		via := port.familyOf(p.Target)
		frame := neighbor.Ask(*port.link.Load(), p, neighbor.Source(w.ownLocked(port), p.Target))
		if frame == nil {
			via.unasked.Inc()
			continue
		}
		asked[neighbor.Target{Addr: p.Target, Interface: p.Interface}] = question{p.Kind, now}
		out = append(out, outgoing{p, frame, via})
	}
	w.asked.Store(&asked) // before the first answer can come
	for _, o := range out {
		o.via.send(o.frame, o.via.probed[o.Kind])
	}
}

// ownLocked returns the host's own addresses on a port: what a user has put there and we answer for is a service address.
func (w *Wire) ownLocked(p *port) []netip.Prefix {
	table := w.table.Load()
	service := func(own netip.Prefix) bool { return table.Has(p.facts.Name, own.Addr()) }
	if !slices.ContainsFunc(p.facts.Addrs, service) {
		return p.facts.Addrs
	}
	return slices.DeleteFunc(slices.Clone(p.facts.Addrs), service)
}
