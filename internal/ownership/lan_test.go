package ownership

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// probed is what the LAN says to those addresses that were asked about for long enough.
func (c *cluster) probed(m *member) map[netip.Addr]Probed {
	out := map[netip.Addr]Probed{}
	for addr, at := range m.checks {
		if was, ok := m.probed[addr]; ok && c.now.Sub(was.At) < CheckAgain {
			out[addr] = was
			continue
		} else if ok {
			m.checks[addr] = c.now
			continue // forgotten: to be asked again
		}
		by, node := c.strangerAt(addr), ""
		for _, o := range c.nodes {
			if o != m && c.reaches(m, o) && c.reaches(o, m) && c.speaks(o, addr) {
				by, node = o.mac, o.name
			}
		}
		if c.now.Sub(at) >= checkTakes || by != (lb.MAC{}) {
			out[addr] = Probed{Clear: by == lb.MAC{}, By: by, Node: node, At: c.now}
		}
	}
	m.probed = out
	return out
}

// strangerAt is who answers for an address and is no speaker: its user, or a router with proxy ARP.
func (c *cluster) strangerAt(addr netip.Addr) lb.MAC {
	if c.proxy {
		return lb.MAC{8, 8, 8, 8, 8, 8}
	}
	return c.stranger[addr]
}

// foreign are others that a node hears answer for the addresses that it heeds.
func (c *cluster) foreign(m *member) []Foreign {
	var out []Foreign
	for _, s := range c.services {
		addr := s.Held[0]
		if !m.mem.Heeds(addr) {
			continue
		}
		if mac := c.strangerAt(addr); mac != (lb.MAC{}) {
			out = append(out, Foreign{Addr: addr, MAC: mac, At: c.now})
		}
		for _, o := range c.nodes {
			if o != m && c.reaches(o, m) && c.speaks(o, addr) {
				out = append(out, Foreign{Addr: addr, MAC: o.mac, Node: o.name, At: c.now})
			}
		}
	}
	return out
}

// heardByAll says whether what the speaker of a node says on the LAN can be heard.
func (m *member) heardByAll() bool {
	return m.up && m.running && !m.stopped && !m.woken && m.linkUp && m.cable && !m.mute
}

// speaks says whether a node answers everybody for the address with its own MAC.
func (c *cluster) speaks(m *member, addr netip.Addr) bool {
	return m.heardByAll() &&
		slices.ContainsFunc(m.answers, func(a Answer) bool { return a.Addr == addr && a.Kind == neighbor.Own })
}

// whoHas lists who answers an ARP request that everybody hears, with whose MAC.
func (c *cluster) whoHas(addr netip.Addr) []string {
	var out []string
	for _, m := range c.nodes {
		switch {
		case c.speaks(m, addr):
			out = append(out, m.name)
		case m.heardByAll():
			for _, a := range m.answers {
				if a.Addr == addr && a.Kind == neighbor.StandIn {
					out = append(out, m.name+" (for "+a.Node+")")
				}
			}
		}
	}
	return out
}

// note writes down every change of who announces an address.
func (c *cluster) note() {
	for _, s := range c.services {
		addr := s.Held[0]
		now := strings.Join(c.whoHas(addr), ", ")
		if now == c.owner[addr] {
			continue
		}
		text := now
		if text == "" {
			text = "nobody"
		}
		c.moves = append(c.moves, fmt.Sprintf("%6.2fs  %s  %s", c.now.Sub(day).Seconds(), addr, text))
		c.owner[addr] = now
	}
}
