package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
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
	// claimsOfEach is what each says that it owns: its share of 10,000 addresses.
	claimsOfEach = 100
	// complete is what the chorus prints when all speakers know each other and nobody counts as silent.
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
// are. The host that they are on answers for their addresses. They decide nothing. Each comes when those before it and the true ones
// have met: should all come at once, two processors would be so late with their answers that the true speakers count them as dead,
// which makes more work, and so on without an end.
func chorus(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s %q: want one argument", asChorus, args)
	}
	mac, err := net.ParseMAC(args[0])
	if err != nil {
		return fmt.Errorf("%s: %w", asChorus, err)
	}
	debug.SetGCPercent(gcPercent)
	if err := hurry(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	all, ctx := errgroup.WithContext(ctx)
	var rings []*gossip.Ring
	var came roll
	for i := range voices {
		r, err := gossip.New(gossip.Config{Node: voiceName(i), Bind: netip.AddrPortFrom(voiceAddr(i), gossipPort), Secret: []byte(bareKey),
			Peers: func() []netip.AddrPort { return came.peersOf(i, time.Now()) }, Timing: unhurried()})
		if err != nil {
			return fmt.Errorf("making a ring: %w", err)
		}
		r.Publish(voice(i, lb.MAC(mac)))
		rings = append(rings, r)
		came.add(time.Now())
		all.Go(func() error {
			if err := r.Run(ctx); err != nil {
				return fmt.Errorf("%s: %w", voiceName(i), err)
			}
			return nil
		})
		awaitMet(ctx, rings)
	}
	watchOver(ctx, rings)
	return all.Wait()
}

// hurry gives the process the priority chorusNice against those of other sessions, between which nice(1) does nothing where the kernel
// groups processes by session (sched(7), the autogroup feature). Where it does not, nice(1) is enough.
func hurry() error {
	err := os.WriteFile("/proc/self/autogroup", []byte(chorusNice), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("setting the priority: %w", err)
	}
	return nil
}

// gcPercent lets the garbage of a hundred speakers grow to twice what is in use: they hold everybody's claims a hundred times.
const gcPercent = 200

// unhurried is how they gossip: they ping as often as the true ones, and ask and suspect so seldom that a hundred fit on the
// processors of one machine beside what is measured. A true speaker so answers one of memberlist's probes a second and not five.
func unhurried() gossip.Timing {
	t := gossip.Fast()
	t.ProbeInterval, t.ProbeTimeout, t.SuspicionMult, t.MissAfter = time.Second, 500*time.Millisecond, 6, 10*time.Second
	t.StreamTimeout = 5 * time.Second
	return t
}

// roll is when the latest of them came, and how many there are. It is safe for concurrent use.
type roll struct {
	mu     sync.Mutex
	count  int
	latest time.Time
}

func (r *roll) add(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.latest = now
}

// newsTime is how long they wait for the news of another.
const newsTime = 2 * time.Second

// peersOf returns where one of them looks for others: at the nodes of the lab; and if memberlist's news of the latest were lost, the
// latest at all of its kind, and they at it. A true speaker looks for everybody at any time, and exchanges states with each that it
// misses; a hundred that do so on few processors have no time for anything else.
func (r *roll) peersOf(i int, now time.Time) []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, last := leaders(), r.count-1
	if now.Sub(r.latest) < newsTime {
		return out
	}
	for j := range r.count {
		if j != i && (i == last || j == last) {
			out = append(out, netip.AddrPortFrom(voiceAddr(j), gossipPort))
		}
	}
	return out
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

// lookEvery is how often the rings are asked whom they know.
const lookEvery = 100 * time.Millisecond

// awaitMet returns when each ring has the word of all the others and of the true speakers, or when ctx ends.
func awaitMet(ctx context.Context, rings []*gossip.Ring) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	waiting := rings
	for began := time.Now(); ; {
		for len(waiting) > 0 && len(waiting[0].Speakers()) == len(rings)+realSpeakers {
			waiting = waiting[1:]
		}
		if len(waiting) == 0 {
			fmt.Printf("%d simulated speakers, the last after %v\n", len(rings), time.Since(began).Round(time.Millisecond))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watchOver prints whether all count as alive, each time that this changes, until ctx ends.
func watchOver(ctx context.Context, rings []*gossip.Ring) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := ""; ; {
		if now := silent(rings); now != last {
			fmt.Println(now)
			last = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// silent says which speakers are not alive to somebody; complete when there is none.
func silent(rings []*gossip.Ring) string {
	missed := map[string]bool{}
	for _, r := range rings {
		for _, p := range r.Peers() {
			if p.Gossip != lb.Alive {
				missed[p.Node] = true
			}
		}
	}
	if len(missed) == 0 {
		return complete
	}
	return fmt.Sprintf("silent: %v", slices.Sorted(maps.Keys(missed)))
}
