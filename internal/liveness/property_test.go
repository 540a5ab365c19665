package liveness

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// oracle remembers, of one (peer, interface), what it takes to call the host dead.
type oracle struct {
	replied bool        // since the link came up
	asked   []time.Time // since the last reply
}

// trial drives one Watch at random, and checks each verdict against the oracle.
type trial struct {
	t     *testing.T
	rnd   *rand.Rand
	now   time.Time
	w     *Watch
	links []Link
	peers []Peer
	known map[lb.Loss]*oracle
	deaf  map[string]time.Time // since when an interface has heard nobody
	dead  int                  // verdicts
	soon  int                  // verdicts that an interface is deaf, sooner than without an alarm
	hush  time.Time            // until then nobody answers
	wake  time.Time            // when the Watch wants to look again
}

func newTrial(t *testing.T, seed uint64) *trial {
	tr := &trial{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), now: epoch(), w: New("n000", notice), known: map[lb.Loss]*oracle{}, deaf: map[string]time.Time{}}
	for _, name := range []string{"eth0", "eth1"} {
		tr.links = append(tr.links, Link{Interface: card(name, 1000), UpSince: tr.now})
	}
	for i := range 1 + tr.rnd.IntN(5) {
		tr.peers = append(tr.peers, Peer{Node: fmt.Sprintf("n%03d", i+1), Gossip: lb.Alive, Interfaces: []lb.Interface{card("lan", i+1)},
			Owns: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 9, byte(i)})}})
	}
	tr.set()
	return tr
}

func (tr *trial) set() {
	for _, l := range tr.links {
		for _, p := range tr.peers {
			if k := (lb.Loss{Node: p.Node, Interface: l.Name}); tr.known[k] == nil || !l.Up {
				tr.known[k] = &oracle{}
			}
		}
		if !l.UpSince.Before(tr.now) || tr.deaf[l.Name].IsZero() {
			tr.deaf[l.Name] = tr.now
		}
	}
	tr.w.Set(tr.now, append([]Link(nil), tr.links...), append([]Peer(nil), tr.peers...))
}

// change lets gossip change its mind of a peer, all fall silent for a while, or a link flap.
func (tr *trial) change() {
	switch tr.rnd.IntN(8) {
	default:
		p := &tr.peers[tr.rnd.IntN(len(tr.peers))]
		p.Gossip, p.Doubted = lb.Life(tr.rnd.IntN(3)), tr.rnd.IntN(2) == 0
	case 6:
		tr.hush = tr.now.Add(time.Second)
	case 7:
		l := &tr.links[tr.rnd.IntN(len(tr.links))]
		if l.Up = !l.Up; l.Up {
			l.UpSince = tr.now
		}
		for _, p := range tr.peers {
			tr.known[lb.Loss{Node: p.Node, Interface: l.Name}] = &oracle{}
		}
	}
	tr.set()
}

// look asks, and answers some of it, some falsely.
func (tr *trial) look() {
	probes, wake := tr.w.Next(tr.now)
	tr.wake = wake
	if !wake.IsZero() && !wake.After(tr.now) {
		tr.t.Fatalf("at %v it wants to look again at %v", tr.now, wake)
	}
	for _, p := range probes {
		o := tr.known[lb.Loss{Node: p.Node, Interface: p.Interface}]
		s := neighbor.Sighting{Interface: p.Interface, MAC: p.To, Source: p.To, Addr: p.Target, Kind: neighbor.SawReply, At: tr.now}
		if p.Kind == neighbor.HostProbe {
			o.asked = append(o.asked, tr.now)
		}
		if tr.now.Before(tr.hush) {
			continue
		}
		switch tr.rnd.IntN(6) {
		case 0:
			tr.say(s)
			if p.Kind == neighbor.HostProbe {
				*o = oracle{replied: true}
			}
		case 1:
			s.MAC = mac(5000)
			tr.say(s)
		case 2:
			s.Source = mac(5000)
			tr.say(s)
		}
	}
}

func (tr *trial) say(s neighbor.Sighting) {
	tr.w.Heard(tr.now, s)
	tr.deaf[s.Interface] = tr.now
}

// alarmed says whether two hosts or more that had replied on the interface were asked seven times together since somebody was heard.
func (tr *trial) alarmed(name string) bool {
	hosts, questions := 0, 0
	for loss, o := range tr.known {
		n := 0
		for _, at := range o.asked {
			if !at.Before(tr.deaf[name]) {
				n++
			}
		}
		if loss.Interface == name && o.replied && n > 0 {
			hosts, questions = hosts+1, questions+n
		}
	}
	return hosts >= alarmAsks && questions > alarmRounds*alarmAsks
}

