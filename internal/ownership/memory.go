package ownership

import (
	"maps"
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Memory is what a decision leaves for the next one on the same node. It is a value: a decision does not change the one it is
// given. The zero Memory is that of a speaker that owns nothing.
type Memory struct {
	holdings map[netip.Addr]holding
	trails   map[netip.Addr]trail
	// yielded are addresses that we gave up because a speaker that gossip does not reach answers for them, with its hardware
	// address.
	yielded map[netip.Addr]lb.MAC
	// orphaned is since when an address has been seen without an owner.
	orphaned map[netip.Addr]time.Time
	// heard is how many speakers were heard at the last decision, and heardSince since when it has been at least so many.
	heard      uint8
	heardSince time.Time
	rebalanced time.Time // when we last gave an address away for having too many
}

// holding is an address that we claim.
type holding struct {
	lb.Claim
	at         time.Time // when we claimed it
	over       time.Time // Since of the claim that we took it over from
	asked      time.Time // when HandTo was asked; zero when nobody is
	refused    []string  // those that were asked and did not take it
	better     time.Time // since when another would be a better standby
	wish       string    // the node that a preference speaks for
	wishSince  time.Time
	announced  time.Time   // when we last announced it to settle a quarrel
	answered   []time.Time // Since of the claims of those who took it from us and were told that we have it still
	defended   time.Time   // the same against a stranger
	rival      time.Time   // since when a speaker that ranks before us, and that gossip does not hear, answers for it
	clung      time.Time   // when we kept it last only because nobody was better off; see reprieve
	unproxied  time.Time   // since when nothing speaks against us but kube-proxy; see bides
	interfaces []string    // on which we answered last
}

// trail is an address that went to another node by a planned move.
type trail struct {
	to         string
	until      time.Time
	interfaces []string
}

// Resume returns the Memory of a speaker that comes back and owned these addresses before. What somebody else has claimed
// meanwhile is his: such a claim has no evidence.
func Resume(claims []lb.Claim) Memory {
	m := Memory{holdings: map[netip.Addr]holding{}}
	for _, c := range claims {
		c.Evidence, c.HandTo, c.HandCause, c.From = 0, "", 0, ""
		m.holdings[c.Addr] = holding{Claim: c}
	}
	return m
}

// Owns says how many addresses the node claims.
func (m Memory) Owns() int { return len(m.holdings) }

// Heeds says whether it matters who else answers for an address: it is ours, or has no owner that we know of.
func (m Memory) Heeds(addr netip.Addr) bool {
	_, ours := m.holdings[addr]
	_, orphaned := m.orphaned[addr]
	return ours || orphaned
}

// next returns a copy to work on, without what is over.
func (m Memory) next(now time.Time) Memory {
	m.holdings, m.trails, m.orphaned = maps.Clone(m.holdings), maps.Clone(m.trails), maps.Clone(m.orphaned)
	m.yielded = maps.Clone(m.yielded)
	if m.yielded == nil {
		m.yielded = map[netip.Addr]lb.MAC{}
	}
	if m.holdings == nil {
		m.holdings = map[netip.Addr]holding{}
	}
	if m.orphaned == nil {
		m.orphaned = map[netip.Addr]time.Time{}
	}
	if m.trails == nil {
		m.trails = map[netip.Addr]trail{}
	}
	maps.DeleteFunc(m.trails, func(_ netip.Addr, t trail) bool { return !now.Before(t.until) })
	return m
}

// forget drops all that concerns addresses that no Service has any more.
func (m *Memory) forget(gone func(netip.Addr) bool) {
	maps.DeleteFunc(m.holdings, func(a netip.Addr, _ holding) bool { return gone(a) })
	maps.DeleteFunc(m.trails, func(a netip.Addr, _ trail) bool { return gone(a) })
	maps.DeleteFunc(m.orphaned, func(a netip.Addr, _ time.Time) bool { return gone(a) })
	maps.DeleteFunc(m.yielded, func(a netip.Addr, _ lb.MAC) bool { return gone(a) })
}

// listen counts the speakers that are heard, and returns the evidence of our claims as a function of what it was: fewer count at
// once, more only when they have been heard for a while. An owner that was cut off for a moment shall not look as good after it
// as one that was not. One that was stopped has heard nobody.
func (m *Memory) listen(now time.Time, heard uint8, stalled bool) func(before uint8) uint8 {
	if stalled {
		heard = 0
	}
	if heard != m.heard || m.heardSince.IsZero() {
		m.heard, m.heardSince = heard, now
	}
	settled := now.Sub(m.heardSince) >= steady
	return func(before uint8) uint8 {
		if heard < before || settled {
			return heard
		}
		return before
	}
}
