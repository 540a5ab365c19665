package whatif

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

const (
	// gossipTakes is how long a claim travels, and checkTakes how long the LAN is asked about a free address. Both are only roughly
	// right: what comes out at rest does not depend on them.
	gossipTakes = 50 * time.Millisecond
	checkTakes  = 200 * time.Millisecond
	// controllerTakes is how long the speakers see the new pools, and the Services' old addresses: long enough to let go of those
	// that are in no pool any more. They count against a node's share until then.
	controllerTakes = 100 * time.Millisecond
	// breath is the least time between two decisions of a speaker that wants to decide again at once.
	breath = time.Millisecond
	// horizon is how much time is looked ahead. Moves end within two seconds; the rest is for balance, one address in 10 s.
	horizon = 10 * time.Minute
	// maxWork bounds decisions × nodes × addresses, which is what the time goes by: a minute or two.
	maxWork = 100_000_000
)

// rest is a world that has come to rest.
type rest struct {
	plan      []allocate.Assignment // sorted by Service
	owned     map[netip.Addr]owned
	unsettled bool
}

// settle gives out the addresses and lets the speakers decide until nothing changes any more.
func settle(w World) rest {
	r := rest{plan: allocate.Plan(w.Allocation).Services}
	planned := slices.Clone(w.Allocation.Services)
	for i := range planned {
		planned[i].Held = r.assignment(planned[i].Name).Addresses
	}
	s := newSociety(w, announced(w.Allocation.Services))
	s.limit = maxWork / max(len(planned)*len(w.Nodes), 1)
	s.run(controllerTakes)
	s.show(announced(planned))
	r.unsettled = !s.run(horizon)
	r.owned = s.owned()
	return r
}

// announced are the Services that have an address, as the speakers see them.
func announced(all []lb.Service) []lb.Service {
	var out []lb.Service
	for _, s := range all {
		if s.Managed && len(s.Held) > 0 {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b lb.Service) int { return a.Name.Compare(b.Name) })
	return out
}

// society is the speakers, and what one hears of the other.
type society struct {
	members []member
	elapsed time.Duration
	limit   int // of decisions
}

// member is one speaker. Its clock is its own: View.Now of the start, and what has elapsed since.
type member struct {
	ownership.View
	start    time.Time
	decision ownership.Decision
	due      time.Duration // when it decides next, in elapsed time; negative for never
}

// newSociety puts the objects into the speakers' Views.
func newSociety(w World, services []lb.Service) *society {
	s := &society{}
	for _, v := range withUnasked(w.Speakers) {
		v.Nodes, v.Services, v.Pools, v.Advertisements = w.Nodes, services, w.Allocation.Pools, w.Advertisements
		v.Speakers = slices.Clone(v.Speakers)
		v.Probed, v.Foreign, v.Stalled = map[netip.Addr]ownership.Probed{}, nil, false
		s.members = append(s.members, member{View: v, start: v.Now})
	}
	slices.SortFunc(s.members, func(a, b member) int { return strings.Compare(a.Self, b.Self) })
	return s
}

// withUnasked adds the speakers that another hears by gossip and whose View is not there. They are taken to see what that one sees.
func withUnasked(views []ownership.View) []ownership.View {
	out := slices.Clone(views)
	for _, v := range views {
		for _, p := range v.Peers {
			there := slices.ContainsFunc(out, func(o ownership.View) bool { return o.Self == p.Node })
			if p.Gossip == lb.Alive && !there {
				out = append(out, lend(v, p))
			}
		}
	}
	return out
}

// lend returns the View of a peer as far as it can be told from ours.
func lend(v ownership.View, p lb.Peer) ownership.View {
	self := v.Self
	v.Self, v.Mine = p.Node, ownership.Memory{}
	v.Peers = slices.DeleteFunc(slices.Clone(v.Peers), func(o lb.Peer) bool { return o.Node == p.Node })
	v.Peers = append(v.Peers, lb.Peer{Node: self, Gossip: lb.Alive, Hosts: p.Hosts})
	slices.SortFunc(v.Peers, func(a, b lb.Peer) int { return strings.Compare(a.Node, b.Node) })
	for _, s := range v.Speakers {
		if s.Node == p.Node {
			v.Mine = ownership.Resume(s.Claims)
		}
	}
	return v
}

