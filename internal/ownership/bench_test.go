package ownership

import (
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// settled is a large View in which every address is claimed, by the candidate that ranks first, and the speaker that decides has its
// share in its Memory: what is decided again and again while nothing happens.
func settled(addresses, nodes int) View {
	v := large(addresses, nodes)
	v.Now, v.Self = day.Add(time.Hour), v.Nodes[0].Name
	for _, n := range v.Nodes[1:] {
		v.Peers = append(v.Peers, lb.Peer{Node: n.Name, Gossip: lb.Alive, Hosts: []lb.HostLife{{Interface: "eth0", Life: lb.Alive}}})
	}
	owned := map[string][]lb.Claim{}
	for _, a := range Decide(v).Addresses {
		c := lb.Claim{Addr: a.Addr, Evidence: uint8(nodes), Cause: lb.CauseFree, Since: day}
		if len(a.Candidates) > 1 {
			c.Standby = a.Ranked()[1].Node
		}
		owned[a.Ranked()[0].Node] = append(owned[a.Ranked()[0].Node], c)
	}
	for i := range v.Speakers {
		v.Speakers[i].Claims = owned[v.Speakers[i].Node]
	}
	v.Mine = Resume(owned[v.Self])
	v.Mine = Decide(v).Memory
	return v
}

func BenchmarkDecideSettled(b *testing.B) {
	for _, c := range []struct {
		name             string
		addresses, nodes int
	}{{"10000 addresses on 3 nodes", 10_000, 3}, {"1000 addresses on 50 nodes", 1_000, 50}, {"10000 addresses on 100 nodes", 10_000, 100}} {
		b.Run(c.name, func(b *testing.B) {
			v := settled(c.addresses, c.nodes)
			for b.Loop() {
				v.Mine = Decide(v).Memory
			}
		})
	}
}
