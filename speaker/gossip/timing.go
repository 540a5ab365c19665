package gossip

import (
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/memberlist"
)

// Timing says how fast the silence and the death of a speaker are noticed, and at what price.
//
// Silence is found in the ring: a neighbour that has not been heard for MissAfter is missed, and a moment later by everybody. See
// Notice. Death is memberlist's word: each speaker probes one peer per ProbeInterval, round robin in a shuffled order. A probe that
// is not answered within ProbeTimeout is tried through other peers until the interval is over, then the peer is suspect. A
// suspect has
//
//	SuspicionMult × max(1, log10(n)) × ProbeInterval
//
// to speak up (n speakers; up to 6 times as long for an observer whom no other peer confirms), and is then declared dead by
// everybody. From the cut this takes, for n speakers of which n-1 are probing,
//
//	at best    ProbeInterval + suspicion
//	at worst   about 3 × ProbeInterval + suspicion + GossipInterval
//
// With Fast that is 0.8 s to 1.3 s for 3 to 10 speakers. In the steady state each of n speakers sends at most, by UDP,
//
//	neighbours ÷ PingInterval + 2 ÷ ProbeInterval packets a second
//
// where neighbours is 2, or 1 when n = 2: beats, probes and answers to probes. With Fast that is 30, whatever the size of the
// cluster; and one TCP exchange per PushPull. (Of two speakers, 20 by the formula, each sends about 16: memberlist passes over
// some probes when its round is that short.)
type Timing struct {
	ProbeInterval  time.Duration
	ProbeTimeout   time.Duration // longer than any round trip on a healthy network
	SuspicionMult  int           // 3: with 2, a speaker that hears nobody declares everybody dead too quickly
	GossipInterval time.Duration // how long news waits for the next packet
	StreamTimeout  time.Duration // connecting and each read or write by TCP
	PushPull       time.Duration // how often the whole state is compared with one random peer
	PingInterval   time.Duration // between two beats for each neighbour in the ring
	MissAfter      time.Duration // without a beat, or any other message, a neighbour is missed; at least twice PingInterval
}

// Profile is a Timing with the name that a user chooses it by.
type Profile struct {
	Name   string
	Timing Timing
}

// Profiles returns all there are, the fastest first.
func Profiles() []Profile {
	return []Profile{{"fast", Fast()}, {"lan", LAN()}, {"wan", WAN()}}
}

// ParseProfile returns the Timing of a name. The error lists the names.
func ParseProfile(name string) (Timing, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p.Timing, nil
		}
		names = append(names, p.Name)
	}
	return Timing{}, fmt.Errorf("gossip profile %q: want one of %q", name, names)
}

// Fast suits speakers on one LAN.
func Fast() Timing {
	return Timing{
		ProbeInterval:  200 * time.Millisecond,
		ProbeTimeout:   100 * time.Millisecond,
		SuspicionMult:  3,
		GossipInterval: 50 * time.Millisecond,
		StreamTimeout:  500 * time.Millisecond,
		PushPull:       15 * time.Second,
		PingInterval:   100 * time.Millisecond,
		MissAfter:      250 * time.Millisecond,
	}
}

// LAN is for a LAN whose nodes are often busy, or whose packets are dear: a third of the packets, and twice to three times as slow.
func LAN() Timing {
	return Timing{
		ProbeInterval:  500 * time.Millisecond,
		ProbeTimeout:   250 * time.Millisecond,
		SuspicionMult:  3,
		GossipInterval: 100 * time.Millisecond,
		StreamTimeout:  time.Second,
		PushPull:       15 * time.Second,
		PingInterval:   250 * time.Millisecond,
		MissAfter:      650 * time.Millisecond,
	}
}

// WAN is for speakers that gossip over long or lossy lines.
func WAN() Timing {
	return Timing{
		ProbeInterval:  2 * time.Second,
		ProbeTimeout:   time.Second,
		SuspicionMult:  4,
		GossipInterval: 200 * time.Millisecond,
		StreamTimeout:  3 * time.Second,
		PushPull:       30 * time.Second,
		PingInterval:   time.Second,
		MissAfter:      3200 * time.Millisecond,
	}
}

// Notice returns the least and the greatest time from the moment a speaker falls silent until all others miss it: its last beat was
// sent up to PingInterval before, it is waited for during MissAfter, and what neighbours say of it counts after a grace. Packets on
// their way and a busy processor come on top.
func (t Timing) Notice() (least, most time.Duration) {
	return t.MissAfter - t.PingInterval, t.MissAfter + t.hearsayGrace()
}

// Detection returns the least and about the greatest time from the death of a speaker until all of the other n-1 know it.
func (t Timing) Detection(n int) (least, most time.Duration) {
	suspicion := time.Duration(float64(t.SuspicionMult) * math.Max(1, math.Log10(float64(n))) * float64(t.ProbeInterval))
	return t.ProbeInterval + suspicion, 3*t.ProbeInterval + suspicion + t.GossipInterval
}

// Packets returns how many UDP packets each of n speakers sends at most in a second of the steady state.
func (t Timing) Packets(n int) float64 {
	if n < 2 {
		return 0
	}
	return float64(min(2, n-1))/t.PingInterval.Seconds() + 2/t.ProbeInterval.Seconds()
}

func (t Timing) apply(c *memberlist.Config) {
	c.ProbeInterval = t.ProbeInterval
	c.ProbeTimeout = t.ProbeTimeout
	c.SuspicionMult = t.SuspicionMult
	c.GossipInterval = t.GossipInterval
	c.TCPTimeout = t.StreamTimeout
	c.PushPullInterval = t.PushPull
	// A node that died may come back with another address as soon as we know it to be dead.
	c.DeadNodeReclaimTime = t.ProbeInterval
}
