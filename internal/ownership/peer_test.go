package ownership

import (
	"fmt"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestWhatThreeWitnessesSayOfASpeaker(t *testing.T) {
	const u, a, d = lb.Unknown, lb.Alive, lb.Dead
	for _, c := range []struct {
		name                 string
		gossip, host, answer lb.Life
		left, restarting     bool
		want                 Condition
	}{
		{"all is well", a, a, u, false, false, Working},
		{"gossip lives, the segment has lost it: its own business", a, d, u, false, false, Working},
		{"gossip lives, the switch isolates ports", a, u, u, false, false, Working},
		{"it says that it will restart, and still speaks", a, a, u, false, true, Working},

		{"pings missed, the host is dead", u, d, u, false, false, Gone},
		{"memberlist says dead, and so does the host", d, d, u, false, false, Gone},
		{"it restarts, and the host dies", d, d, u, true, true, Gone},
		{"it had said that it will restart, and the host dies before it left", u, d, u, false, true, Gone},

		{"it left for good", d, a, u, true, false, Gone},
		{"it left for good, and its kernel's answers are not known", d, u, u, true, false, Gone},
		{"it left to come back", d, a, u, true, true, Stalled},
		{"it left to come back, behind an isolated port", d, u, u, true, true, Stalled},

		{"pings missed, the speaker answers for its addresses", u, a, a, false, false, Cut},
		{"memberlist says dead, the speaker answers for its addresses", d, a, a, false, false, Cut},
		{"pings missed, the speaker does not answer", u, a, d, false, false, Stalled},
		{"memberlist says dead, the speaker does not answer", d, a, d, false, false, Stalled},
		{"pings missed, the speaker was not asked yet", u, a, u, false, false, Asking},
		{"memberlist says dead, the speaker was not asked yet", d, a, u, false, false, Asking},

		{"pings missed, never heard on the wire", u, u, u, false, false, Asking},
		{"memberlist says dead, never heard on the wire: gossip alone decides", d, u, u, false, false, Gone},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(lb.Peer{Gossip: c.gossip, Left: c.left, Answer: c.answer}, c.restarting, c.host); got != c.want {
				t.Errorf("it is %v, want %v", got, c.want)
			}
		})
	}
}

func TestHoldCountsFromSilence(t *testing.T) {
	for _, c := range []struct {
		restarting bool
		silent     time.Duration
		want       Condition
	}{
		{false, 9999 * time.Millisecond, Stalled},
		{false, 10 * time.Second, Gone},
		{true, 10 * time.Second, Stalled},
		{true, 59999 * time.Millisecond, Stalled},
		{true, time.Minute, Gone},
	} {
		t.Run(fmt.Sprintf("%v of silence, restarting %v", c.silent, c.restarting), func(t *testing.T) {
			v := View{Now: day.Add(c.silent), Speakers: []lb.Speaker{{Node: "node2", Restarting: c.restarting}}}
			p := lb.Peer{Node: "node2", Gossip: lb.Dead, Silent: day, Answer: lb.Dead}
			if got := newWorld(v).condition(p, lb.Alive); got != c.want {
				t.Errorf("it is %v, want %v", got, c.want)
			}
		})
	}
}

func TestHostIsJudgedOnTheSegmentOfTheAddress(t *testing.T) {
	ours := []string{"eth0", "eth1"}
	for _, c := range []struct {
		name  string
		hosts []lb.HostLife
		want  lb.Life
	}{
		{"never asked", nil, lb.Unknown},
		{"dead on the only one", []lb.HostLife{{Interface: "eth0", Life: lb.Dead}}, lb.Dead},
		{"alive on one of two", []lb.HostLife{{Interface: "eth0", Life: lb.Dead}, {Interface: "eth1", Life: lb.Alive}}, lb.Alive},
		{"dead on one, a doubt on the other", []lb.HostLife{{Interface: "eth0", Life: lb.Dead}, {Interface: "eth1", Life: lb.Unknown}}, lb.Unknown},
		{"alive on another segment", []lb.HostLife{{Interface: "eth0", Life: lb.Dead}, {Interface: "mgmt", Life: lb.Alive}}, lb.Dead},
		{"asked on another segment only", []lb.HostLife{{Interface: "mgmt", Life: lb.Dead}}, lb.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hostLife(lb.Peer{Hosts: c.hosts}, ours); got != c.want {
				t.Errorf("the host is %v, want %v", got, c.want)
			}
		})
	}
}