// check holds the verdict against the oracle.
func (tr *trial) check() {
	v := tr.w.Verdict(tr.now)
	if again := tr.w.Verdict(tr.now); !reflect.DeepEqual(v, again) {
		tr.t.Fatalf("asked twice, it says %+v and %+v", v, again)
	}
	for _, p := range v.Peers {
		for _, h := range p.Hosts {
			o := tr.known[lb.Loss{Node: p.Node, Interface: h.Interface}]
			if h.Life == lb.Alive && !o.replied {
				tr.t.Fatalf("%s is Alive on %s and never replied there", p.Node, h.Interface)
			}
			if h.Life != lb.Dead {
				continue
			}
			tr.dead++
			if n := len(o.asked); !o.replied || n < enough || tr.now.Sub(o.asked[enough-1]) < patience {
				tr.t.Fatalf("%s is Dead on %s at %v: replied %v, asked since %v", p.Node, h.Interface, tr.now, o.replied, o.asked)
			}
		}
	}
	for _, name := range v.Deaf {
		quiet := tr.now.Sub(tr.deaf[name])
		if quiet < deafAfter {
			tr.soon++
		}
		if quiet < deafAfter && !tr.alarmed(name) || quiet < alarmAfter+notice {
			tr.t.Fatalf("%s is deaf after %v", name, quiet)
		}
	}
}

// A host is Dead only after three questions without a reply, the last 100 ms old, having been Alive since the link came up; it is
// Alive only by a reply of its own; and a link is deaf only after 1.5 s without a frame, or
// after an alarm.
func TestNoVerdictWithoutGrounds(t *testing.T) {
	dead, soon := 0, 0
	for seed := range uint64(300) {
		tr := newTrial(t, seed)
		for range 400 {
			if tr.rnd.IntN(30) == 0 {
				tr.change()
			}
			tr.look()
			tr.check()
			step := time.Duration(tr.rnd.Int64N(int64(60 * time.Millisecond)))
			switch {
			case tr.rnd.IntN(50) == 0:
				step *= 30 // it was stopped, or had nothing to do
			case tr.wake.After(tr.now) && tr.rnd.IntN(4) > 0:
				step = min(step, tr.wake.Sub(tr.now))
			}
			tr.now = tr.now.Add(step)
		}
		dead, soon = dead+tr.dead, soon+tr.soon
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if dead == 0 || soon == 0 {
		t.Errorf("%d died and %d went deaf by an alarm: the test says nothing", dead, soon)
	}
}

// The same calls give the same results.
func TestItIsDeterministic(t *testing.T) {
	run := func() (out []asking) {
		l := lanOf(t, 7)
		l.run(5 * time.Second)
		l.stations[3].off = true
		l.suspect("n004", lb.Unknown)
		l.run(5 * time.Second)
		for _, s := range l.stations {
			out = append(out, s.asked...)
		}
		return out
	}
	if !reflect.DeepEqual(run(), run()) {
		t.Error("two runs asked differently")
	}
}

// FuzzHeard: no frame panics; none but a true reply of the peer, for its own address, changes what is known of it.
func FuzzHeard(f *testing.F) {
	own := card("", 2).Addrs[0].AsSlice()
	m := mac(2)
	f.Add("eth0", m[:], m[:], own, uint8(neighbor.SawReply), int64(0))
	f.Add("eth0", m[:], []byte{2, 9, 9, 9, 9, 9}, own, uint8(neighbor.SawReply), int64(0))
	f.Add("eth0", m[:], m[:], []byte{192, 0, 2, 2}, uint8(neighbor.SawReply), int64(-1))
	f.Add("", []byte{}, []byte{}, []byte{}, uint8(9), int64(1)<<62)
	f.Fuzz(func(t *testing.T, itf string, said, source, addr []byte, kind uint8, ago int64) {
		l := lanOf(t, 2)
		l.stations[1].filter = true
		l.run(3 * time.Second)
		w := l.stations[0]
		s := neighbor.Sighting{Interface: itf, Kind: neighbor.Saw(kind), At: l.now.Add(time.Duration(ago))}
		copy(s.MAC[:], said)
		copy(s.Source[:], source)
		s.Addr, _ = netip.AddrFromSlice(addr)
		w.Heard(l.now, s)
		genuine := itf == "eth0" && s.MAC == mac(2) && s.Source == mac(2) && s.Addr == card("", 2).Addrs[0] && s.Kind == neighbor.SawReply
		if got := w.host(l.now, "n002"); got == lb.Alive && !genuine || got == lb.Dead {
			t.Fatalf("%+v makes the host %v", s, got)
		}
		if _, wake := w.Next(l.now); !wake.IsZero() && !wake.After(l.now) {
			t.Fatalf("it wants to look again at %v", wake)
		}
	})
}
