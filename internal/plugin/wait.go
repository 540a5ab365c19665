package plugin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// pollEvery is how often the API server is asked while a command waits.
const pollEvery = 100 * time.Millisecond

// Move is one address that a command moves, or waits for.
type Move struct {
	Address  netip.Addr `json:"address"`
	Services []string   `json:"services"`
	From     string     `json:"from,omitempty"`
	// To is the node that answers now; empty while From does, or when nobody does.
	To string `json:"to,omitempty"`
	// Seconds is from the command's write until the new owner was seen to have announced the address.
	Seconds float64 `json:"seconds,omitzero"`
	// Done says that nothing is waited for any more.
	Done bool `json:"done"`
}

// waiting follows addresses until each is where it should be.
type waiting struct {
	client client.Client
	system string
	now    func() time.Time
	since  time.Time
	// arrived says whether an address may be there: on that node, or with nobody.
	arrived func(Move, string) bool
	// tell is called for each as it arrives.
	tell func(Move)
}

// follow polls the ServiceL2Status objects, which a new owner writes after it has announced an address. It changes moves in place.
func (w waiting) follow(ctx context.Context, moves []Move) error {
	for {
		owners, err := w.owners(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		open := 0
		for i := range moves {
			m := &moves[i]
			if !m.Done && err == nil && w.arrived(*m, owners[m.Address]) {
				m.To, m.Done, m.Seconds = owners[m.Address], true, w.now().Sub(w.since).Seconds()
				w.tell(*m)
			}
			if !m.Done {
				open++
			}
		}
		if open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return unfinished(moves, w.now().Sub(w.since))
		case <-time.After(pollEvery):
		}
	}
}

// unfinished says which addresses did not arrive.
func unfinished(moves []Move, after time.Duration) error {
	var open []string
	for _, m := range moves {
		if !m.Done {
			open = append(open, m.Address.String())
		}
	}
	return fmt.Errorf("after %v these have not moved: %s; what was asked for stays, and they may move yet (kubectl steelyard who-has ADDRESS says who answers)",
		after.Round(time.Second), strings.Join(open, ", "))
}

// owners reads who answers for which address.
func (w waiting) owners(ctx context.Context) (map[netip.Addr]string, error) {
	var list v1beta1.ServiceL2StatusList
	if err := w.client.List(ctx, &list, client.InNamespace(w.system)); err != nil {
		return nil, fmt.Errorf("listing ServiceL2Statuses: %w", err)
	}
	out := map[netip.Addr]string{}
	for _, o := range list.Items {
		for _, a := range o.Status.Addresses {
			if addr, err := netip.ParseAddr(a.Address); err == nil {
				out[addr] = o.Status.Node
			}
		}
	}
	return out, nil
}

// moved writes one line for a move that has ended.
func (p *page) moved(m Move) {
	if m.From == m.To {
		p.printf("%s (%s): %s answers for it already.\n", p.painted(cell{m.Address.String(), bold}), strings.Join(m.Services, ", "), m.To)
		return
	}
	to := "nobody answers for it now"
	if m.To != "" {
		to = m.To + " answers for it now"
	}
	p.printf("%s (%s): %s, %.1f s after it was asked for.\n", p.painted(cell{m.Address.String(), bold}), strings.Join(m.Services, ", "), to, m.Seconds)
}

// movesOf makes a Move of each address, sorted.
func movesOf(list []AddressStatus) []Move {
	out := []Move{}
	for _, a := range list {
		out = append(out, Move{Address: a.Address, Services: a.Services, From: a.Owner})
	}
	slices.SortFunc(out, func(a, b Move) int { return a.Address.Compare(b.Address) })
	return out
}
