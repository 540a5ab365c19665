package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// takeover is the death of a node that owned many addresses.
type takeover struct {
	addresses int
	// first, median and last are when another node first announced an address, from the power cut.
	first, median, last time.Duration
}

// takeoverLimit bounds how long the announcements are waited for.
const takeoverLimit = time.Minute

// owners returns who announced each address last.
func owners(heard witness.Record) map[netip.Addr]witness.MAC {
	out := map[netip.Addr]witness.MAC{}
	for _, s := range heard {
		if s.Kind.Announcement() && inCrowd(s.Addr) {
			out[s.Addr] = s.Src
		}
	}
	return out
}

// crowdAddr is the i-th address of the crowd's pool.
func crowdAddr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(200 + i>>16), byte(i >> 8), byte(i)})
}

func inCrowd(a netip.Addr) bool { return netip.MustParsePrefix("10.200.0.0/15").Contains(a) }

// takeOver cuts the power of the node that owns the most addresses, and gives it back when the others have announced them all.
func (h *hall) takeOver(ctx context.Context, since time.Time) (t takeover, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	victim, addrs := h.richest(h.Witness.Since(since))
	h.progress("%s: the power of %s is cut, which owns %d addresses", h.subject.name(), victim, len(addrs))
	if _, err := h.Witness.Lost(); err != nil { // from now on
		return t, err
	}
	cut := time.Now()
	if err := errors.Join(h.Lab.SetLink(victim, "lan", false), h.Lab.CutPower(victim), h.subject.died(victim)); err != nil {
		return t, err
	}
	t, err = h.watchTakeover(ctx, cut, h.MACOf(victim), addrs)
	if err != nil {
		return t, err
	}
	h.progress("%s: announced after %v (first), %v (median), %v (last)", h.subject.name(), t.first, t.median, t.last)
	if err := errors.Join(h.Lab.RestorePower(ctx, victim), h.subject.revived(ctx, victim)); err != nil {
		return t, err
	}
	return t, h.calm(ctx)
}

// richest returns the node with the most addresses, and them.
func (h *hall) richest(heard witness.Record) (node string, addrs map[netip.Addr]bool) {
	by := map[witness.MAC]map[netip.Addr]bool{}
	for a, mac := range owners(heard) {
		if by[mac] == nil {
			by[mac] = map[netip.Addr]bool{}
		}
		by[mac][a] = true
	}
	for _, mac := range h.MACs() {
		if len(by[mac]) > len(addrs) {
			node, addrs = h.NodeOf(mac), by[mac]
		}
	}
	return node, addrs
}

// watchTakeover waits until each address has been announced by another node than dead.
func (h *hall) watchTakeover(ctx context.Context, cut time.Time, dead witness.MAC, addrs map[netip.Addr]bool) (t takeover, err error) {
	waiting, cancel := context.WithTimeout(ctx, takeoverLimit)
	defer cancel()
	var first samples
	for err == nil {
		if first = firstByOther(h.Witness.Since(cut), cut, dead, addrs); len(first) == len(addrs) {
			break
		}
		err = sleep(waiting, time.Second) // looking takes a processor away from those that are measured
	}
	if err != nil {
		lost, _ := h.Witness.Lost() // for the message only
		return t, fmt.Errorf("%d of %d addresses were announced by another node (%d frames were not recorded): %w", len(first), len(addrs), lost, err)
	}
	lost, err := h.Witness.Lost()
	if err == nil && lost > 0 {
		h.progress("%d frames were not recorded: a later announcement may have counted for a first", lost)
	}
	return takeover{len(addrs), first.quantile(0), first.quantile(0.5), first.quantile(1)}, err
}

// firstByOther returns for each address that another node than dead has announced, how long after the cut it first did.
func firstByOther(r witness.Record, cut time.Time, dead witness.MAC, addrs map[netip.Addr]bool) (out samples) {
	seen := map[netip.Addr]bool{}
	for _, s := range r {
		if !addrs[s.Addr] || seen[s.Addr] || !s.Kind.Announcement() || s.Src == dead || s.Payload == dead || s.Time.Before(cut) {
			continue
		}
		seen[s.Addr] = true
		out = append(out, s.Time.Sub(cut))
	}
	return out
}
