package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// place is where sockets can be made: a namespace, or a host of the lab.
type place interface{ Do(fn func() error) error }

// asker asks for one address on one segment, as fast as the answers come.
type asker struct {
	conn     *packet.Conn
	self     witness.MAC
	addr     netip.Addr
	question []byte
	to       packet.Addr
	buf      [2048]byte
}

func newAsker(p place, iface string, self witness.Station, q question) (*asker, error) {
	protocol, frame := unix.ETH_P_ARP, witness.Request
	if q.addr.Is6() {
		protocol, frame = unix.ETH_P_IPV6, witness.Solicitation
	}
	a := &asker{self: self.MAC, addr: q.addr, question: frame(self, q.addr, q.to)}
	a.to.HardwareAddr = net.HardwareAddr(a.question[:6])
	err := p.Do(func() error {
		ifi, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		a.conn, err = packet.Listen(ifi, packet.Raw, protocol, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening an asker: %w", err)
	}
	return a, nil
}

func (a *asker) send() error {
	if _, err := a.conn.WriteTo(a.question, &a.to); err != nil {
		return fmt.Errorf("asking for %s: %w", a.addr, err)
	}
	return nil
}

// next waits for an answer; the error is os.ErrDeadlineExceeded when none comes.
func (a *asker) next(deadline time.Time) error {
	if err := a.conn.SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("setting the deadline: %w", err)
	}
	for {
		n, _, err := a.conn.ReadFrom(a.buf[:])
		if err != nil {
			return fmt.Errorf("waiting for an answer for %s: %w", a.addr, err)
		}
		if s, ok := witness.Decode(a.buf[:n]); ok && s.Addr == a.addr && s.Dst == a.self && !s.Kind.Announcement() {
			return nil
		}
	}
}

// ask asks once and returns how long the answer took, from before the question was sent until it was read here.
func (a *asker) ask() (time.Duration, error) {
	start := time.Now()
	if err := a.send(); err != nil {
		return 0, err
	}
	err := a.next(start.Add(answerPatience))
	return time.Since(start), err
}

// rate keeps questions under way for a while and returns the answers per second.
func (a *asker) rate() (float64, error) {
	start := time.Now()
	count, under := 0, 0
	for time.Since(start) < rateFor {
		for ; under < window; under++ {
			if err := a.send(); err != nil {
				return 0, err
			}
		}
		switch err := a.next(time.Now().Add(lossAfter)); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			under = 0
		case err != nil:
			return 0, err
		default:
			count, under = count+1, under-1
		}
	}
	took := time.Since(start)
	for a.next(time.Now().Add(lossAfter)) == nil { // the stragglers are not answers to what is asked next
		continue
	}
	return float64(count) / took.Seconds(), nil
}

// lossAfter is when questions under way are given up.
const lossAfter = 50 * time.Millisecond

// drain drops what was heard while nobody listened; else there may be no room for the next answer.
func (a *asker) drain() error {
	_, err := a.hear(time.Millisecond)
	return err
}

// hear returns how many frames come within a time.
func (a *asker) hear(within time.Duration) (frames int, err error) {
	if err := a.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return 0, fmt.Errorf("setting the deadline: %w", err)
	}
	for {
		_, _, err := a.conn.ReadFrom(a.buf[:])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return frames, nil
		case err != nil:
			return frames, fmt.Errorf("listening: %w", err)
		}
		frames++
	}
}

// settled waits until the address is answered and nearly nothing else is heard: the answerer has announced everything.
func (a *asker) settled(ctx context.Context) error {
	err := rig.Poll(ctx, func() error {
		if err := a.drain(); err != nil {
			return err
		}
		_, err := a.ask()
		return err
	})
	if err != nil {
		return err
	}
	return rig.Poll(ctx, func() error {
		frames, err := a.hear(time.Second)
		if err == nil && frames > calm {
			err = fmt.Errorf("%d frames a second are heard", frames)
		}
		return err
	})
}

// calm is how many frames a second may be heard of an answerer that has announced everything: those that say each address once a
// minute are fewer.
const calm = 500
