package plugin

import (
	"context"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/whatif"
)

func (g *globals) undrain() *cobra.Command {
	var a acting
	c := &cobra.Command{
		Use:   "undrain NODE",
		Short: "Let a drained node have addresses again",
		Long: `Let a drained node have addresses again. It takes the label ` + v1beta1.LabelDrained + ` off the Node and nothing else: whatever else
keeps addresses away from the node was there before, and stays.

No address comes back by itself, except those that failback, a preference or balance give to the node.`,
		Example: `  kubectl steelyard undrain node1
  kubectl steelyard undrain node1 --dry-run`,
		Args:              one("node"),
		RunE:              func(cmd *cobra.Command, args []string) error { return g.runUndrain(cmd.Context(), args[0], a) },
		ValidArgsFunction: g.drainedNames(),
	}
	a.addTo(c, false)
	return c
}

// drainedNames completes the name of a node that is drained.
func (g *globals) drainedNames() completer {
	return g.complete(func(c *cobra.Command, cl client.Client) ([]string, error) {
		var list corev1.NodeList
		err := cl.List(c.Context(), &list, client.HasLabels{v1beta1.LabelDrained})
		var out []string
		for _, n := range list.Items {
			out = append(out, n.Name)
		}
		return out, err
	})
}

func (g *globals) runUndrain(ctx context.Context, node string, a acting) error {
	cl, s, err := g.look(ctx)
	if err != nil {
		return err
	}
	n, err := s.node(node)
	if err != nil {
		return err
	}
	d := Drained{Node: node, Moves: []Move{}, Notes: otherReasons(n)}
	if a.dryRun {
		if g.hear(ctx, &s); len(s.replies.Views) > 0 {
			f := s.forecast(node+" were not drained", func(w whatif.World) whatif.World { return w.Drain(node, false) })
			d.Forecast = &f
		}
	} else if d.Changed, err = label(ctx, cl, n, false); err != nil {
		return err
	}
	was := kube.Node(n).Drained
	return a.show(g.Out, d, func(p *page, _ bool) { writeUndrained(p, d, was) })
}

// otherReasons are what else keeps addresses away from a node, as far as its object shows.
func otherReasons(n *corev1.Node) []string {
	var out []string
	noun := kube.Node(n)
	if noun.Excluded {
		out = append(out, "It is labelled "+corev1.LabelNodeExcludeBalancers+", which drain did not write: it gets no address while it is.")
	}
	if noun.OutOfService {
		out = append(out, "It is shutting down or has the taint "+corev1.TaintNodeOutOfService+": it gets no address while that is so.")
	}
	return out
}

func writeUndrained(p *page, d Drained, was bool) {
	switch {
	case !was:
		p.printf("%s is not drained.\n", d.Node)
	case d.Forecast != nil:
		writeForecast(p, *d.Forecast)
	case d.Changed:
		p.printf("%s is not drained any more. No address comes back by itself, except by failback, a preference or balance.\n", d.Node)
	default:
		p.printf("%s would not be drained any more.\n", d.Node)
	}
	for _, n := range d.Notes {
		p.printf("%s\n", n)
	}
}
