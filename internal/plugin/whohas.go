package plugin

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/live"
)

// WhoHas is what `who-has` tells of an address.
type WhoHas struct {
	AddressStatus
	// State is "assigned", "free", "reserved", "retained", "conflict", "avoided" or "unknown" (in no pool); Why says it in a
	// sentence that begins with the address.
	State string `json:"state"`
	Why   string `json:"why"`
	// Strangers answer for it on the LAN and are no speakers.
	Strangers []live.Station    `json:"strangers,omitempty"`
	Silent    map[string]string `json:"silent,omitempty"`
}

func (g *globals) whoHas() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "who-has ADDRESS",
		Short: "Say which Services and which node have an address, or why nobody has it",
		Long: `Say which pool an address is from, which Services have it, and which node answers for it: on which interfaces, with which MAC,
since when and why. Where speakers do not agree, each is named. Of an address that nobody has it says why.`,
		Example: `  kubectl steelyard who-has 192.0.2.10
  kubectl steelyard who-has 2001:db8::10 -o json`,
		Args: one("address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := netip.ParseAddr(args[0])
			if err != nil {
				return fmt.Errorf("%s is no IP address: write one such as 192.0.2.10 (explain takes the name of a Service)", args[0])
			}
			_, s, err := g.look(cmd.Context())
			if err != nil {
				return err
			}
			g.hear(cmd.Context(), &s)
			w := whoHasOf(s, addr.Unmap())
			return out.show(g.Out, w, func(p *page, _ bool) { writeWhoHas(p, s, w) })
		},
		ValidArgsFunction: g.addresses(),
	}
	out.addTo(c)
	return c
}

// whoHasOf computes all of it.
func whoHasOf(s sight, addr netip.Addr) WhoHas {
	w := WhoHas{AddressStatus: s.address(addr), Silent: s.silent()}
	at := allocate.Locate(s.world, addr)
	w.Pool = at.Pool
	w.State, w.Why = s.state(addr, at)
	for _, v := range s.views() {
		w.Strangers = append(w.Strangers, slices.DeleteFunc(slices.Clone(v.Strangers), func(f live.Station) bool { return f.Address != addr })...)
	}
	return w
}

// state says what became of an address.
func (s sight) state(addr netip.Addr, at allocate.Location) (state, why string) {
	held := s.testimony().held[addr]
	switch {
	case len(held) > 0 && at.Pool == "":
		return "assigned", fmt.Sprintf("belongs to %s, and to no pool: the controller is about to take it away", strings.Join(held, ", "))
	case len(held) > 0:
		return "assigned", fmt.Sprintf("belongs to %s, from pool %s", strings.Join(held, ", "), at.Pool)
	case len(at.Services) > 0:
		return "assigned", fmt.Sprintf("is about to be given to %s, from pool %s", at.Services[0], at.Pool)
	case at.Avoided:
		return "avoided", "is left out by its pool: it ends in .0 or .255, and the pool says avoidBuggyIPs"
	case at.Pool == "":
		return "unknown", "is in no pool" + s.poolNames()
	case len(at.Retained) > 0:
		r := at.Retained[0]
		return "retained", fmt.Sprintf("is kept by pool %s for the deleted Service %s until %s", at.Pool, r.For, r.Until.UTC().Format(time.RFC3339))
	case len(at.Conflicts) > 0:
		c := at.Conflicts[0]
		return "conflict", fmt.Sprintf("is free in pool %s and not handed out before %s: a stranger with the MAC %s answers for it, as node %s saw",
			at.Pool, c.Until.UTC().Format(time.RFC3339), c.MAC, c.Node)
	case at.Reserved:
		return "reserved", fmt.Sprintf("is free and reserved in pool %s: only a Service that asks for it by number gets it", at.Pool)
	}
	return "free", fmt.Sprintf("is free in pool %s; if it was in use in the last 10 minutes it is handed out after all others", at.Pool)
}

func (s sight) poolNames() string {
	var names []string
	for _, u := range s.plan.Pools {
		names = append(names, u.Pool)
	}
	if len(names) == 0 {
		return "; there is none"
	}
	return " (there are: " + strings.Join(names, ", ") + ")"
}

func writeWhoHas(p *page, s sight, w WhoHas) {
	p.printf("%s %s.\n", p.painted(cell{w.Address.String(), bold}), w.Why)
	if len(w.Services) > 0 {
		writeOwner(p, s, w.AddressStatus)
		if w.Source == fromStatus {
			p.printf("No speaker could be asked: this is what the owner's ServiceL2Status says.\n")
		}
	}
	for _, f := range w.Strangers {
		p.printf("%s with the MAC %s answers for it too, as was heard %s ago.\n", p.painted(cell{"A stranger", red}), f.MAC, ago(s.now, f.At))
	}
	writeSilent(p, w.Silent)
}
