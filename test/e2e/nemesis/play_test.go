package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
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
	captured      string // the file of the capture, if there is one
	announced     []time.Duration
	// macs are hardware addresses beside those that the nodes have by themselves; an empty name is a stranger's.
	macs map[witness.MAC]string

	patrol     *witness.Patrol
	connectors []*witness.Connector
	streams    []*witness.Stream
	until      context.Context // what measures ends with it
	measuring  *sync.WaitGroup
	stop       func()
}

// play runs a scenario as often as it wants and adds its row to the table, also when it ends early.
func (s *stage) play(t *testing.T, c scenario, once bool, to *table) {
	times := max(1, c.times)
	if once {
		times = 1
	}
	total := row{name: c.name, want: c.want, fewest: never}
	defer func() {
		if total.times < times {
			total.notes = append(total.notes, fmt.Sprintf("DID NOT FINISH: %d of %d times", total.times, times))
		}
		total.bad = t.Failed()
		for _, p := range total.passed() {
			t.Error(p)
		}
		t.Log(table{total})
		if t.Failed() {
			t.Log(s.logs())
		}
		*to = append(*to, total)
	}()
	for range times {
		one, ok := s.playOnce(t, c)
		if !ok {
			return
		}
		total.merge(one)
	}
}

// playOnce prepares, measures while the scenario acts, judges and mends; false when it could not do so to the end.
func (s *stage) playOnce(t *testing.T, c scenario) (result row, ok bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	r := &run{T: t, stage: s, ctx: ctx, macs: map[witness.MAC]string{}, stop: func() {}}
	defer func() {
		r.stop()
		if err := s.mend(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("mending: %v", err)
			ok = false
		}
	}()
	if err := r.prepare(c); err != nil {
		t.Errorf("before the fault: %v", err)
		return row{}, false
	}
	time.Sleep(calm)
	r.began = time.Now()
	c.act(r)
	if r.healed.IsZero() {
		r.healed = time.Now()
	}
	time.Sleep(settling)
	r.stop()
	r.noteCapture()
	return r.judge(c), true
}

// prepare waits until all is well, picks the victim and starts to measure.
func (r *run) prepare(c scenario) error {
	ctx, cancel := context.WithTimeoutCause(r.ctx, patient, fmt.Errorf("waited %v", patient))
	defer cancel()
	if err := r.mend(ctx); err != nil {
		return err
	}
	if r.bare == nil {
		if err := r.Settled(ctx); err != nil {
			return err
		}
	} else if err := r.bare.Regossip(ctx, cmp.Or(c.over, rig.LAN)); err != nil {
		return err
	}
	if err := r.startPatrol(); err != nil {
		return err
	}
	if err := r.capture(c.name); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if r.pick(); r.victim == "" {
		if err := r.unite(ctx); err != nil {
			return err
		}
		r.pick()
	}
	return r.connect(ctx, c)
}

// unite brings the addresses of one Service together on one node: chance may have given every node addresses of one family only, and
// a fault is tried on both.
func (r *run) unite(ctx context.Context) error {
	at := slices.IndexFunc(r.addrs, netip.Addr.Is4)
	service, node := r.service[r.addrs[at]], r.owners[r.addrs[at]]
	r.kubectl("annotate", "service", service, preferredNode+"="+node)
	defer r.kubectl("annotate", "service", service, preferredNode+"-")
	elsewhere := func(a netip.Addr) bool { return r.service[a] == service && r.owners[a] != node }
	for slices.ContainsFunc(r.addrs, elsewhere) {
		if err := r.settle(ctx); err != nil {
			return fmt.Errorf("bringing the addresses of %s to %s: %w", service, node, err)
		}
	}
	return nil
}

// pick makes the node with addresses of both families the victim, the one with the most if there are several; nobody
// if there is none.
func (r *run) pick() {
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
}
