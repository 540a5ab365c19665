package main

import (
	"context"
	"fmt"
	"time"

	"github.com/steelyard-lb/steelyard/internal/liveness"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

// restFor is the period over which nodes in the steady state are watched: one in which every address is announced once.
const restFor = time.Minute

// idleFigure is what three nodes did while nothing happened.
type idleFigure struct {
	cost
	speakers int // in gossip
	services int
	nodes    int     // that were watched
	sent     traffic // by all of them
	// unrest is what the simulated speakers said meanwhile of others that seemed silent; empty when nothing happened, as it should.
	unrest string
}

// idle watches the nodes while nothing happens.
func (h *hall) idle(ctx context.Context, speakers, services int) (f idleFigure, err error) {
	f = idleFigure{speakers: speakers, services: services, nodes: len(h.Lab.Nodes())}
	h.progress("%s: idle for %v, with %d speakers and %d Services", h.subject.name(), restFor, speakers, services)
	f.sent, err = trafficOf(ctx, h.Lab, func() (err error) {
		f.cost, err = h.costOf(ctx, h.subject, func() error { return sleep(ctx, restFor) })
		return err
	})
	if err == nil { // the table comes late, and not at all when what follows fails
		h.progress("%s: frames %s; memory and CPU %s", h.subject.name(), f.frames(h.own), f.use())
	}
	return f, err
}

// perSecond is a number of frames as an average of one node.
func (f idleFigure) perSecond(frames int) float64 {
	if f.nodes == 0 || f.period == 0 {
		return 0
	}
	return float64(frames) / float64(f.nodes) / f.period.Seconds()
}

// formsIPv4 is the number of frames by which an IPv4 address is announced: a request and a reply, since there are hosts that heed
// only one of them.
const formsIPv4 = 2

// formula is what Steelyard's documentation says that a node sends a second: questions and answers between hosts, announcements,
// and packets of gossip.
func (f idleFigure) formula() (probing, announcing, gossiping float64) {
	probing = float64(liveness.BudgetPerSecond(f.speakers).Total())
	announcing = formsIPv4 * float64(f.services) / float64(f.nodes) / neighbor.Refresh.Seconds()
	return probing, announcing, gossip.Fast().Packets(f.speakers)
}

// frames prints the frames a second: measured, and by the formula.
func (f idleFigure) frames(own bool) string {
	if f.period == 0 {
		return "–"
	}
	s := fmt.Sprintf("%.1f / %.1f / %.1f / %.1f / %.1f", f.perSecond(f.sent.probing()), f.perSecond(f.sent.announcements), f.perSecond(f.sent.udp),
		f.perSecond(f.sent.tcp), f.perSecond(f.sent.others))
	if own {
		probing, announcing, gossiping := f.formula()
		s += fmt.Sprintf(" (formula %.0f / %.1f / %.0f / – / –)", probing, announcing, gossiping)
	}
	if f.unrest != "" {
		s += "; not at rest: " + f.unrest
	}
	return s
}

// use prints the memory of the largest speaker and the CPU of one, on average.
func (f idleFigure) use() string {
	if f.speakerCount == 0 {
		return "–"
	}
	perMinute := f.speakersCPU.Seconds() / float64(f.speakerCount) / f.period.Minutes()
	return fmt.Sprintf("%s / %.2f s", mebibytes(f.speakerRSS), perMinute)
}
