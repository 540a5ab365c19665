package nemesis

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

const (
	// pace is how often each address is looked at: the exactness of every silence.
	pace = 50 * time.Millisecond
	// calm is how long is measured before a fault, and settling how long after it was healed.
	calm     = 500 * time.Millisecond
	settling = 3 * time.Second
	// connectTimeout is when a new connection has failed. A SYN that is lost is sent again after 1 s, so one that nobody
	// answered at first is slow, not failed.
	connectTimeout = 5 * time.Second
	// streamTimeout is when a long-lived connection without an answer is broken.
	streamTimeout = 15 * time.Second
	// streamsEach is how many long-lived connections there are for each family.
	streamsEach = 5
)

// ghost is whose IP addresses the patrol asks from: nobody has them.
var ghost = witness.Station{IPv4: netip.MustParseAddr("192.168.1.90"), IPv6: netip.MustParseAddr("fd00:1::90")}

// scenario is one way of breaking things.
type scenario struct {
	name string
	tier lab.Tier
	// short says that `go test` runs it without being asked.
	short bool
	// times is how often it is run; a short run does it once.
	times int
	// over is where the speakers gossip, the LAN if empty.
	over rig.Network
	// perSecond is how many new connections are opened to an address of each family; 20 if zero.
	perSecond int
	want      limits
	// act breaks and heals.
	act func(*run)
}

// run is one time that a scenario is played.
type run struct {
	*testing.T
	*stage
	ctx context.Context
	// victim is the node that the fault is about; own are its addresses, one4 and one6 the two that get connections.
	victim     string
	owners     map[netip.Addr]string
	own        []netip.Addr
	one4, one6 netip.Addr
	// about are the addresses that may move; own unless the scenario says otherwise.
	about []netip.Addr
	// began and healed bound the fault.
	began, healed time.Time
	notes         []string
	// macs are hardware addresses beside those that the nodes have by themselves; an empty name is a stranger's.
	macs map[witness.MAC]string

	patrol     *witness.Patrol
	connectors []*witness.Connector
	streams    []*witness.Stream
	stop       func()
}

// choose returns the scenarios of a tier that an environment's choice names.
func choose(tier lab.Tier, choice string) []scenario {
	return slices.DeleteFunc(scenarios(), func(c scenario) bool {
		return c.tier != tier || choice == "" && !c.short || choice != "" && choice != "all" && !strings.Contains(c.name, choice)
	})
}

// play runs a scenario as often as it wants and returns its row.
func (s *stage) play(t *testing.T, c scenario, once bool) []row {
	times := max(1, c.times)
	if once {
		times = 1
	}
	total := row{name: c.name, want: c.want, fewest: 1 << 30}
	for range times {
		one, ok := s.playOnce(t, c)
		if !ok {
			break
		}
		total.merge(one)
	}
	if total.times == 0 {
		return nil
	}
	for _, p := range total.passed() {
		t.Error(p)
	}
	t.Log(table{total})
	if t.Failed() {
		t.Log(s.logs())
	}
	return []row{total}
}

// playOnce prepares, measures while the scenario acts, judges and mends; false when it could not do so to the end.
func (s *stage) playOnce(t *testing.T, c scenario) (result row, ok bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	r := &run{T: t, stage: s, ctx: ctx, macs: map[witness.MAC]string{}}
	defer func() {
		if err := s.mend(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("mending: %v", err)
			ok = false
		}
	}()
	if !r.prepare(c) {
		return row{}, false
	}
	defer r.stop()
	time.Sleep(calm)
	r.began = time.Now()
	c.act(r)
	if r.healed.IsZero() {
		r.healed = time.Now()
	}
	if t.Failed() && r.ctx.Err() != nil {
		return row{}, false
	}
	time.Sleep(settling)
	r.stop()
	result = r.judge(c)
	return result, true
}

// prepare waits until all is well, picks the victim and starts to measure.
func (r *run) prepare(c scenario) bool {
	ctx, cancel := context.WithTimeoutCause(r.ctx, patient, fmt.Errorf("waited %v", patient))
	defer cancel()
	err := r.mend(ctx)
	if r.bare != nil {
		over := c.over
		if over == "" {
			over = rig.LAN
		}
		err = errors.Join(err, r.bare.Regossip(ctx, over))
	} else if err == nil {
		err = r.Settled(ctx)
	}
	if err == nil {
		r.owners, err = r.stage.owners(ctx)
	}
	if err == nil {
		err = r.pick()
	}
	if err == nil {
		err = r.measure(c)
	}
	if err != nil {
		r.Errorf("before the fault: %v", err)
	}
	return err == nil
}

