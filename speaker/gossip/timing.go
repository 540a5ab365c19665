package gossip

import (
	"math"
	"time"

	"github.com/hashicorp/memberlist"
)

// Timing says how fast the death of a speaker is noticed, and at what price.
//
// Each speaker probes one peer per ProbeInterval, round robin in a shuffled order. A probe that is not answered within
// ProbeTimeout is tried through other peers until the interval is over, then the peer is suspect. A suspect has
//
//	SuspicionMult × max(1, log10(n)) × ProbeInterval
//
// to speak up (n speakers; up to 6 times as long for an observer whom no other peer confirms), and is then declared dead by
// everybody. From the cut this takes, for n speakers of which n-1 are probing,
//
//	at best    ProbeInterval + suspicion
//	at worst   about 3 × ProbeInterval + suspicion + GossipInterval
//
// With Fast that is 0.8 s to 1.3 s for 3 to 10 speakers, and each speaker sends about 10 packets a second.
type Timing struct {
	ProbeInterval  time.Duration
	ProbeTimeout   time.Duration // longer than any round trip on a healthy network
	SuspicionMult  int           // 3: with 2, a speaker that hears nobody declares everybody dead too quickly
	GossipInterval time.Duration // how long news waits for the next packet
	StreamTimeout  time.Duration // connecting and each read or write by TCP
	PushPull       time.Duration // how often the whole state is compared with one random peer
	PingInterval   time.Duration // between two beats for each neighbour in the ring
	MissAfter      time.Duration // without a beat, or any other message, a neighbour is missed
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

// Detection returns the least and about the greatest time from the death of a speaker until all of the other n-1 know it.
func (t Timing) Detection(n int) (least, most time.Duration) {
	suspicion := time.Duration(float64(t.SuspicionMult) * math.Max(1, math.Log10(float64(n))) * float64(t.ProbeInterval))
	return t.ProbeInterval + suspicion, 3*t.ProbeInterval + suspicion + t.GossipInterval
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