// run lets everybody decide when there is something to decide, until then at the latest, and says whether all came to rest before.
func (s *society) run(until time.Duration) bool {
	for {
		next, ok := s.next()
		if !ok {
			return true
		}
		if next > until || s.limit <= 0 {
			return false
		}
		s.elapsed = next
		s.round()
	}
}

// round lets those decide whose time it is. What one claims the others hear only later.
func (s *society) round() {
	var told []int
	for i := range s.members {
		if m := &s.members[i]; m.due == s.elapsed {
			s.limit--
			if m.decide(s.elapsed) {
				told = append(told, i)
			}
		}
	}
	for _, i := range told {
		s.tell(i)
	}
}

// show gives everybody other Services to look at.
func (s *society) show(services []lb.Service) {
	for i := range s.members {
		s.members[i].Services = services
		s.members[i].wake(controllerTakes)
	}
}

// next is when somebody decides next; not ok when nobody does.
func (s *society) next() (at time.Duration, ok bool) {
	for _, m := range s.members {
		if m.due >= 0 && (!ok || m.due < at) {
			at, ok = m.due, true
		}
	}
	return at, ok
}

// tell brings the claims of a member to all who hear it by gossip.
func (s *society) tell(from int) {
	claims, node := s.members[from].decision.Claims, s.members[from].Self
	for i := range s.members {
		m := &s.members[i]
		hears := slices.ContainsFunc(m.Peers, func(p lb.Peer) bool { return p.Node == node && p.Gossip == lb.Alive })
		if i == from || !hears {
			continue
		}
		for j := range m.Speakers {
			if m.Speakers[j].Node == node {
				m.Speakers[j].Claims = claims
			}
		}
		m.wake(s.elapsed + gossipTakes)
	}
}

// wake has the member decide then, or earlier if it was to.
func (m *member) wake(at time.Duration) {
	if m.due < 0 || at < m.due {
		m.due = at
	}
}

// decide lets a member decide and says whether it claims anything else than the others know. That evidence has grown is no news here: it
// speaks in quarrels only. Of addresses about which the LAN is to be asked it learns that nobody uses them.
func (m *member) decide(elapsed time.Duration) (news bool) {
	m.Now = m.start.Add(elapsed)
	for _, c := range m.decision.Check {
		m.Probed[c.Addr] = ownership.Probed{Clear: true, At: m.Now}
	}
	m.decision = ownership.Decide(m.View)
	m.Mine, m.due = m.decision.Memory, -1
	if at := m.decision.Wake; !at.IsZero() {
		m.wake(max(at.Sub(m.start), elapsed+breath))
	}
	for _, c := range m.decision.Check {
		if _, known := m.Probed[c.Addr]; !known {
			m.wake(elapsed + checkTakes)
		}
	}
	return m.tellNews()
}

// tellNews puts what the member claims into what is known of it, and says whether that was not known.
func (m *member) tellNews() bool {
	same := func(a, b lb.Claim) bool {
		a.Evidence, a.Since = b.Evidence, b.Since
		return a == b
	}
	i := slices.IndexFunc(m.Speakers, func(s lb.Speaker) bool { return s.Node == m.Self })
	if i < 0 || slices.EqualFunc(m.Speakers[i].Claims, m.decision.Claims, same) {
		return false
	}
	m.Speakers[i].Claims = m.decision.Claims
	return true
}

// owned says who answers for each address: who says so of himself, or, where nobody does, who is said to by others: a speaker that
// cannot be heard, and is waited for.
func (s *society) owned() map[netip.Addr]owned {
	out := map[netip.Addr]owned{}
	for _, m := range s.members {
		for _, a := range m.decision.Addresses {
			o := owned{node: a.Owner, cause: a.Cause, rejected: a.Rejected}
			if a.Problem != nil {
				o.problem = *a.Problem
			}
			if have, there := out[a.Addr]; !there || have.node == "" {
				out[a.Addr] = o
			}
		}
	}
	claims := map[netip.Addr][]lb.Claim{}
	nodes := map[netip.Addr][]string{}
	for _, m := range s.members {
		for _, c := range m.decision.Claims {
			claims[c.Addr], nodes[c.Addr] = append(claims[c.Addr], c), append(nodes[c.Addr], m.Self)
		}
	}
	for addr, list := range nodes {
		o := out[addr]
		o.node, o.cause = strings.Join(list, ", "), claims[addr][0].Cause
		out[addr] = o
	}
	return out
}
