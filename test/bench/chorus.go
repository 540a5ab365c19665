package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

const (
	// asChorus is the word by which this program is started as the simulated speakers, followed by their hardware address.
	asChorus = "chorus"
	// voices are the simulated speakers; with the nodes of the lab they are a hundred.
	voices = 97
	// entrance is the time from one to the next, so that all can join on few processors.
	entrance = 200 * time.Millisecond
	// claimsOfEach is what each says that it owns: its share of 10,000 addresses.
	claimsOfEach = 100
	// complete is what the chorus prints when all speakers know each other.
	complete = "all speakers have met"
	// bareKey is the gossip secret of a rig.Bare.
	bareKey = "the cluster's key"
	// gossipPort is where all speakers gossip.
	gossipPort = 17944
	// realSpeakers are the nodes of the lab.
	realSpeakers = 3
)

func voiceName(i int) string { return fmt.Sprintf("voice-%02d", i) }

// voiceAddr is above the addresses of the lab's nodes and its client.
func voiceAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 168, 1, byte(101 + i)}) }

// chorus is many speakers in one process, as far as the others see them: real gossip, with interfaces and claims that stay as they
// are. The host that they are on answers for their addresses. They decide nothing.
func chorus(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s %q: want one argument", asChorus, args)
	}
	mac, err := net.ParseMAC(args[0])
	if err != nil {
		return fmt.Errorf("%s: %w", asChorus, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	all, ctx := errgroup.WithContext(ctx)
	var rings []*gossip.Ring
	for i := range voices {
		r, err := gossip.New(gossip.Config{Node: voiceName(i), Bind: netip.AddrPortFrom(voiceAddr(i), gossipPort), Secret: []byte(bareKey), Peers: leaders,
			Timing: unhurried()})
		if err != nil {
			return fmt.Errorf("making a ring: %w", err)
		}
		r.Publish(voice(i, lb.MAC(mac)))
		rings = append(rings, r)
		all.Go(func() error {
			time.Sleep(time.Duration(i) * entrance)
			if err := r.Run(ctx); err != nil {
				return fmt.Errorf("%s: %w", voiceName(i), err)
			}
			return nil
		})
	}
	all.Go(func() error { return awaitAll(ctx, rings) })
	return all.Wait()
}

// unhurried is how they gossip: they ping as often as the true ones, and ask and suspect so seldom that a hundred fit on the
// processors of one machine beside what is measured. A true speaker so answers one of memberlist's probes a second and not five.
func unhurried() gossip.Timing {
	t := gossip.Fast()
	t.ProbeInterval, t.ProbeTimeout, t.SuspicionMult, t.MissAfter = time.Second, 500*time.Millisecond, 6, 10*time.Second
	return t
}

// leaders are those through whom all find each other: the nodes of the lab.
func leaders() (out []netip.AddrPort) {
	for i := range realSpeakers {
		out = append(out, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 1, byte(11 + i)}), gossipPort))
	}
	return out
}

// voice is what one of them says of itself.
func voice(i int, mac lb.MAC) lb.Speaker {
	s := lb.Speaker{Node: voiceName(i), Interfaces: []lb.Interface{{
		Name: "eth0", Up: true, MACs: []lb.MAC{mac}, Addrs: []netip.Addr{voiceAddr(i)}, Prefixes: []netip.Prefix{netip.PrefixFrom(voiceAddr(i), 24).Masked()},
	}}}
	for j := range claimsOfEach {
		s.Claims = append(s.Claims, lb.Claim{
			Addr: netip.AddrFrom4([4]byte{10, 220, byte(i), byte(j)}), Standby: voiceName((i + 1) % voices), Evidence: voices, Cause: lb.CauseFree, Since: time.Now(),
		})
	}
	return s
}

// awaitAll says so when every one of them has the word of everybody.
func awaitAll(ctx context.Context, rings []*gossip.Ring) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		least := voices + realSpeakers
		for _, r := range rings {
			least = min(least, len(r.Speakers()))
		}
		if least == voices+realSpeakers {
			fmt.Println(complete)
			return nil
		}
		fmt.Printf("somebody has heard of %d only\n", least)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
