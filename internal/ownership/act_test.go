package ownership

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// scene is simple() as node1 sees it once all is settled: everybody lives and hears everybody. On vip node2 ranks first, node1 second
// and node3 third.
func scene() *View {
	v := simple()
	v.Now = day.Add(time.Hour)
	for _, name := range []string{"node2", "node3"} {
		v.Peers = append(v.Peers, lb.Peer{Node: name, Gossip: lb.Alive, Hosts: []lb.HostLife{{Interface: "eth0", Life: lb.Alive}}})
	}
	v.Mine = Memory{heard: 3, heardSince: day}
	return &v
}

// mine makes node1 own vip since the beginning.
func (v *View) mine(change ...func(*holding)) {
	h := holding{Claim: lb.Claim{Addr: vip, Standby: "node2", Evidence: 3, Cause: lb.CauseFree, Since: day}, at: day, interfaces: []string{"eth0"}}
	for _, c := range change {
		c(&h)
	}
	v.Mine.holdings = map[netip.Addr]holding{vip: h}
}

// claim makes another node say that it owns vip.
func (v *View) claim(node string, c lb.Claim) {
	c.Addr, c.Since = vip, day
	if c.Evidence == 0 {
		c.Evidence = 3
	}
	if c.Cause == 0 {
		c.Cause = lb.CauseFree
	}
	v.speakerOf(node).Claims = []lb.Claim{c}
}

func (v *View) speakerOf(node string) *lb.Speaker {
	return &v.Speakers[slices.IndexFunc(v.Speakers, func(s lb.Speaker) bool { return s.Node == node })]
}

func (v *View) nodeOf(name string) *lb.Node {
	return &v.Nodes[slices.IndexFunc(v.Nodes, func(n lb.Node) bool { return n.Name == name })]
}

// witness says what has become of a peer that fell silent some time ago.
func (v *View) witness(node string, gossip, host, answer lb.Life, silent time.Duration) {
	p := &v.Peers[slices.IndexFunc(v.Peers, func(p lb.Peer) bool { return p.Node == node })]
	p.Gossip, p.Answer, p.Silent = gossip, answer, v.Now.Add(-silent)
	p.Hosts = []lb.HostLife{{Interface: "eth0", Life: host}}
}

func (v *View) dies(node string) { v.witness(node, lb.Unknown, lb.Dead, lb.Unknown, time.Second) }

// later decides, and once more after some time in which nothing happens.
func (v *View) later(d time.Duration) {
	v.Mine = Decide(*v).Memory
	v.Now = v.Now.Add(d)
}

// does says what a decision does about vip.
func does(d Decision) string {
	var out []string
	for _, c := range d.Claims {
		text := "claims it: " + c.Cause.String()
		if c.From != "" {
			text += " from " + c.From
		}
		if out = append(out, text); c.HandTo != "" {
			out = append(out, fmt.Sprintf("asks %s to take it: %s", c.HandTo, c.HandCause))
		}
	}
	for _, a := range d.Answers {
		switch {
		case a.Kind == neighbor.Own && a.Node != "":
			out = append(out, "answers all but "+a.Node)
		case a.Kind == neighbor.Own:
			out = append(out, "answers")
		case a.Kind == neighbor.StandIn:
			out = append(out, "stands in for "+a.Node)
		default:
			out = append(out, "answers "+a.Node+" only")
		}
	}
	if len(d.Check) > 0 {
		out = append(out, "asks the LAN")
	}
	if len(d.Defend) > 0 {
		out = append(out, "announces it once more")
	}
	if len(d.Strangers) > 0 {
		out = append(out, "tells of a stranger")
	}
	return strings.Join(out, ", ")
}

// row is a case of a table: what is different from scene, and what node1 does then.
type row struct {
	name   string
	change func(*View)
	want   string
}

func decides(t *testing.T, rows []row) {
	t.Helper()
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			v := scene()
			c.change(v)
			if got := does(Decide(*v)); got != c.want {
				t.Errorf("node1 %q\nwant   %q", got, c.want)
			}
		})
	}
}
