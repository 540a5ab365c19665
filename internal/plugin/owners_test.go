package plugin

import (
	"fmt"
	"net/netip"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/live/fetch"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// crowded is a sight of n Services, each with an address of its own, that three nodes own by turns; when asked is false the speakers
// said nothing, and the owners are in the status objects.
func crowded(n int, asked bool) sight {
	s := sight{now: noon(), replies: fetch.Replies{Views: map[string]live.View{}}}
	nodes := []string{"node0", "node1", "node2"}
	speakers := make([]live.Speaker, len(nodes))
	addresses := make([]live.Address, n)
	answers := make([][]live.Answer, len(nodes))
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		name, at := lb.Name{Namespace: "default", Name: fmt.Sprintf("web-%05d", i)}, i%len(nodes)
		s.world.Services = append(s.world.Services, lb.Service{Name: name, Managed: true, Held: []netip.Addr{a}})
		s.objects.Statuses = append(s.objects.Statuses, v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Name: name.Name},
			Status: v1beta1.ServiceL2StatusStatus{Node: nodes[at], Addresses: []v1beta1.AddressOwnership{{Address: a.String(), Standby: nodes[(at+1)%len(nodes)]}}}})
		speakers[at].Claims = append(speakers[at].Claims, live.Claim{Address: a})
		addresses[i] = live.Address{Address: a, Services: []string{name.String()}, Owner: nodes[at], Standby: nodes[(at+1)%len(nodes)]}
		answers[at] = append(answers[at], live.Answer{Address: a, Kind: neighbor.Own.String(), Interfaces: []string{"eth0"}})
	}
	for i, node := range nodes {
		speakers[i].Node = node
		speakers[i].Interfaces = []live.Interface{{Name: "eth0", Up: true, MACs: []string{fmt.Sprintf("02:00:00:00:00:0%d", i)}}}
	}
	for i, node := range nodes {
		if asked {
			s.replies.Views[node] = live.View{Node: node, Speakers: speakers, Addresses: addresses, Answers: answers[i]}
		}
	}
	return s
}

func TestEachOfManyAddressesIsToldWithItsOwner(t *testing.T) {
	for _, asked := range []bool{true, false} {
		list := addressesOf(crowded(1000, asked))
		if len(list) != 1000 {
			t.Fatalf("%d addresses", len(list))
		}
		for i, a := range list {
			owner, standby := fmt.Sprintf("node%d", i%3), fmt.Sprintf("node%d", (i+1)%3)
			if a.Owner != owner || a.Standby != standby || asked && (a.Source != owner || len(a.MACs) != 1) || !asked && a.Source != fromStatus {
				t.Fatalf("asked %v, address %d: %+v", asked, i, a)
			}
		}
	}
}

func BenchmarkTenThousandAddresses(b *testing.B) {
	for name, asked := range map[string]bool{"by their speakers": true, "by the status objects": false} {
		s := crowded(10000, asked)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				addressesOf(s)
			}
		})
	}
}
