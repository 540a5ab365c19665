package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/speaker/gossip"
	"github.com/steelyard-lb/steelyard/test/rig"
)

const (
	// chorusName is the process of the lab in which the simulated speakers are.
	chorusName = "bench-chorus"
	// gatherLimit bounds how long they take to join.
	gatherLimit = 15 * time.Minute
	// chorusNice is their priority, as of nice(1): a hundred machines that share the processors of one must answer like machines at rest.
	chorusNice = "-10"
)

// aboutChorus says beside the table in what simulated speakers are not like true ones.
func aboutChorus() string {
	few, many := gossip.Fast().ProbeInterval, unhurried().ProbeInterval
	return fmt.Sprintf(`Of the hundred speakers %d are rings of the true gossip in one process: each has an interface that answers, says that it owns %d addresses, and
pings, exchanges states and confirms them as true speakers do. They differ in this: they decide nothing and their claims never change; they came one
after the other; they probe once in %v and not in %v, so the true ones answer %.0f probe a second each and not %.0f; and they wait longer before they
count another as dead. TCP is counted as a card would cut it, in packets of at most 1,500 bytes.`,
		voices, claimsOfEach, many, few, 1/many.Seconds(), 1/few.Seconds())
}

// restTries is how often nodes are watched until nothing happens meanwhile: on a busy machine a true speaker misses a simulated one now
// and then, and tells everybody.
const restTries = 3

// withChorus watches the nodes while simulated speakers make them a hundred; they stay until the lab goes.
func (h *hall) withChorus(ctx context.Context) (f idleFigure, err error) {
	if err := h.gatherChorus(ctx); err != nil {
		return f, fmt.Errorf("simulating speakers: %w", err)
	}
	for range restTries {
		before, err := h.chorusSays()
		if err != nil {
			return f, err
		}
		if f, err = h.idle(ctx, voices+len(h.Lab.Nodes()), h.Scale); err != nil {
			return f, err
		}
		after, err := h.chorusSays()
		if err != nil {
			return f, err
		}
		if f.unrest = strings.Join(strings.Fields(strings.TrimPrefix(after, before)), " "); f.unrest == "" {
			break
		}
		h.progress("%s: that was not at rest: %s", h.subject.name(), f.unrest)
	}
	return f, nil
}

// chorusSays returns all that the simulated speakers have said so far.
func (h *hall) chorusSays() (string, error) {
	text, err := os.ReadFile(h.Lab.LogPath(chorusName))
	if err != nil {
		return "", fmt.Errorf("reading what the simulated speakers say: %w", err)
	}
	return string(text), nil
}

// gatherChorus makes a Node that may own nothing for each simulated speaker, starts them, waits until they and the true ones know each
// other, and for a while.
func (h *hall) gatherChorus(ctx context.Context) error {
	h.progress("%s: %d simulated speakers join, one after the other", h.subject.name(), voices)
	if err := h.prepareChorus(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if err := h.Lab.Start(h.Lab.Client(), chorusName, "nice", "-n", chorusNice, self, asChorus, h.Lab.Client().MAC.String()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, gatherLimit, fmt.Errorf("waited %v", gatherLimit))
	defer cancel()
	began := time.Now()
	err = rig.Poll(ctx, func() error {
		said, err := h.chorusSays()
		if err == nil && !strings.HasSuffix(said, complete+"\n") {
			err = errors.New("the speakers have not all met: " + said[max(0, len(said)-200):])
		}
		return err
	})
	if err != nil {
		return err
	}
	h.progress("%s: all have met after %v", h.subject.name(), time.Since(began).Round(time.Second))
	return sleep(ctx, restless)
}

// prepareChorus makes the Nodes and gives the client the addresses of the simulated speakers.
func (h *hall) prepareChorus(ctx context.Context) error {
	var nodes, addrs strings.Builder
	for i := range voices {
		fmt.Fprintf(&nodes, "---\n{apiVersion: v1, kind: Node, metadata: {name: %s, labels: {node.kubernetes.io/exclude-from-external-load-balancers: \"\"}}}\n", voiceName(i))
		fmt.Fprintf(&addrs, "address add %s/24 dev %s\n", voiceAddr(i), h.Lab.Client().Interface)
	}
	if _, err := h.Lab.Kubectl(ctx, nodes.String(), "create", "-f", "-"); err != nil {
		return err
	}
	cmd := h.Lab.Client().Command(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(addrs.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("giving the client addresses: %w: %s", err, out)
	}
	return nil
}
