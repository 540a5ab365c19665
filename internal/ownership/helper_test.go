package ownership

import (
	"net/netip"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// decide decides among speakers that all live and hear each other, unless the view says otherwise.
func decide(v View) Decision {
	if v.Now.IsZero() {
		v.Now = day
	}
	if v.Peers == nil {
		for _, s := range v.Speakers {
			if s.Node != v.Self {
				v.Peers = append(v.Peers, lb.Peer{Node: s.Node, Gossip: lb.Alive})
			}
		}
	}
	return Decide(v)
}

// first is the node that would take the address if it were free, or nobody.
func first(a Address) string {
	if len(a.Candidates) == 0 {
		return ""
	}
	return a.Ranked()[0].Node
}

// cmpAddr compares addresses, which keep a secret pointer.
func cmpAddr() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}
