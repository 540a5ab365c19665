package kubeproxy

import (
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// least is how many answers in a row must speak against what is believed. With time alone, two would do that lie far apart because
// this process was stopped between them.
const least = 3

// belief is what is believed of kube-proxy, and what has spoken against it since. The zero belief is none.
type belief struct {
	life    lb.Life
	against int       // answers in a row that say otherwise
	since   time.Time // when the first of them came
}

// after returns what is believed after one more answer:
//
//	believed   answer                                                becomes
//	nothing    any                                                   what it says
//	anything   the same                                              the same; what spoke against it is forgotten
//	anything   the contrary, least in a row, over patience or more   the contrary
//	anything   the contrary, otherwise                               the same, for now
//
// The first answer is believed because a node that starts has no rules to go on with: until kube-proxy has written some, it must
// not be given addresses. A kube-proxy that is back must stay for as long, or one that crashes again and again would move
// addresses that prefer its node each time.
func (b belief) after(now time.Time, well bool, patience time.Duration) belief {
	says := lb.Dead
	if well {
		says = lb.Alive
	}
	if b.life == lb.Unknown || b.life == says {
		return belief{life: says}
	}
	if b.against++; b.against == 1 {
		b.since = now
	}
	if b.against >= least && now.Sub(b.since) >= patience {
		return belief{life: says}
	}
	return b
}
