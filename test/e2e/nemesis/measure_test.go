package nemesis

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// startPatrol begins to ask for every address. stop ends it, and the connections; it may be called twice.
func (r *run) startPatrol() error {
	r.Witness.Forget(time.Now())
	client := r.Lab.Client()
	var err error
	if r.patrol, err = witness.NewPatrol(client, client.Interface, ghost, r.addrs, r.MACs(), pace); err != nil {
		return err
	}
	r.measuring = new(sync.WaitGroup)
	var ctx context.Context
	ctx, cancel := context.WithCancel(r.ctx)
	r.until, r.stop = ctx, func() { cancel(); r.measuring.Wait() }
	r.measuring.Go(func() {
		if err := r.patrol.Run(ctx); err != nil {
			r.Errorf("the patrol: %v", err)
		}
	})
	return nil
}

// quiet is how long every address must have had one and the same answerer before a fault.
const quiet = 2 * time.Second

// settle waits until all is quiet, and says who owns what.
func (r *run) settle(ctx context.Context) error {
	start := time.Now()
	return rig.Poll(ctx, func() error {
		now := time.Now()
		if now.Sub(start) < quiet+2*pace {
			return fmt.Errorf("all was not quiet for %v yet", quiet)
		}
		r.owners = map[netip.Addr]string{}
		for addr, v := range r.verdicts(now.Add(-quiet-2*pace), now.Add(-2*pace)) {
			if !v.Settled() {
				return fmt.Errorf("%s is not settled: %+v", addr, v)
			}
			r.owners[addr] = v.Owners[0]
		}
		return nil
	})
}

// verdicts judges every address by the rounds in [from, to).
func (r *run) verdicts(from, to time.Time) map[netip.Addr]witness.Verdict {
	record, rounds := r.Witness.Since(from), r.patrol.Rounds(from)
	out := map[netip.Addr]witness.Verdict{}
	for _, addr := range r.addrs {
		out[addr] = witness.Judge(record.Looks(addr, rounds), r.name, from, to)
	}
	return out
}

// connect opens the long-lived connections and begins to open new ones, to one address of each family.
func (r *run) connect(ctx context.Context, c scenario) error {
	client := r.Lab.Client()
	for _, addr := range []netip.Addr{r.one4, r.one6} {
		target := netip.AddrPortFrom(addr, 80)
		if _, err := r.Web(ctx, addr, 80); err != nil {
			return fmt.Errorf("no connection to %s: %w", addr, err)
		}
		connector := witness.NewConnector(client, target, max(20, c.perSecond), connectTimeout)
		r.connectors = append(r.connectors, connector)
		r.measuring.Go(func() { connector.Run(r.until) })
		for range streamsEach {
			s, err := witness.OpenStream(ctx, client, target, 100*time.Millisecond, streamTimeout)
			if err != nil {
				return err
			}
			r.streams = append(r.streams, s)
			r.measuring.Go(func() { s.Run(r.until) })
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

// judge makes a row of what was measured. The last rounds may have been asked and not yet answered when the patrol ended.
func (r *run) judge(c scenario) row {
	out := row{name: c.name, want: c.want, times: 1, fewest: never, notes: r.notes, announced: r.announced}
	end := time.Now().Add(-2 * pace)
	whole, after := r.verdicts(r.began.Add(-calm), end), r.verdicts(r.healed, end)
	settled := r.verdicts(r.healed.Add(time.Second), end)
	heard := r.Witness.Since(r.began.Add(-calm))
	for _, addr := range r.addrs {
		v := whole[addr]
		out.add(v, addr.Is6(), slices.Contains(r.about, addr), after[addr].Doubt)
		if v.Moves() > 0 || v.Silence > 4*pace || v.Doubt > 0 {
			r.Logf("%s: owners %s; silent for %v from %v after the fault began; two for %v from %v; after the heal two for %v", addr, r.tenures(v),
				ms(v.Silence), r.sinceBegan(v.SilentAt), ms(v.Doubt), r.sinceBegan(v.DoubtAt), ms(after[addr].Doubt))
		}
		if v := settled[addr]; !v.Settled() {
			out.unsettled = append(out.unsettled, fmt.Sprintf("%s: %+v", addr, v))
		} else if others := otherAnnouncers(heard.Of(addr).Between(r.healed.Add(time.Second), end), v.Owners[0], r.name); len(others) > 0 {
			out.unsettled = append(out.unsettled, fmt.Sprintf("%s is %s's, and announced by %v", addr, v.Owners[0], others))
		}
		out.forged += len(forgeries(heard.Of(addr)))
	}
	r.count(&out)
	if lost, err := r.Witness.Lost(); err != nil || lost > 0 {
		r.Errorf("the witness missed %d frames, %v: what it did not hear proves nothing", lost, err)
	}
	if out.pace > 5*pace {
		out.notes = append(out.notes, fmt.Sprintf("the patrol paused for %v: this machine was too busy to be exact", ms(out.pace)))
	}
	return out
}

// otherAnnouncers are the hosts but the owner that told everybody that they have the address of a record.
func otherAnnouncers(heard witness.Record, owner string, name func(witness.MAC) string) []string {
	var out []string
	for _, s := range heard.Announcements() {
		if by := name(s.Src); toAll(s) && by != "" && by != owner && !slices.Contains(out, by) {
			out = append(out, by)
		}
	}
	return out
}

// toAll says whether a frame went to a group of stations (the group bit of IEEE 802).
func toAll(s witness.Sighting) bool { return s.Dst[0]&1 == 1 }

// forgeries are the announcements to everybody whose Ethernet source is not the hardware address that they tell. Who stands in
// announces nothing, and who owns an address announces itself.
func forgeries(heard witness.Record) witness.Record {
	return slices.DeleteFunc(heard.Announcements().Mismatches(), func(s witness.Sighting) bool { return !toAll(s) })
}

// count adds the connections to a row.
func (r *run) count(out *row) {
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
}

// tenures says who had an address, and from when.
func (r *run) tenures(v witness.Verdict) string {
	var out []string
	for i, node := range v.Owners {
		out = append(out, fmt.Sprintf("%s (%v)", node, r.sinceBegan(v.Since[i])))
	}
	return strings.Join(out, ", ")
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
