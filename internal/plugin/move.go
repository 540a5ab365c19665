package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/ownership"
	"github.com/steelyard-lb/steelyard/internal/whatif"
)

// Moved is what `move` did.
type Moved struct {
	Service string `json:"service"`
	// To is the node that the Service asks for now; empty after --unset.
	To string `json:"to,omitempty"`
	// Changed says that the Service asked for something else before, and was written; false with --dry-run.
	Changed bool `json:"changed"`
	// Moves are the Service's addresses, those too that were there already.
	Moves []Move `json:"moves"`
	// Forecast is what --dry-run foresees.
	Forecast *Forecast `json:"forecast,omitempty"`
}

func (g *globals) move() *cobra.Command {
	var a acting
	var to string
	var unset bool
	c := &cobra.Command{
		Use:   "move svc/NAME --to NODE",
		Short: "Move the addresses of a Service to a node",
		Long: `Move the addresses of a Service to a node by a planned move: the new owner announces before the old one falls silent, so that no
connection attempt is lost. The Service goes on asking for the node: when the node dies the addresses go elsewhere, and they come back with it.

It writes the annotation ` + v1beta1.AnnotationPreferredNode + ` on the Service; --unset removes it, and the addresses stay where they are unless an
advertisement wants them elsewhere. It refuses when the node may not answer for the addresses, and says why; --force writes the wish all the same, for
when the node may.`,
		Example: `  kubectl steelyard move svc/web --to node2
  kubectl steelyard move web -n shop --to node2 --wait=false
  kubectl steelyard move svc/web --to node2 --dry-run
  kubectl steelyard move svc/web --unset`,
		Args: one("Service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (to == "") != unset {
				return errors.New("say where to with --to NODE, or --unset to ask for no node any more")
			}
			return g.runMove(cmd.Context(), args[0], to, a)
		},
		ValidArgsFunction: g.serviceNames(),
	}
	a.addTo(c, true)
	c.Flags().StringVar(&to, "to", "", "node that is to answer")
	c.Flags().BoolVar(&unset, "unset", false, "ask for no node any more")
	nodes := g.nodeNames()
	_ = c.RegisterFlagCompletionFunc("to", func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return nodes(cmd, nil, typed)
	}) // the flag was declared above
	return c
}

func (g *globals) runMove(ctx context.Context, arg, to string, a acting) error {
	name, err := g.serviceArg(arg)
	if err != nil {
		return err
	}
	cl, s, err := g.look(ctx)
	if err != nil {
		return err
	}
	svc, err := s.service(name)
	if err != nil {
		return err
	}
	noun := kube.Service(svc, s.class)
	g.hear(ctx, &s, noun.Held...)
	if to != "" && !a.force {
		if err := s.mayMove(noun, to); err != nil {
			return err
		}
	}
	m := Moved{Service: name.String(), To: to, Moves: []Move{}}
	if a.dryRun {
		return g.dryMove(s, name, m, a)
	}
	return g.moveNow(ctx, cl, s, svc, m, a)
}

// mayMove refuses what cannot work.
func (s sight) mayMove(svc lb.Service, to string) error {
	if _, err := s.node(to); err != nil {
		return err
	}
	switch {
	case !svc.Managed:
		return fmt.Errorf("%s is not Steelyard's (kubectl steelyard explain svc/%s -n %s says why)", svc.Name, svc.Name.Name, svc.Name.Namespace)
	case len(svc.Held) == 0:
		return fmt.Errorf("%s has no address yet (kubectl steelyard explain svc/%s -n %s says why); --force writes the wish all the same", svc.Name, svc.Name.Name, svc.Name.Namespace)
	case len(s.replies.Views) == 0:
		return fmt.Errorf("%w; --force moves without looking whether %s may have the addresses", s.nobodyAsked(), to)
	}
	for _, a := range svc.Held {
		if why := s.refusal(a, to); why != "" {
			return fmt.Errorf("%s may not answer for %s: %s; --force writes the wish all the same, and the address moves when it may", to, a, why)
		}
		if older, node := s.olderWish(a, svc.Name); node != "" && node != to {
			return fmt.Errorf("%s shares %s with the older Service %s, whose wish counts and which asks for %s: move that one", svc.Name, a, older, node)
		}
	}
	return nil
}

