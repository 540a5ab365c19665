package core

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// Before an address is announced for the first time, the LAN is asked whether somebody uses it: three probes in 200 ms, as
// RFC 5227 §2.1 has it but quicker.
const (
	checkProbes = 3
	checkGap    = 60 * time.Millisecond
	checkTime   = 200 * time.Millisecond
	// checksAtOnce bounds how many addresses are asked about at a time, so that no more than about 2,000 probes leave a second.
	checksAtOnce = 128
)

// checks are the addresses that we ask about. The zero value is ready.
type checks struct {
	waiting []ownership.Check // not begun, in order
	open    map[netip.Addr]*check
	done    map[netip.Addr]ownership.Probed
}

type check struct {
	ownership.Check
	sent  int
	begun time.Time
	by    lb.MAC // who answered
}

// want replaces what is to be asked about. What is no longer wanted is forgotten, its result too.
func (c *checks) want(list []ownership.Check) {
	wanted := make(map[netip.Addr]bool, len(list))
	c.waiting = c.waiting[:0:0]
	for _, w := range list {
		wanted[w.Addr] = true
		if _, over := c.done[w.Addr]; !over && c.open[w.Addr] == nil {
			c.waiting = append(c.waiting, w)
		}
	}
	for addr := range c.open {
		if !wanted[addr] {
			delete(c.open, addr)
		}
	}
	for addr := range c.done {
		if !wanted[addr] {
			delete(c.done, addr)
		}
	}
}

// due returns the probes to send now, and when the next are due or a check ends; the zero time says that none is open.
func (c *checks) due(now time.Time) (probes []neighbor.Probe, next time.Time) {
	if c.open == nil {
		c.open, c.done = map[netip.Addr]*check{}, map[netip.Addr]ownership.Probed{}
	}
	for len(c.waiting) > 0 && len(c.open) < checksAtOnce {
		c.open[c.waiting[0].Addr] = &check{Check: c.waiting[0], begun: now}
		c.waiting = c.waiting[1:]
	}
	for _, k := range c.sorted() {
		at := k.begun.Add(time.Duration(k.sent) * checkGap)
		if k.sent < checkProbes && !at.After(now) {
			for _, name := range k.Interfaces {
				probes = append(probes, neighbor.Probe{Kind: neighbor.FirstProbe, Interface: name, Target: k.Addr})
			}
			k.sent++
			at = k.begun.Add(time.Duration(k.sent) * checkGap)
		}
		if k.sent == checkProbes {
			at = k.begun.Add(checkTime)
		}
		next = sooner(at, next)
	}
	for _, p := range c.done {
		if !p.Clear {
			next = sooner(p.At.Add(ownership.CheckAgain), next)
		}
	}
	return probes, next
}

func (c *checks) sorted() []*check {
	out := make([]*check, 0, len(c.open))
	for _, k := range c.open {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b *check) int { return cmp.Or(a.begun.Compare(b.begun), a.Addr.Compare(b.Addr)) })
	return out
}

// heard takes down that somebody answered for an address or announced it.
func (c *checks) heard(s neighbor.Sighting) {
	if k := c.open[s.Addr]; k != nil && (s.Kind == neighbor.SawReply || s.Kind == neighbor.SawAnnouncement) {
		k.by = s.MAC
	}
}

// finished ends the checks whose time is over and forgets answers that no longer count. It says whether there is a new result.
func (c *checks) finished(now time.Time) bool {
	any := false
	for addr, k := range c.open {
		if k.by == (lb.MAC{}) && (k.sent < checkProbes || now.Sub(k.begun) < checkTime) {
			continue
		}
		c.done[addr] = ownership.Probed{Clear: k.by == lb.MAC{}, By: k.by, At: now}
		delete(c.open, addr)
		any = true
	}
	for addr, p := range c.done {
		if !p.Clear && now.Sub(p.At) >= ownership.CheckAgain {
			delete(c.done, addr) // the next decision asks again
			any = true
		}
	}
	return any
}

// results returns what was found out, by address, with the nodes that have the hardware addresses. The map is not changed afterwards.
func (c *checks) results(nodes map[lb.MAC]string) map[netip.Addr]ownership.Probed {
	out := make(map[netip.Addr]ownership.Probed, len(c.done))
	for addr, p := range c.done {
		p.Node = nodes[p.By]
		out[addr] = p
	}
	return out
}
