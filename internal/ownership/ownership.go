// Package ownership decides, for every address that a Service holds, which node answers for it, and says of every other node
// why it does not. It is pure: Decide reads a View and nothing else (no clock, no I/O, no logger, no Kubernetes), and its result
// is sorted. Who may own an address depends on nothing but what all speakers know, so they agree on it without an election; who
// does own it is said by claims, which each speaker makes for itself and tells the others. The slices of a View are only read.
// Those of a Decision may be shared between its addresses: read them, never write to them.
package ownership

import (
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// holders returns, for each address, the managed Services that hold it, the oldest first.
func holders(services []lb.Service) map[netip.Addr][]*lb.Service {
	held := make(map[netip.Addr][]*lb.Service, len(services))
	for i := range services {
		s := &services[i]
		if !s.Managed {
			continue
		}
		for j, a := range s.Held {
			if !slices.Contains(s.Held[:j], a) {
				held[a] = append(held[a], s)
			}
		}
	}
	for _, list := range held {
		slices.SortFunc(list, func(a, b *lb.Service) int { return lb.CompareAge(*a, *b) })
	}
	return held
}

// entitled splits the holders of one address: the oldest keeps it, and each next one may stay when it may share with all who
// stayed before it. Two Services get one address only by a mistake or a race; the controller applies the same rule to what it
// repairs.
func entitled(byAge []*lb.Service) (stay []*lb.Service, refused []lb.Name) {
	for _, s := range byAge {
		if slices.ContainsFunc(stay, func(o *lb.Service) bool { return !lb.MayShare(*o, *s) }) {
			refused = append(refused, s.Name)
			continue
		}
		stay = append(stay, s)
	}
	return stay, refused
}
