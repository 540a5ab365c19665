package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// The reasons of the Events that a speaker writes on Services; MetalLB uses the first two.
const (
	EventNodeAssigned   = "nodeAssigned"
	EventAnnounceFailed = "announceFailed"
	EventAddressInUse   = "addressInUse"
)

// recorder writes Events; the real one is client-go's. It never blocks.
type recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// teller is what is remembered between two decisions, to tell what has changed. Only the core's goroutine uses it.
type teller struct {
	last     map[netip.Addr]ownership.Address // nil before the first decision
	uids     map[lb.Name]types.UID            // of the Services in the last View, for Events
	mistakes map[string]bool                  // in advertisements, that were told
	proxies  map[lb.MAC]time.Time             // stations with proxy ARP, and when they were told of
}

const (
	// proxyAgain is how long a station with proxy ARP is not told of again.
	proxyAgain = 10 * time.Minute
	// maxProxies bounds how many are remembered.
	maxProxies = 256
)

// change is what happened to one address between two decisions. from and to are nodes; empty stands for nobody.
type change struct {
	addr     netip.Addr
	services []lb.Name
	from, to string
	cause    lb.Cause    // why the new owner claimed it
	problem  *lb.Problem // why nobody owns it, if that is new
	refused  []lb.Name   // Services that hold the address and may not share it, if that is new
	// gap is how long ago the last sign of life of the owner before was, when it was taken over from; else 0.
	gap time.Duration
}

// tell logs, counts and writes what has changed since the last decision; the core calls it after each.
func (s *Speaker) tell(v ownership.View, d ownership.Decision) {
	s.lastWord.keep(v, d)
	// What concerns nobody's address is told by one speaker for all.
	spokesman := s.isSpokesman(v)
	s.uids = make(map[lb.Name]types.UID, len(v.Services))
	for _, svc := range v.Services {
		s.uids[svc.Name] = types.UID(svc.UID)
	}
	if s.last == nil {
		s.last = resumed(v.Now, d)
	}
	for _, c := range changes(s.last, d) {
		c.gap = gap(c, v)
		s.tellChange(c, spokesman)
		s.measure(c)
	}
	s.metrics.conflicts.WithLabelValues("this").Add(float64(defended(d)))
	s.tellMistakes(v.Advertisements, spokesman)
	s.tellStrangers(d)
	s.tellProxies(d)
	last := make(map[netip.Addr]ownership.Address, len(d.Addresses))
	for _, a := range d.Addresses {
		if a.Owner == "" && a.Problem == nil {
			a.Owner = s.last[a.Addr].Owner // between two owners
		}
		last[a.Addr] = a
	}
	s.last = last
	s.metrics.Show(v, d)
	s.status.set(statusFor(v, d))
}

// resumed is what the first decision of this speaker says of addresses that were claimed before it, by an earlier life of ours too: a
// restart moves nothing, so they are told and counted as little as any other address that stays.
func resumed(now time.Time, d ownership.Decision) map[netip.Addr]ownership.Address {
	out := map[netip.Addr]ownership.Address{}
	for _, a := range d.Addresses {
		if !a.Since.IsZero() && a.Since.Before(now) {
			out[a.Addr] = ownership.Address{Owner: a.Owner}
		}
	}
	return out
}

// isSpokesman says whether we are the first by name of the speakers that live.
func (s *Speaker) isSpokesman(v ownership.View) bool {
	return !slices.ContainsFunc(v.Peers, func(p lb.Peer) bool { return p.Node < s.Node && p.Gossip == lb.Alive })
}

// changes compares a decision with the one before it, in the order of addresses. An address without an owner is a change when
// there is a reason, and that reason is new: between two owners there may be a moment without one. The nodes that a message names
// come and go without being a change.
func changes(before map[netip.Addr]ownership.Address, now ownership.Decision) []change {
	var out []change
	for _, a := range now.Addresses {
		was := before[a.Addr]
		c := change{addr: a.Addr, services: a.Services, from: was.Owner, to: a.Owner, cause: a.Cause}
		if a.Owner == "" && a.Problem == nil {
			c.to = was.Owner
		}
		if c.from == "" {
			c.from = a.From // we started meanwhile
		}
		if len(a.Refused) > 0 && !slices.Equal(a.Refused, was.Refused) {
			c.refused = a.Refused
		}
		if a.Problem != nil && (was.Problem == nil || was.Problem.Reason != a.Problem.Reason) {
			c.problem = a.Problem
		}
		if was.Owner == c.to && c.problem == nil && c.refused == nil {
			continue
		}
		out = append(out, c)
	}
	held := make(map[netip.Addr]bool, len(now.Addresses))
	for _, a := range now.Addresses {
		held[a.Addr] = true
	}
	for addr, was := range before {
		if !held[addr] && was.Owner != "" {
			out = append(out, change{addr: addr, services: was.Services, from: was.Owner,
				problem: &lb.Problem{Message: "no Service holds the address any more"}})
		}
	}
	slices.SortFunc(out, func(a, b change) int { return a.addr.Compare(b.addr) })
	return out
}

