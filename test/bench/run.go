package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// bench is one run.
type bench struct {
	*rig.Rig
	options
	start time.Time
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%6.1f s] %s\n", time.Since(b.start).Seconds(), fmt.Sprintf(format, args...))
}

// run measures every subject on one lab and writes the table.
func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o, start: time.Now()}
	p, forget, err := preparePeer(o.Peer)
	if err != nil {
		return err
	}
	defer forget()
	t := table{options: o, results: subjects(o, p)}
	if o.has("failover", "allocation") {
		if err := b.inFullLab(ctx, p, &t); err != nil {
			return err
		}
	}
	if o.has("plan") {
		b.progress("plans of %d Services", o.Scale)
		t.plans = plans(o.Scale)
	}
	if o.has("idle", "takeover") {
		if err := b.crowded(ctx, p, &t); err != nil {
			return err
		}
	}
	if o.has("answer") {
		if t.answers, err = b.answers(ctx); err != nil {
			return fmt.Errorf("asking: %w", err)
		}
	}
	if o.has("scale", "leader") {
		for i, c := range brains(o, p) {
			if t.results[i].scale, err = b.atScale(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", c.title, err)
			}
		}
	}
	return publish(t.markdown(), o.Out)
}

// preparePeer reads the file that describes another implementation and makes its secret, which forget removes; without a file there
// is no peer.
func preparePeer(file string) (p *peer, forget func(), err error) {
	if file == "" {
		return nil, func() {}, nil
	}
	if p, err = readPeer(file); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "steelyard-bench-")
	if err != nil {
		return nil, nil, fmt.Errorf("making a directory for the peer's secret: %w", err)
	}
	forget = func() { _ = os.RemoveAll(dir) } // what is left there is in the system's own place for such things
	if err := p.makeSecret(dir); err != nil {
		forget()
		return nil, nil, err
	}
	return p, forget, nil
}

// subjects are the columns of the table, still empty.
func subjects(o options, p *peer) (all []result) {
	for _, c := range brains(o, p) {
		all = append(all, result{name: c.title, own: o.Own && len(all) == 0})
	}
	return all
}

// inFullLab measures every subject with nodes, and the floor.
func (b *bench) inFullLab(ctx context.Context, p *peer, t *table) (err error) {
	b.progress("the lab comes up")
	l, err := lab.Up(ctx, lab.Options{Tier: lab.Full, Name: b.LabName, Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	if b.Rig, err = rig.New(l); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return b.measureAll(ctx, p, t)
}

func publish(text, path string) error {
	fmt.Print(text)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// measureAll measures the floor and then one subject after the other.
func (b *bench) measureAll(ctx context.Context, p *peer, t *table) (err error) {
	if _, err := b.Lab.Kubectl(ctx, workload, "apply", "-f", "-"); err != nil {
		return fmt.Errorf("starting the web servers: %w", err)
	}
	if b.Burst > 0 && b.has("allocation") {
		b.progress("the floor: %d Services that nobody serves are made, and a bare loop patches their statuses", b.Burst)
		if t.floorMade, t.floor, err = b.floor(ctx, b.Burst); err != nil {
			return err
		}
	}
	var subjects []subject
	if b.Own {
		subjects = append(subjects, installed{b.Rig})
	}
	if p != nil {
		subjects = append(subjects, processes{Rig: b.Rig, peer: p})
	}
	for i, s := range subjects {
		if err = b.measure(ctx, s, &t.results[i]); err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	return nil
}

// result is what was measured of one subject.
type result struct {
	name              string
	own               bool // Steelyard
	announced, served samples
	oneByOne          samples
	made, addressed   time.Duration
	released          time.Duration
	idle, busy        cost
	scale             scaleResult
	crowd             crowdFigures
}

// cost is what the programs used in a period: the largest resident memory at its end, and CPU time within it.
type cost struct {
	period                        time.Duration
	controllerRSS, speakerRSS     int64
	controllerCPU, speakersCPU    time.Duration
	controllerCount, speakerCount int
}

// idleFor is the period over which the idle cost is taken.
const idleFor = 20 * time.Second

// measure installs a subject, measures it and removes it.
func (b *bench) measure(ctx context.Context, s subject, r *result) (err error) {
	b.progress("%s: installing", r.name)
	if err := s.install(ctx); err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	defer func() { err = errors.Join(err, b.clear(ctx), s.remove(ctx)) }()
	addr, err := b.serve(ctx)
	if err != nil {
		return err
	}
	b.progress("%s: idle for %v", r.name, idleFor)
	if r.idle, err = b.costOf(ctx, s, func() error { return sleep(ctx, idleFor) }); err != nil {
		return err
	}
	if b.has("allocation") {
		if err := b.crowds(ctx, s, r); err != nil {
			return err
		}
	}
	if !b.has("failover") {
		return nil
	}
	r.announced, r.served, err = b.cuts(ctx, s, addr, b.Cuts)
	return err
}

// crowds measures allocation.
func (b *bench) crowds(ctx context.Context, s subject, r *result) (err error) {
	if b.Services > 0 {
		b.progress("%s: %d Services one at a time", r.name, b.Services)
		if r.oneByOne, err = b.oneByOne(ctx, b.Services); err != nil {
			return err
		}
	}
	if b.Burst == 0 {
		return nil
	}
	b.progress("%s: %d Services at once", r.name, b.Burst)
	r.busy, err = b.costOf(ctx, s, func() (err error) {
		r.made, r.addressed, err = b.burst(ctx, b.Burst)
		return err
	})
	if err := errors.Join(err, b.dismiss(ctx)); err != nil {
		return err
	}
	b.progress("%s: a pool for %d waiting Services", r.name, b.Burst)
	r.released, err = b.release(ctx, b.Burst)
	return errors.Join(err, b.dismiss(ctx))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// costOf runs f and returns what the subject's programs used meanwhile.
func (b *bench) costOf(ctx context.Context, s subject, f func() error) (cost, error) {
	before, err := s.usage(ctx)
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	if err := f(); err != nil {
		return cost{}, err
	}
	c := cost{period: time.Since(start)}
	after, err := s.usage(ctx)
	if err != nil {
		return cost{}, err
	}
	c.controllerRSS, c.speakerRSS = largestRSS(after.controllers), largestRSS(after.speakers)
	c.controllerCPU = totalCPU(after.controllers) - totalCPU(before.controllers)
	c.speakersCPU = totalCPU(after.speakers) - totalCPU(before.speakers)
	c.controllerCount, c.speakerCount = len(after.controllers), len(after.speakers)
	return c, nil
}

// serve makes the pools and the Service whose owner is to lose its power, and waits until it works.
func (b *bench) serve(ctx context.Context) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if _, err := b.Lab.Kubectl(ctx, objects, "apply", "-f", "-"); err != nil {
		return netip.Addr{}, err
	}
	addrs, err := b.Addresses(ctx, client.ObjectKey{Namespace: "bench", Name: "web"}, 1)
	if err != nil {
		return netip.Addr{}, err
	}
	_, err = b.Web(ctx, addrs[0], 80)
	return addrs[0], err
}

// clear removes what serve made and waits until nobody answers for it.
func (b *bench) clear(ctx context.Context) error {
	_, err := b.Lab.Kubectl(ctx, objects, "delete", "--ignore-not-found", "--wait", "-f", "-")
	return err
}
