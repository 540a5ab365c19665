package speaker

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// The reasons of the Events that a speaker writes on Services; MetalLB uses the same.
const (
	EventNodeAssigned   = "nodeAssigned"
	EventAnnounceFailed = "announceFailed"
)

// recorder writes Events; the real one is client-go's. It never blocks.
type recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// change is what happened to one address between two decisions. from and to are nodes; empty stands for nobody.
type change struct {
	addr     netip.Addr
	services []lb.Name
	from, to string
	reason   string      // in words, why
	problem  *lb.Problem // why nobody owns it, if that is new
	refused  []lb.Name   // Services that hold the address and may not share it, if that is new
}

// changes compares a decision with the one before it, in the order of addresses. An address without an owner is a change when it
// loses it, and when the reason becomes another; the nodes that the message names come and go without being one.
func changes(before map[netip.Addr]ownership.Address, now ownership.Decision) []change {
	var out []change
	for _, a := range now.Addresses {
		was := before[a.Addr]
		c := change{addr: a.Addr, services: a.Services, from: was.Owner, to: a.Owner}
		if len(a.Refused) > 0 && !slices.Equal(a.Refused, was.Refused) {
			c.refused = a.Refused
		}
		if a.Problem != nil && (was.Problem == nil || was.Problem.Reason != a.Problem.Reason) {
			c.problem = a.Problem
		}
		if c.from == c.to && c.problem == nil && c.refused == nil {
			continue
		}
		c.reason = why(was, a)
		out = append(out, c)
	}
	held := make(map[netip.Addr]bool, len(now.Addresses))
	for _, a := range now.Addresses {
		held[a.Addr] = true
	}
	for addr, was := range before {
		if !held[addr] && was.Owner != "" {
			out = append(out, change{addr: addr, services: was.Services, from: was.Owner, reason: "no Service holds the address any more"})
		}
	}
	slices.SortFunc(out, func(a, b change) int { return a.addr.Compare(b.addr) })
	return out
}

// why says in words why an address changed hands.
func why(was, now ownership.Address) string {
	switch {
	case now.Problem != nil:
		return now.Problem.Message
	case was.Owner == "":
		return fmt.Sprintf("first of %d candidates", len(now.Candidates))
	}
	at, found := slices.BinarySearchFunc(now.Rejected, was.Owner, func(r ownership.Rejection, n string) int { return cmp.Compare(r.Node, n) })
	switch {
	case found:
		return was.Owner + ": " + now.Rejected[at].Message
	case slices.ContainsFunc(now.Candidates, func(c ownership.Candidate) bool { return c.Node == was.Owner }):
		return now.Owner + " ranks before " + was.Owner
	}
	return was.Owner + " is neither a Node nor a speaker any more"
}

// tell logs a change and writes Events. One line for each change, on the nodes that it concerns: the old owner and the new one, or
// the spokesman when there is neither; elsewhere it is V(1).
func (s *Speaker) tell(c change, spokesman bool) {
	log := s.Log.V(1)
	if c.from == s.Node || c.to == s.Node || c.to == "" && spokesman {
		log = s.Log
	}
	names := joinNames(c.services)
	switch {
	case c.from != c.to && c.to != "":
		log.Info("address has an owner", "address", c.addr.String(), "service", names, "from", c.from, "owner", c.to, "reason", c.reason)
	case c.from != c.to || c.problem != nil:
		log.Info("address has no owner", "address", c.addr.String(), "service", names, "from", c.from, "reason", c.reason)
	}
	if c.refused != nil && (spokesman || c.to == s.Node) {
		s.Log.Info("Service holds an address that it may not share, it is not announced for it", "address", c.addr.String(),
			"service", joinNames(c.refused), "holder", names)
	}
	if c.from != c.to {
		s.metrics.changes.Inc()
		if c.from != "" && c.to != "" {
			s.metrics.moves.Inc()
		}
	}
	switch {
	case c.to == s.Node && c.from != c.to:
		for _, name := range c.services {
			if !s.announced[name] {
				s.event(name, corev1.EventTypeNormal, EventNodeAssigned, fmt.Sprintf("node %q answers for %s", s.Node, c.addr))
			}
		}
	case c.problem != nil && c.problem.Reason == ownership.InterfaceMissing && spokesman:
		for _, name := range c.services {
			s.event(name, corev1.EventTypeWarning, EventAnnounceFailed, fmt.Sprintf("%s is not announced: %s", c.addr, c.problem.Message))
		}
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
