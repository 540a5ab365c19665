package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

const (
	frameLen = 2048                   // bytes; a request or solicitation that is longer is none
	readWait = 100 * time.Millisecond // after a read error, so that a broken socket costs no CPU
)

// port is one interface that we answer on: its sockets, their readers, its groups. It lives as long as the interface keeps
// its index and name.
type port struct {
	facts Link // as last seen by the look that follows the links
	// hiddenUntil is when a lost carrier begins to count for eligibility; zero while there is a carrier.
	hiddenUntil time.Time
	upSince     time.Time                     // since when it is published as up; zero while it is not
	link        atomic.Pointer[neighbor.Link] // what the frame path puts into frames
	families    [2]*family                    // ARP, IPv6
	groups      Groups
	done        chan struct{}
	readers     sync.WaitGroup
}

// family is one socket of a port.
type family struct {
	counters
	conn   Conn
	answer func(*neighbor.Table, neighbor.Link, []byte) neighbor.Outcome
	limit  limit // of the reader
}

// open makes the port of a link and starts its readers, which end by close.
func (w *Wire) open(l Link) (*port, error) {
	p := &port{facts: l, groups: w.host.Groups(l.Index), done: make(chan struct{})}
	p.link.Store(l.neighbor())
	arp, err := w.host.Listen(l.Index, unix.ETH_P_ARP)
	if err != nil {
		return nil, fmt.Errorf("listening for ARP on %s: %w", l.Name, err)
	}
	ndp, err := w.host.Listen(l.Index, unix.ETH_P_IPV6)
	if err != nil {
		return nil, fmt.Errorf("listening for neighbour discovery on %s: %w", l.Name, errors.Join(err, arp.Close()))
	}
	p.families = [2]*family{
		{counters: w.metrics.of(l.Name, lb.IPv4), conn: arp, answer: neighbor.AnswerARP},
		{counters: w.metrics.of(l.Name, lb.IPv6), conn: ndp, answer: neighbor.AnswerNDP},
	}
	for _, f := range p.families {
		p.readers.Go(func() { w.serve(p, f) })
	}
	return p, nil
}

// close ends the readers and waits for them.
func (w *Wire) close(p *port) {
	close(p.done)
	for _, f := range p.families {
		if err := f.conn.Close(); err != nil {
			w.log.V(1).Info("closing a socket", "interface", p.facts.Name, "reason", err.Error())
		}
	}
	p.groups.Close()
	p.readers.Wait()
	w.metrics.forget(p.facts.Name)
}

func (p *port) familyOf(addr netip.Addr) *family {
	if addr.Is4() {
		return p.families[0]
	}
	return p.families[1]
}

// serve answers the frames of one socket until it is closed.
func (w *Wire) serve(p *port, f *family) {
	buf := make([]byte, frameLen)
	for {
		n, received, err := f.conn.ReadFrame(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // ENETDOWN, once, when the interface goes down
			f.unread.Inc()
			if !p.sleep(readWait) {
				return
			}
		default:
			w.receive(p, f, buf[:n], received)
		}
	}
}

// receive answers one frame, if it is a question that we answer, and tells what it says. Whether it is stale is asked last: what
// is stopped between that and the write still answers when it wakes.
func (w *Wire) receive(p *port, f *family, frame []byte, received time.Time) {
	o := f.answer(w.table.Load(), *p.link.Load(), frame)
	now := time.Now()
	if o.Reply != nil {
		switch {
		case w.guard.stale(received, now):
			o.Reply, o.Verdict = nil, neighbor.Stale
		case w.guard.muted.Load():
			o.Reply, o.Verdict = nil, neighbor.Muted
		}
	}
	f.received[o.Verdict].Inc()
	answered := o.Reply != nil && f.send(o.Reply, f.answered[o.Verdict])
	if o.Asked.IsValid() {
		w.metrics.tallies.asked(o.Asked, answered)
	}
	if o.Seen.Kind != 0 {
		w.tell(f, o.Seen, received, now)
	}
}

// send writes a frame, counts it, and says whether it left.
func (f *family) send(frame []byte, sent prometheus.Counter) bool {
	if err := f.conn.WriteFrame(frame); err != nil {
		f.unsent.Inc()
		return false
	}
	sent.Inc()
	return true
}

// sleep waits, and says false when the port was closed meanwhile.
func (p *port) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return false
	case <-timer.C:
		return true
	}
}
