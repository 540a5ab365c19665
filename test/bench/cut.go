package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// cutLimit bounds everything that one power cut brings with it.
const cutLimit = 3 * time.Minute

// connectionsPerSecond is the pace of the client's new connections during a cut: it bounds how exact "first success" is.
const connectionsPerSecond = 100

// cuts cuts the power of whoever owns addr, n times, and returns the times to the first announcement by another node and to
// the first new connection that was answered.
func (b *bench) cuts(ctx context.Context, sub subject, addr netip.Addr, n int) (announced, served samples, err error) {
	for i := range n {
		a, s, err := b.cut(ctx, sub, addr)
		if err != nil {
			return announced, served, fmt.Errorf("power cut %d: %w", i+1, err)
		}
		b.progress("%s: power cut %d of %d: announced after %v, served after %v", sub.name(), i+1, n, a.Round(time.Millisecond), s.Round(time.Millisecond))
		announced, served = append(announced, a), append(served, s)
	}
	return announced, served, nil
}

func (b *bench) cut(ctx context.Context, sub subject, addr netip.Addr) (announced, served time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, cutLimit)
	defer cancel()
	owner, err := b.settled(ctx, addr)
	if err != nil {
		return 0, 0, err
	}
	announced, served, err = b.outage(ctx, sub, addr, owner)
	if err := errors.Join(err, b.Lab.RestorePower(ctx, owner), sub.revived(ctx, owner)); err != nil {
		return 0, 0, err
	}
	return announced, served, nil
}

// quiet is how long one node must have been the only one heard before the next cut, longer than any series of announcements.
const quiet = 5 * time.Second

// settled waits until one node is the only answerer and has been the only one heard for a while, and returns it.
func (b *bench) settled(ctx context.Context, addr netip.Addr) (string, error) {
	var owner string
	err := rig.Poll(ctx, func() error {
		since := time.Now()
		var err error
		if owner, err = b.Owner(ctx, addr); err != nil {
			return err
		}
		waited, cancel := context.WithTimeout(ctx, quiet)
		defer cancel()
		other, err := b.Witness.Await(waited, since, func(r witness.Record) bool {
			_, disturbed := r.FirstAnnouncementByOther(addr, b.MACOf(owner), since)
			return disturbed
		})
		if err == nil {
			return fmt.Errorf("the address is still moving: %s", other.Of(addr))
		}
		return nil
	})
	return owner, err
}

// outage cuts the power and measures until a new connection is answered again.
func (b *bench) outage(ctx context.Context, sub subject, addr netip.Addr, owner string) (announced, served time.Duration, err error) {
	connector := witness.NewConnector(b.Lab.Client(), netip.AddrPortFrom(addr, 80), connectionsPerSecond, time.Second)
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); connector.Run(running) }()
	defer func() { stop(); <-ended }()
	if _, err := b.Web(ctx, addr, 80); err != nil {
		return 0, 0, err
	}
	cut := time.Now()
	if err := b.Lab.SetLink(owner, "lan", false); err != nil {
		return 0, 0, err
	}
	dark := time.Now() // what starts from here on cannot be the old owner's doing
	if err := errors.Join(b.Lab.CutPower(owner), sub.died(owner)); err != nil {
		return 0, 0, err
	}
	mac := b.MACOf(owner)
	heard, err := b.Witness.Await(ctx, cut, func(r witness.Record) bool {
		_, ok := r.FirstAnnouncementByOther(addr, mac, cut)
		return ok
	})
	if err != nil {
		return 0, 0, fmt.Errorf("nobody took over: %w", err)
	}
	first, _ := heard.FirstAnnouncementByOther(addr, mac, cut)
	var back witness.Attempt
	err = rig.Poll(ctx, func() error {
		var ok bool
		if back, ok = connector.Attempts().FirstSuccess(dark); !ok {
			return errors.New("no new connection was answered")
		}
		return nil
	})
	return first.Time.Sub(cut), back.End().Sub(cut), err
}
