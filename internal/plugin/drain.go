package plugin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/whatif"
)

// Drained is what `drain` and `undrain` did.
type Drained struct {
	Node    string `json:"node"`
	Drained bool   `json:"drained"`
	// Changed says that the label was not as it should be, and was written; false with --dry-run.
	Changed bool `json:"changed"`
	// Moves are the addresses that the node had.
	Moves []Move `json:"moves"`
	// Forecast is what --dry-run foresees.
	Forecast *Forecast `json:"forecast,omitempty"`
	Notes    []string  `json:"notes,omitempty"`
}

func (g *globals) drain() *cobra.Command {
	var a acting
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Move all addresses away from a node, and keep them away until undrain",
		Long: `Move all addresses away from a node by planned moves: each new owner announces before the node falls silent, so that no connection
attempt is lost. The node gets no address until ` + "`kubectl steelyard undrain`" + `. Pods stay where they are: kubectl drain is for those.

It writes the label ` + v1beta1.LabelDrained + ` on the Node and nothing else. It refuses when nobody else may answer for an address of the
node; --force drains all the same.`,
		Example: `  kubectl steelyard drain node1
  kubectl steelyard drain node1 --dry-run
  kubectl steelyard drain node1 --wait=false -o json`,
		Args: one("node"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runDrain(cmd.Context(), args[0], a)
		},
		ValidArgsFunction: g.nodeNames(),
	}
	a.addTo(c, true)
	return c
}

func (g *globals) runDrain(ctx context.Context, node string, a acting) error {
	cl, s, err := g.look(ctx)
	if err != nil {
		return err
	}
	n, err := s.node(node)
	if err != nil {
		return err
	}
	g.hear(ctx, &s)
	d := Drained{Node: node, Drained: true, Moves: []Move{}}
	if len(s.replies.Views) > 0 {
		f := s.forecast(drainOf(n).condition, drainOf(n).apply)
		d.Forecast = &f
	}
	if err := s.mayDrain(d.Forecast, a.force); err != nil {
		return err
	}
	if a.dryRun {
		return a.show(g.Out, d, func(p *page, _ bool) { writeDryDrain(p, d) })
	}
	return g.drainNow(ctx, cl, s, n, d, a)
}

// mayDrain refuses what would leave addresses without anybody.
func (s sight) mayDrain(f *Forecast, force bool) error {
	if force {
		return nil
	}
	if f == nil {
		return fmt.Errorf("%w; --force drains without looking whether others can take the addresses", s.nobodyAsked())
	}
	var lost []string
	for _, c := range f.of(whatif.Unanswered) {
		lost = append(lost, c.OldAddress.String())
	}
	if len(lost) == 0 {
		return nil
	}
	slices.Sort(lost)
	return fmt.Errorf("nobody else may answer for %s (kubectl steelyard explain svc/NAME says why); --force drains all the same, and nobody will answer",
		strings.Join(slices.Compact(lost), ", "))
}

// drainNow writes the label and waits.
func (g *globals) drainNow(ctx context.Context, cl client.Client, s sight, n *corev1.Node, d Drained, a acting) error {
	d.Forecast = nil
	d.Moves = movesOf(slices.DeleteFunc(addressesOf(s), func(st AddressStatus) bool { return st.Owner != n.Name }))
	since := g.now()
	var err error
	if d.Changed, err = label(ctx, cl, n, true); err != nil {
		return err
	}
	p := newPage(g.Out)
	if a.text() {
		p.drainBegins(d)
	}
	w := waiting{client: cl, system: g.system, now: g.now, since: since, arrived: func(_ Move, owner string) bool { return owner != n.Name && (owner != "" || a.force) }}
	if err := a.await(ctx, w, p, d.Moves); err != nil {
		return err
	}
	return a.print(g.Out, d, func(_ io.Writer, _ bool) error {
		p.drainEnds(d, a.wait)
		return p.err
	})
}

// label writes or removes the label and says whether anything changed.
func label(ctx context.Context, cl client.Client, n *corev1.Node, drained bool) (changed bool, err error) {
	if kube.Node(n).Drained == drained {
		return false, nil
	}
	after := n.DeepCopy()
	if drained {
		if after.Labels == nil {
			after.Labels = map[string]string{}
		}
		after.Labels[v1beta1.LabelDrained] = ""
	} else {
		delete(after.Labels, v1beta1.LabelDrained)
	}
	if err := cl.Patch(ctx, after, client.MergeFrom(n)); err != nil {
		return false, fmt.Errorf("writing the label %s of Node %s: %w", v1beta1.LabelDrained, n.Name, err)
	}
	return true, nil
}

func writeDryDrain(p *page, d Drained) {
	if d.Forecast == nil {
		p.printf("%s would be drained. No speaker could be asked what would move.\n", d.Node)
		return
	}
	writeForecast(p, *d.Forecast)
}

// drainBegins says what is to be done.
func (p *page) drainBegins(d Drained) {
	switch {
	case !d.Changed && len(d.Moves) == 0:
	case !d.Changed:
		p.printf("%s is drained already; it has %s yet.\n", d.Node, countAddresses(len(d.Moves)))
	case len(d.Moves) > 0:
		p.printf("%s is drained of %s.\n", d.Node, countAddresses(len(d.Moves)))
	}
}

// drainEnds says how it came out.
func (p *page) drainEnds(d Drained, waited bool) {
	switch {
	case len(d.Moves) == 0 && !d.Changed:
		p.printf("%s is drained already and has no address.\n", d.Node)
	case len(d.Moves) == 0:
		p.printf("%s had no address, and gets none before kubectl steelyard undrain %s.\n", d.Node, d.Node)
	case waited:
		p.printf("%s has no address any more, and gets none before kubectl steelyard undrain %s.\n", d.Node, d.Node)
	default:
		p.printf("They are moving; kubectl steelyard status shows where to.\n")
	}
}

func countAddresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}
