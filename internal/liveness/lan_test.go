package liveness

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// epoch is when every test begins.
func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// notice is how long after a death gossip says so at the latest, as with its fastest profile.
const notice = 300 * time.Millisecond

// station is a node of the virtual LAN.
type station struct {
	*Watch
	node   string
	itf    lb.Interface
	owns   []netip.Addr
	off    bool          // its host is without power: it neither asks nor answers
	filter bool          // its kernel answers nobody
	mute   bool          // its speaker answers nobody
	deaf   bool          // its port has carrier and forwards nothing
	skew   time.Duration // how far its wall clock is ahead
	gossip map[string]lb.Life
	sent   []time.Time // its questions and answers
	asked  []asking
	wake   time.Time
}

type asking struct {
	neighbor.Probe
	at time.Time
}

// lan is a segment on which every frame takes no time.
type lan struct {
	t        *testing.T
	now      time.Time
	stations []*station
	lost     func() bool // whether the next frame is
}

func lanOf(t *testing.T, n int) *lan {
	l := &lan{t: t, now: epoch(), lost: func() bool { return false }}
	for i := range n {
		node := fmt.Sprintf("n%03d", i+1)
		l.stations = append(l.stations, &station{Watch: New(node, notice), node: node, itf: card("eth0", i+1), gossip: map[string]lb.Life{},
			owns: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})}})
	}
	l.meet()
	return l
}

// card is the interface of the n-th host in 10.0.0.0/16.
func card(name string, n int) lb.Interface {
	return lb.Interface{Name: name, Up: true, MACs: []lb.MAC{mac(n)}, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
		Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})}}
}

func mac(n int) lb.MAC { return lb.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)} }

// life is what s's gossip says of another; Alive unless the test has said otherwise.
func (s *station) life(node string) lb.Life {
	if life, ok := s.gossip[node]; ok {
		return life
	}
	return lb.Alive
}

// meet tells everybody of everybody.
func (l *lan) meet() {
	for _, s := range l.stations {
		var peers []Peer
		for _, p := range l.stations {
			if p != s {
				peers = append(peers, Peer{Node: p.node, Gossip: s.life(p.node), Interfaces: []lb.Interface{p.itf}, Owns: p.owns})
			}
		}
		s.Set(l.now.Add(s.skew), []Link{{Interface: s.itf, UpSince: epoch().Add(s.skew)}}, peers)
		s.wake = l.now
	}
}

// suspect lets the gossip of all say this of a node.
func (l *lan) suspect(node string, life lb.Life) {
	for _, s := range l.stations {
		s.gossip[node] = life
	}
	l.meet()
}

// run lets time pass.
func (l *lan) run(d time.Duration) {
	for end := l.now.Add(d); ; {
		next := end
		for _, s := range l.stations {
			if !s.off && !s.wake.IsZero() && s.wake.Before(next) {
				next = s.wake
			}
		}
		l.now = next
		if !l.now.Before(end) {
			return
		}
		for _, s := range l.stations {
			if !s.off && !s.wake.IsZero() && !s.wake.After(l.now) {
				l.look(s)
			}
		}
	}
}

// look is what a speaker does when it is time.
func (l *lan) look(s *station) {
	probes, wake := s.Next(l.now.Add(s.skew))
	if s.wake = wake; !wake.IsZero() {
		s.wake = wake.Add(-s.skew)
	}
	if !wake.IsZero() && !s.wake.After(l.now) {
		l.t.Fatalf("%s at %v wants to look again at %v", s.node, l.now, s.wake)
	}
	for _, p := range probes {
		s.sent = append(s.sent, l.now)
		s.asked = append(s.asked, asking{p, l.now})
		for _, to := range l.stations {
			if to.itf.MACs[0] == p.To && !to.off && !to.deaf && !s.deaf && !l.lost() {
				l.answer(s, to, p)
			}
		}
	}
}

// answer is what a host does that is asked.
func (l *lan) answer(s, to *station, p neighbor.Probe) {
	seen := neighbor.Sighting{Interface: "eth0", MAC: s.itf.MACs[0], Source: s.itf.MACs[0], Kind: neighbor.SawRequest}
	to.hear(l.now, seen)
	_, service := slices.BinarySearchFunc(to.owns, p.Target, netip.Addr.Compare)
	if service && to.mute || !service && to.filter {
		return
	}
	to.sent = append(to.sent, l.now)
	if l.lost() {
		return
	}
	s.hear(l.now, neighbor.Sighting{Interface: "eth0", MAC: p.To, Source: p.To, Addr: p.Target, Kind: neighbor.SawReply})
	s.wake = l.now // the loop of a speaker looks after every sighting
}

// hear hands a frame to the station that came at now.
func (s *station) hear(now time.Time, seen neighbor.Sighting) {
	seen.At = now.Add(s.skew)
	s.Heard(seen.At, seen)
}

// host returns what s says of a node's host.
func (s *station) host(now time.Time, node string) lb.Life {
	for _, p := range s.Verdict(now).Peers {
		if p.Node == node && len(p.Hosts) > 0 {
			return p.Hosts[0].Life
		}
	}
	return lb.Unknown
}

// speaker returns what s says of a node's answers.
func (s *station) speaker(now time.Time, node string) lb.Life {
	for _, p := range s.Verdict(now).Peers {
		if p.Node == node {
			return p.Answer
		}
	}
	return lb.Unknown
}

// most returns the greatest number of times within one second.
func most(times []time.Time) (n int) {
	for i, j := 0, 0; j < len(times); j++ {
		for times[j].Sub(times[i]) >= time.Second {
			i++
		}
		n = max(n, j-i+1)
	}
	return n
}