// pick makes the node with addresses of both families the victim, the one with the most if there are several.
func (r *run) pick() error {
	for _, n := range r.Lab.Nodes() {
		var own []netip.Addr
		var one4, one6 netip.Addr
		for _, a := range r.addrs {
			if r.owners[a] != n.Name {
				continue
			}
			if own = append(own, a); a.Is4() {
				one4 = a
			} else {
				one6 = a
			}
		}
		if one4.IsValid() && one6.IsValid() && len(own) > len(r.own) {
			r.victim, r.own, r.one4, r.one6 = n.Name, own, one4, one6
		}
	}
	r.about = r.own
	if r.victim == "" {
		return fmt.Errorf("no node has addresses of both families: %v", r.owners)
	}
	return nil
}

// measure starts the patrol and the connections. stop ends them; it may be called twice.
func (r *run) measure(c scenario) error {
	r.Witness.Forget(time.Now())
	client := r.Lab.Client()
	var err error
	if r.patrol, err = witness.NewPatrol(client, client.Interface, ghost, r.addrs, r.MACs(), pace); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.ctx)
	var all sync.WaitGroup
	r.stop = func() { cancel(); all.Wait() }
	all.Go(func() {
		if err := r.patrol.Run(ctx); err != nil {
			r.Errorf("the patrol: %v", err)
		}
	})
	for _, addr := range []netip.Addr{r.one4, r.one6} {
		target := netip.AddrPortFrom(addr, 80)
		if _, err := r.Web(ctx, addr, 80); err != nil {
			r.stop()
			return fmt.Errorf("no connection to %s: %w", addr, err)
		}
		connector := witness.NewConnector(client, target, max(20, c.perSecond), connectTimeout)
		r.connectors = append(r.connectors, connector)
		all.Go(func() { connector.Run(ctx) })
		for range streamsEach {
			s, err := witness.OpenStream(ctx, client, target, 100*time.Millisecond, streamTimeout)
			if err != nil {
				r.stop()
				return err
			}
			r.streams = append(r.streams, s)
			all.Go(func() { s.Run(ctx) })
		}
	}
	return nil
}

// name says which host has a hardware address.
func (r *run) name(m witness.MAC) string {
	if n, ok := r.macs[m]; ok {
		return n
	}
	if n := r.NodeOf(m); n != "" {
		return n
	}
	return m.String()
}

// judge makes a row of what was measured.
func (r *run) judge(c scenario) row {
	out := row{name: c.name, want: c.want, times: 1, fewest: 1 << 30}
	now := time.Now()
	record, rounds := r.Witness.Since(time.Time{}), r.patrol.Rounds(time.Time{})
	for _, addr := range r.addrs {
		looks := record.Looks(addr, rounds)
		// The last rounds may have been asked and not yet answered when the patrol ended.
		v := witness.Judge(looks, r.name, r.began.Add(-calm), now.Add(-2*pace))
		after := witness.Judge(looks, r.name, r.healed, now.Add(-2*pace))
		out.add(v, addr.Is6(), slices.Contains(r.about, addr), after.Doubt)
		if v.Moves() > 0 || v.Silence > 4*pace || v.Doubt > 0 {
			r.Logf("%s: owners %v; silent for %v from %v after the fault began; two for %v from %v; after the heal two for %v", addr, v.Owners,
				ms(v.Silence), r.sinceBegan(v.SilentAt), ms(v.Doubt), r.sinceBegan(v.DoubtAt), ms(after.Doubt))
		}
	}
	for _, x := range r.connectors {
		for _, a := range x.Attempts() {
			if out.connections++; !a.OK() {
				out.failed++
			}
		}
	}
	for _, s := range r.streams {
		if out.streams++; s.Err() != nil {
			out.broken++
		}
	}
	if lost, err := r.Witness.Lost(); err != nil || lost > 0 {
		r.Errorf("the witness missed %d frames, %v: what it did not hear proves nothing", lost, err)
	}
	if out.pace > 5*pace {
		out.notes = append(out.notes, fmt.Sprintf("the patrol paused for %v: this machine was too busy to be exact", ms(out.pace)))
	}
	out.notes = append(out.notes, r.notes...)
	return out
}

// sinceBegan is how long after the fault began something was; 0 for what never was.
func (r *run) sinceBegan(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return ms(t.Sub(r.began))
}

// note adds a line below the table.
func (r *run) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}
