package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/steelyard-lb/steelyard/test/witness"
)

const (
	// answerRounds is how often the answerers take turns, so that what else the machine does is shared among them.
	answerRounds = 9
	// questionsPerRound are asked one after the other, each after the answer to the one before.
	questionsPerRound = 1000
	// rateFor is how long each is asked as quickly as it answers, with this many questions under way.
	rateFor = 500 * time.Millisecond
	window  = 32
	// answerPatience is how long an answer is waited for.
	answerPatience = time.Second
)

// questions are the ways of asking, in the order of the rows.
func questions() [3]question {
	addr := asked()
	return [3]question{
		{"ARP request to all", addr[0], witness.Broadcast},
		{"NS to the solicited-node group", addr[1], witness.Broadcast},
		{"NS to the owner alone", addr[1], farMAC()},
	}
}

// question is one way of asking for an address.
type question struct {
	what string
	addr netip.Addr
	to   witness.MAC
}

// contestant is one answerer: the number of its addresses, half of each family, and whether it is the bare one.
type contestant struct {
	name string
	bare bool
	n    int
}

func (b *bench) contestants() []contestant {
	return []contestant{
		{"bare, 1 + 1 address", true, 2}, {"Steelyard, 1 + 1", false, 2},
		{fmt.Sprintf("bare, %[1]d + %[1]d", b.Scale/2), true, b.Scale}, {fmt.Sprintf("Steelyard, %[1]d + %[1]d", b.Scale/2), false, b.Scale},
	}
}

// answerFigure is what was measured of one answerer, for each way of asking.
type answerFigure struct {
	contestant
	asked [3]answerTimes
}

// answerTimes has, for each round, the median and the 99th percentile of the times until the answer, and answers per second.
type answerTimes struct {
	medians, tails samples
	rates          []float64
}

// answers measures a bare answerer and speaker/wire, each with one address of each family and with many, in one run.
func (b *bench) answers(ctx context.Context) (figures []answerFigure, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var askers [][]*asker
	for _, c := range b.contestants() {
		b.progress("an answerer starts: %s", c.name)
		a, stop, err := behindCable(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		defer func() { err = errors.Join(err, stop()) }()
		askers, figures = append(askers, a), append(figures, answerFigure{contestant: c})
	}
	for i, f := range figures {
		for _, a := range askers[i] {
			if err := a.settled(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	for round := range answerRounds {
		b.progress("asking, round %d of %d", round+1, answerRounds)
		for i := range figures {
			for j, a := range askers[i] {
				if err := figures[i].asked[j].measure(a); err != nil {
					return nil, fmt.Errorf("%s: %w", figures[i].name, err)
				}
			}
		}
	}
	return figures, nil
}

// behindCable starts an answerer behind a cable of its own and returns what asks it. The bare one has an ICMPv6 socket, which gets
// nothing that is not for an address of the host or a group, so nobody asks it alone.
func behindCable(ctx context.Context, who contestant) (askers []*asker, stop func() error, err error) {
	c, err := newCable()
	if err != nil {
		return nil, nil, err
	}
	end, err := c.far.child(ctx, asAnswerer, strconv.FormatBool(who.bare), strconv.Itoa(who.n))
	if err != nil {
		return nil, nil, errors.Join(err, c.close())
	}
	stop = func() error {
		for _, a := range askers {
			_ = a.conn.Close() // nothing more is asked
		}
		return errors.Join(end(), c.close())
	}
	for _, q := range questions() {
		if who.bare && q.addr.Is6() && q.to != witness.Broadcast {
			continue
		}
		a, err := newAsker(c.near, nearEnd, nearStation(), q)
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		askers = append(askers, a)
	}
	return askers, stop, nil
}

func (t *answerTimes) measure(a *asker) error {
	var round samples
	if err := a.drain(); err != nil {
		return err
	}
	for range questionsPerRound {
		took, err := a.ask()
		if err != nil {
			return err
		}
		round = append(round, took)
	}
	rate, err := a.rate()
	if err != nil {
		return err
	}
	t.medians, t.tails = append(t.medians, round.quantile(0.5)), append(t.tails, round.quantile(0.99))
	t.rates = append(t.rates, rate)
	return nil
}
