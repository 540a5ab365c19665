package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// owner waits for exactly one answerer and returns its node.
func (s *scenario) owner(addr netip.Addr) string {
	s.Helper()
	var node string
	s.do("exactly one node answers for "+addr.String(), func(ctx context.Context) (err error) {
		node, err = s.Owner(ctx, addr)
		return err
	})
	return node
}

// ownerIs waits until exactly one node answers and that is the wanted one.
func (s *scenario) ownerIs(addr netip.Addr, ok func(node string) bool, want string) string {
	s.Helper()
	var node string
	s.eventually(fmt.Sprintf("%s is answered by %s", addr, want), func(ctx context.Context) (err error) {
		if node, err = s.Owner(ctx, addr); err == nil && !ok(node) {
			err = fmt.Errorf("%s answers", node)
		}
		return err
	})
	return node
}

// steady waits until four looks in a row find one and the same answerer, and returns its node: a single look might have met
// a moment in which a second one was silent, or the moment before the address moves.
func (s *scenario) steady(addr netip.Addr) string {
	s.Helper()
	const looks = 4
	node, seen := "", 0
	s.eventually(fmt.Sprintf("%s stays with one node", addr), func(ctx context.Context) error {
		now, err := s.answerer(ctx, addr)
		if err != nil || now != node {
			node, seen = now, 0
		}
		if seen++; err == nil && seen < looks {
			err = fmt.Errorf("%s answers for %s at %d looks, want %d", now, addr, seen, looks)
		}
		return err
	})
	return node
}

// answerer asks once.
func (s *scenario) answerer(ctx context.Context, addr netip.Addr) (string, error) {
	answers, err := s.Ask(ctx, addr)
	if err != nil {
		return "", err
	}
	mac, err := answers.Only()
	return s.NodeOf(mac), err
}

// web waits for an answer over HTTP.
func (s *scenario) web(addr netip.Addr, port uint16) witness.Attempt {
	s.Helper()
	var a witness.Attempt
	s.do(fmt.Sprintf("HTTP from the client to %s", netip.AddrPortFrom(addr, port)), func(ctx context.Context) (err error) {
		a, err = s.Web(ctx, addr, port)
		return err
	})
	return a
}

// neighbour returns the client's neighbour entry for addr; the zero MAC when it has none.
func (s *scenario) neighbour(addr netip.Addr) string {
	s.Helper()
	c := s.Lab.Client()
	out, err := c.Command(s.ctx, "ip", "neigh", "show", addr.String(), "dev", c.Interface).CombinedOutput()
	if err != nil {
		s.Fatalf("ip neigh: %v: %s", err, out)
	}
	fields := strings.Fields(string(out))
	for i, f := range fields {
		if f == "lladdr" && i+1 < len(fields) {
			return fields[i+1]
		}
	}
	return ""
}
