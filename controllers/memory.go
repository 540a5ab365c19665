package controllers

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	// quarantine is how long a freed address is handed out after all others: longer than the time for which most names are
	// cached (the TTL of a DNS record of external-dns is 5 minutes).
	quarantine = 10 * time.Minute
	// maxRecent bounds the addresses in quarantine, and so what a plan spends on them; of more, the oldest leave it.
	maxRecent = 4096
)

// memory sees what a single look at the world cannot show: which addresses were freed lately, and whose Services were
// deleted. It compares each snapshot with the plan before it. Nothing of it is needed for a plan to be right: a new leader
// starts with an empty one, and with the retentions that the status of the pools has.
type memory struct {
	holders map[string]holder // by UID, what Services had after the last plan
	held    map[netip.Addr]bool
	recent  []freed // the oldest first
	// retained are retentions that the pools' status in the cache may not show yet.
	retained []lb.Retention
}

type holder struct {
	name  lb.Name
	addrs []netip.Addr
	pools string // as in allocate.Assignment
}

type freed struct {
	addr netip.Addr
	at   time.Time
}

// recall completes the world with what is remembered. It is called after the writes in flight were overlaid.
func (m *memory) recall(s *snapshot, now time.Time) {
	held := make(map[netip.Addr]bool, len(m.held))
	present := make(map[string]bool, len(m.holders))
	for _, svc := range s.world.Services {
		present[svc.UID] = true
		for _, a := range svc.Held {
			held[a] = true
		}
	}
	m.forget(held, now)
	for _, a := range gone(m.held, held) {
		m.recent = append(m.recent, freed{a, now})
	}
	m.recent = m.recent[max(0, len(m.recent)-maxRecent):]
	for _, f := range m.recent {
		s.world.Recent = append(s.world.Recent, f.addr)
	}
	m.held = held
	for uid, h := range m.holders {
		if !present[uid] {
			m.retain(s, h, now)
		}
	}
	s.world.Retained = slices.DeleteFunc(slices.Clone(m.retained), func(r lb.Retention) bool { return !r.Until.After(now) })
	for _, p := range s.pools {
		s.world.Retained = append(s.world.Retained, kube.Retained(p, now)...)
		s.world.Conflicts = append(s.world.Conflicts, cluster.Conflicts(p, now)...)
	}
}

// forget ends the quarantine of addresses that are held again, or that have been in it long enough.
func (m *memory) forget(held map[netip.Addr]bool, now time.Time) {
	m.recent = slices.DeleteFunc(m.recent, func(f freed) bool { return held[f.addr] || now.Sub(f.at) >= quarantine })
}

// gone returns, sorted, the addresses of before that are not in after.
func gone(before, after map[netip.Addr]bool) []netip.Addr {
	var out []netip.Addr
	for a := range before {
		if !after[a] {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// retain keeps the addresses of a deleted Service for as long as their pools say. Times are whole seconds, as the API has
// them.
func (m *memory) retain(s *snapshot, h holder, now time.Time) {
	pools := strings.Split(h.pools, ",")
	for i, a := range h.addrs {
		p := s.pools[pools[min(i, len(pools)-1)]]
		if p == nil || p.Spec.RetainFor == nil || p.Spec.RetainFor.Duration <= 0 {
			continue
		}
		until := now.Add(p.Spec.RetainFor.Duration).Truncate(time.Second).Add(time.Second)
		m.retained = append(m.retained, lb.Retention{Address: a, For: h.name, Until: until})
	}
}

// remember notes what the plan says, for the next comparison.
func (m *memory) remember(r allocate.Result) {
	m.holders = make(map[string]holder, len(r.Services))
	for _, a := range r.Services {
		if len(a.Addresses) > 0 {
			m.holders[a.UID] = holder{a.Service, a.Addresses, a.Pool}
		}
		for _, addr := range a.Assigned {
			m.held[addr] = true
		}
	}
	m.retained = nil
	for _, u := range r.Pools {
		m.retained = append(m.retained, u.Retained...)
	}
}

// wake returns how long after now the first retention or conflict ends, 0 when there is none.
func wake(w allocate.World, now time.Time) time.Duration {
	var first time.Time
	earlier := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	for _, r := range w.Retained {
		earlier(r.Until)
	}
	for _, c := range w.Conflicts {
		earlier(c.Until)
	}
	if first.IsZero() {
		return 0
	}
	return max(first.Sub(now), time.Millisecond)
}