// refusal says why a node may not have an address, by the word of the owner or else of any speaker; "" when it may.
func (s sight) refusal(a netip.Addr, node string) string {
	views := s.views()
	owner := s.address(a).Owner
	at := max(0, slices.IndexFunc(views, func(v live.View) bool { return v.Node == owner }))
	said, known := in(views[at], a)
	if !known {
		return "the speakers do not know the address yet"
	}
	for _, c := range said.Candidates {
		if c.Node == node && c.Condition == ownership.Working.String() {
			return ""
		} else if c.Node == node {
			return "its speaker is " + c.Condition
		}
	}
	for _, r := range said.Rejected {
		if r.Node == node {
			return string(r.Reason) + ": " + r.Message
		}
	}
	if said.Problem != nil {
		return string(said.Problem.Reason) + ": " + said.Problem.Message
	}
	return "no speaker is known there"
}

// olderWish is the Service before this one on the address whose wish counts, and the node that it asks for.
func (s sight) olderWish(a netip.Addr, name lb.Name) (older, node string) {
	for _, other := range s.address(a).Services {
		if other == name.String() {
			break
		}
		for _, svc := range s.world.Services {
			if svc.Name.String() == other && svc.WantedNode != "" {
				return other, svc.WantedNode
			}
		}
	}
	return "", ""
}

// dryMove says what would move.
func (g *globals) dryMove(s sight, name lb.Name, m Moved, a acting) error {
	condition := name.String() + " asked for " + m.To
	if m.To == "" {
		condition = name.String() + " asked for no node"
	}
	f := s.forecast(condition, func(w whatif.World) whatif.World { return w.Prefer(name, m.To) })
	m.Forecast = &f
	return a.show(g.Out, m, func(p *page, _ bool) { writeForecast(p, f) })
}

// moveNow writes the wish and waits.
func (g *globals) moveNow(ctx context.Context, cl client.Client, s sight, svc *corev1.Service, m Moved, a acting) error {
	since := g.now()
	var err error
	if m.Changed, err = wish(ctx, cl, svc, m.To); err != nil {
		return err
	}
	var list []AddressStatus
	for _, addr := range kube.Service(svc, s.class).Held {
		list = append(list, s.address(addr))
	}
	m.Moves = movesOf(list)
	p := newPage(g.Out)
	if a.text() {
		p.moveBegins(m)
	}
	if m.To == "" {
		a.wait = false
	}
	w := waiting{client: cl, system: g.system, now: g.now, since: since, arrived: func(_ Move, owner string) bool { return owner == m.To }}
	if err := a.await(ctx, w, p, m.Moves); err != nil {
		return err
	}
	return a.print(g.Out, m, func(io.Writer, bool) error { return p.err })
}

// wish writes or removes the annotation and says whether anything changed.
func wish(ctx context.Context, cl client.Client, svc *corev1.Service, node string) (changed bool, err error) {
	after := svc.DeepCopy()
	if node == "" {
		delete(after.Annotations, v1beta1.AnnotationPreferredNode)
	} else {
		if after.Annotations == nil {
			after.Annotations = map[string]string{}
		}
		after.Annotations[v1beta1.AnnotationPreferredNode] = node
	}
	if after.Annotations[v1beta1.AnnotationPreferredNode] == svc.Annotations[v1beta1.AnnotationPreferredNode] {
		return false, nil
	}
	if err := cl.Patch(ctx, after, client.MergeFrom(svc)); err != nil {
		return false, fmt.Errorf("writing the annotation %s of Service %s/%s: %w", v1beta1.AnnotationPreferredNode, svc.Namespace, svc.Name, err)
	}
	return true, nil
}

// moveBegins says what was written.
func (p *page) moveBegins(m Moved) {
	switch {
	case m.To == "" && m.Changed:
		p.printf("%s asks for no node any more.\n", m.Service)
	case m.To == "":
		p.printf("%s asks for no node.\n", m.Service)
	case m.Changed:
		p.printf("%s asks for %s now.\n", m.Service, m.To)
	default:
		p.printf("%s asks for %s already.\n", m.Service, m.To)
	}
}
