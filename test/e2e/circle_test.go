package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/witness"
)

const (
	// strayPace is the time between two packets of one kind.
	strayPace = 20 * time.Millisecond
	// rounds is how many announcements the packets outlast. An old owner that learned from one would send on what comes before
	// it asks again, seconds later.
	rounds = 4
)

// In the tail of a planned move the new owner's kernel hands packets that it does not know to the old owner. One that neither knows
// ends there, and does not come back until its hop limit ends.
func TestWhatNeitherOwnerKnowsCrossesTheLANTwice(t *testing.T) {
	s := begin(t)
	const before, after = "node1", "node2"
	s.pool("circle", "192.168.1.246/32", "fd00:1::246/128")
	svc := s.service("circle", "circle", families(corev1.IPv4Protocol, corev1.IPv6Protocol),
		func(svc *corev1.Service) { svc.Annotations[v1beta1.AnnotationPreferredNode] = before })
	addrs := s.addresses(svc, 2)
	for _, addr := range addrs {
		s.ownerIs(addr, func(n string) bool { return n == before }, before)
	}
	s.strictConntrack()
	seen := s.watchCrossings(addrs)
	asked := time.Now()
	s.kubectl("", "annotate", "service", "-n", ns, svc.Name, "--overwrite", v1beta1.AnnotationPreferredNode+"="+after)
	s.announced(addrs, after, asked, 1)

	kinds := s.strays(addrs, s.MACOf(after))
	sent := s.sendStrays(kinds, func() bool { return s.rounds(addrs, after, asked) >= rounds })
	s.eventually("the last packet has come to "+after, func(context.Context) error {
		if seen.of(after, sent) == 0 {
			return fmt.Errorf("packet %d has not", sent)
		}
		return nil
	})
	seen.judge(t, kinds, sent, before, after)
}

// strictConntrack has every node leave TCP segments of connections that it does not know as they are.
func (s *scenario) strictConntrack() {
	s.Helper()
	for _, n := range s.Lab.Nodes() {
		name := "strict-" + n.Name
		s.Cleanup(func() { s.do("healing "+name, func(ctx context.Context) error { return s.Lab.Heal(ctx, name) }) })
		s.do("breaking "+name, func(ctx context.Context) error { return s.Lab.Break(ctx, name, lab.StrictConntrack(n)) })
	}
}

// rounds returns how often a node has announced each of addrs since a time, at least.
func (s *scenario) rounds(addrs []netip.Addr, node string, since time.Time) int {
	heard, least := s.Witness.Since(since), -1
	for _, addr := range addrs {
		n := 0
		for _, x := range heard.Of(addr).Announcements() {
			if x.Src == s.MACOf(node) && x.Kind != witness.AnnounceReply { // which follows a request
				n++
			}
		}
		if least < 0 || n < least {
			least = n
		}
	}
	return least
}

// announced waits for that.
func (s *scenario) announced(addrs []netip.Addr, node string, since time.Time, n int) {
	s.Helper()
	s.do(node+" announces", func(ctx context.Context) error {
		_, err := s.Witness.Await(ctx, since, func(witness.Record) bool { return s.rounds(addrs, node, since) >= n })
		return err
	})
}

// sendStrays sends one packet of each kind after the other, at an even pace, until enough is, and returns the number of the last.
func (s *scenario) sendStrays(kinds []stray, enough func() bool) (last uint16) {
	s.Helper()
	tick := time.NewTicker(strayPace)
	defer tick.Stop()
	s.do("sending packets that nobody knows", func(ctx context.Context) error {
		for !enough() {
			for _, k := range kinds {
				last++
				if err := s.Send(k.frame(last)); err != nil {
					return fmt.Errorf("%s: %w", k.name, err)
				}
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-tick.C:
			}
		}
		return nil
	})
	return last
}

// judge looks at all packets sent: each must have come to the new owner once and to the old one once at most, and to nobody else. One
// for each announcement is allowed for: it may have been on its way while the old owner had learned and not yet unlearned.
// The packets of a kind that never came to the old owner would prove nothing.
func (c *crossings) judge(t *testing.T, kinds []stray, sent uint16, before, after string) {
	t.Helper()
	for i, k := range kinds {
		var packets, handedOn, circling, most int
		for n := uint16(i + 1); n <= sent; n += uint16(len(kinds)) {
			packets++
			total := c.total(n)
			most = max(most, total)
			if c.of(before, n) > 0 {
				handedOn++
			}
			if c.of(after, n) != 1 || c.of(before, n) > 1 || total > 2 {
				circling++
			}
		}
		t.Logf("%s: %d packets, %d handed on, %d went in circles, %d crossings at most", k.name, packets, handedOn, circling, most)
		if circling > rounds {
			t.Errorf("%s: %d of %d packets crossed the LAN otherwise than to %s once and to %s once at most; one %d times",
				k.name, circling, packets, after, before, most)
		}
		if handedOn == 0 {
			t.Errorf("%s: %s handed none of %d packets on to %s", k.name, after, packets, before)
		}
	}
}