// tellChange logs a change and writes Events: one line for each, on the new owner, or on the old one or the spokesman when there is
// no new one; elsewhere it is V(1).
func (s *Speaker) tellChange(c change, spokesman bool) {
	log := s.Log.V(1)
	if c.to == s.Node || c.to == "" && (c.from == s.Node || spokesman) {
		log = s.Log
	}
	names := joinNames(c.services)
	switch {
	case c.to != "" && c.from != c.to:
		log.Info("address has an owner", "address", c.addr.String(), "service", names, "from", c.from, "owner", c.to, "cause", c.cause.String())
	case c.problem != nil:
		log.Info("address has no owner", "address", c.addr.String(), "service", names, "from", c.from, "reason", c.problem.Message)
	}
	if c.refused != nil && (spokesman || c.to == s.Node) {
		s.Log.Info("Service holds an address that it may not share, it is not announced for it", "address", c.addr.String(),
			"service", joinNames(c.refused), "holder", names)
	}
	switch {
	case c.to == s.Node && c.from != c.to:
		for _, name := range c.services {
			s.event(name, corev1.EventTypeNormal, EventNodeAssigned, ownerNote(c))
		}
	case c.problem != nil && c.problem.Reason == ownership.InterfaceMissing && spokesman:
		for _, name := range c.services {
			s.event(name, corev1.EventTypeWarning, EventAnnounceFailed, fmt.Sprintf("%s is not announced: %s", c.addr, c.problem.Message))
		}
	}
}

// gap returns since when the owner before had been silent, as we heard it, when the address was taken over from it.
func gap(c change, v ownership.View) time.Duration {
	at := slices.IndexFunc(v.Peers, func(p lb.Peer) bool { return p.Node == c.from })
	if !c.cause.Takeover() || at < 0 || v.Peers[at].Silent.IsZero() {
		return 0
	}
	return v.Now.Sub(v.Peers[at].Silent)
}

// measure counts a change that concerns us.
func (s *Speaker) measure(c change) {
	switch {
	case c.to == s.Node && c.from != c.to:
		s.metrics.moves.WithLabelValues(c.cause.String()).Inc()
		if c.gap > 0 {
			s.metrics.gap.Observe(c.gap.Seconds())
		}
	case c.from == s.Node && c.to != "" && c.cause.Takeover():
		s.metrics.conflicts.WithLabelValues("other").Inc() // we were gone for it, or it won
	}
}

// defended counts the addresses that we announce once more because another speaker wants them too. Those that a stranger answers for
// are counted as strangers.
func defended(d ownership.Decision) int {
	n := 0
	for _, addr := range d.Defend {
		if !slices.ContainsFunc(d.Strangers, func(f ownership.Foreign) bool { return f.Addr == addr }) {
			n++
		}
	}
	return n
}

// ownerNote is the text of the Event about a new owner.
func ownerNote(c change) string {
	note := fmt.Sprintf("node %q answers for %s", c.to, c.addr)
	if c.from != "" {
		note += fmt.Sprintf(", before it was node %q", c.from)
	}
	if c.gap > 0 {
		return fmt.Sprintf("%s (%s, %.2f s after its last sign of life)", note, c.cause, c.gap.Seconds())
	}
	return fmt.Sprintf("%s (%s)", note, c.cause)
}

// tellStrangers reports stations that answer for our addresses and are no speakers.
func (s *Speaker) tellStrangers(d ownership.Decision) {
	for _, f := range d.Strangers {
		var services []lb.Name
		at, found := slices.BinarySearchFunc(d.Addresses, f.Addr, func(a ownership.Address, addr netip.Addr) int { return a.Addr.Compare(addr) })
		if found {
			services = d.Addresses[at].Services
		}
		if !s.conflicts.seen(f.Addr, f.MAC, f.At) {
			continue
		}
		s.metrics.strangers.Inc()
		s.Log.Info("something else on the LAN answers for an address", "address", f.Addr.String(), "service", joinNames(services), "mac", f.MAC.String())
		for _, name := range services {
			s.event(name, corev1.EventTypeWarning, EventAddressInUse,
				fmt.Sprintf("a station with the hardware address %s, which is no speaker, answers for %s too", f.MAC, f.Addr))
		}
	}
}

// tellProxies logs a station that answers for many addresses, once for each in a while: clients may send to it what is meant for us.
func (s *Speaker) tellProxies(d ownership.Decision) {
	for _, f := range d.Proxies {
		if at, known := s.proxies[f.MAC]; known && f.At.Sub(at) < proxyAgain {
			continue
		}
		if s.proxies == nil || len(s.proxies) >= maxProxies {
			s.proxies = map[lb.MAC]time.Time{}
		}
		s.proxies[f.MAC] = f.At
		s.Log.Info("a station answers for many of our addresses; is it a router with proxy ARP? turn that off there, or clients may send to it",
			"mac", f.MAC.String(), "address", f.Addr.String())
	}
}

// tellMistakes logs what is wrong with the advertisements themselves, once for each change. The CRD refuses what it can; this is
// for objects from before it could.
func (s *Speaker) tellMistakes(ads []lb.Advertisement, spokesman bool) {
	told := map[string]bool{}
	for _, ad := range ads {
		for _, p := range ad.Problems {
			key := ad.Name + ": " + p.Message
			told[key] = true
			if spokesman && !s.mistakes[key] {
				s.Log.Info("part of an L2Advertisement is not used", "advertisement", ad.Name, "reason", p.Message)
			}
		}
	}
	s.mistakes = told
}

// event writes an Event on a Service; kubectl describe shows it only when it carries the UID.
func (s *Speaker) event(name lb.Name, kind, reason, note string) {
	svc := &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, UID: s.uids[name]}}
	s.events.Eventf(svc, nil, kind, reason, "Announce", "%s", note)
}

func joinNames(names []lb.Name) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.String()
	}
	return strings.Join(out, ", ")
}
