package simnet

import (
	"slices"
	"sync"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Switch is one Ethernet segment. It floods what it has not learned, groups and broadcast, and never reorders between two ports.
type Switch struct {
	*Fabric
	mu      sync.Mutex
	ports   []*Port
	learned map[lb.MAC]*Port
}

// Port is where one interface is plugged in.
type Port struct {
	segment *Switch
	name    string // of the host, as the Fabric knows it
	receive func(frame []byte)

	mu       sync.Mutex
	up       bool
	isolated bool
	queue    []arrival // in the order of at
	wake     chan struct{}
	closed   chan struct{}
}

type arrival struct {
	at    time.Time
	frame []byte
}

// NewSwitch returns a segment without ports.
func NewSwitch(seed uint64) *Switch {
	return &Switch{Fabric: NewFabric(seed), learned: map[lb.MAC]*Port{}}
}

// Plug attaches an interface of a host. Frames that arrive are handed to receive, one after the other, until Unplug.
func (s *Switch) Plug(host string, receive func(frame []byte)) *Port {
	p := &Port{segment: s, name: host, receive: receive, up: true, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	s.mu.Lock()
	s.ports = append(s.ports, p)
	s.mu.Unlock()
	go p.deliver()
	return p
}

// Unplug ends the port for good.
func (p *Port) Unplug() {
	p.SetLink(false)
	s := p.segment
	s.mu.Lock()
	s.ports = slices.DeleteFunc(s.ports, func(o *Port) bool { return o == p })
	s.mu.Unlock()
	close(p.closed)
}

// SetLink brings the link up or down. A port without one forgets what it had learned and what was on its way.
func (p *Port) SetLink(up bool) {
	p.mu.Lock()
	p.up = up
	if !up {
		p.queue = nil
	}
	p.mu.Unlock()
	if up {
		return
	}
	s := p.segment
	s.mu.Lock()
	defer s.mu.Unlock()
	for mac, at := range s.learned {
		if at == p {
			delete(s.learned, mac)
		}
	}
}

// Up says whether the link is.
func (p *Port) Up() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

// SetIsolated keeps the port from every other isolated one, as private VLANs and wireless client isolation do.
func (p *Port) SetIsolated(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isolated = on
}

func (p *Port) isIsolated() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isolated
}

// Send takes one frame into the segment, which keeps a copy.
func (p *Port) Send(frame []byte) {
	s := p.segment
	if len(frame) < headerLen || !p.Up() || !s.leaves(p.name) {
		return
	}
	frame = slices.Clone(frame)
	dst, src := lb.MAC(frame[0:6]), lb.MAC(frame[6:12])
	s.mu.Lock()
	s.learned[src] = p
	to := []*Port{s.learned[dst]}
	if !dst.IsUnicast() || to[0] == nil {
		to = slices.Clone(s.ports)
	}
	s.mu.Unlock()
	isolated, now := p.isIsolated(), time.Now()
	for _, o := range to {
		if o == p || isolated && o.isIsolated() {
			continue
		}
		if delay, arrives := s.fate(p.name, o.name); arrives {
			o.push(now.Add(delay), frame)
		}
	}
}

func (p *Port) push(at time.Time, frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.up {
		return
	}
	if n := len(p.queue); n > 0 && at.Before(p.queue[n-1].at) {
		at = p.queue[n-1].at
	}
	p.queue = append(p.queue, arrival{at, frame})
	wake(p.wake)
}

// deliver hands over what arrives.
func (p *Port) deliver() {
	for {
		p.mu.Lock()
		var first arrival
		var wait time.Duration
		empty := len(p.queue) == 0
		if !empty {
			if wait = time.Until(p.queue[0].at); wait <= 0 {
				first, p.queue = p.queue[0], p.queue[1:]
			}
		}
		p.mu.Unlock()
		switch {
		case first.frame != nil:
			p.receive(first.frame)
		case empty:
			select {
			case <-p.wake:
			case <-p.closed:
				return
			}
		default:
			time.Sleep(wait)
		}
	}
}

// wake puts a token into a one-slot channel.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
