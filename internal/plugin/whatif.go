package plugin

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/whatif"
)

// WouldChange is what `what-if --fail-on-change` ends with when something would change: the program's exit status is 2 then, and
// nothing more is printed.
type WouldChange struct{}

// Error implements error.
func (WouldChange) Error() string { return "something would change" }

const aboutWhatIf = `Say what a change would do before it is made: which addresses would move to another node, which Services would get another address or
none, and why. Nothing is written.

The code of the controller and of the speakers is run on the cluster as it is and on the changed one, until everything has come to
rest, also what balance does in the minutes after it. What would happen without the change too is not listed. Strangers on the LAN and Pods that
come and go meanwhile are not foreseen, and neither is which addresses were freed in the last ten minutes: a Service that gets another
address may get another one than is told.`

// alteration is a change that can be tried.
type alteration struct {
	condition string // as in Forecast.If
	apply     func(whatif.World) whatif.World
	notes     []string
	// nodes says that the change is about nodes: without any speaker there is nothing to tell.
	nodes bool
}

// alter makes the alteration of a command from its arguments.
type alter func(ctx context.Context, cl client.Client, s sight, args []string) (alteration, error)

func (g *globals) whatIf() *cobra.Command {
	c := &cobra.Command{
		Use:   "what-if",
		Short: "Say which addresses a change would move, before it is made",
		Long:  aboutWhatIf,
		Example: `  kubectl steelyard what-if drain node1
  kubectl steelyard what-if delete-node node1
  kubectl steelyard what-if cordon node1
  kubectl steelyard what-if edit-pool -f pool.yaml --fail-on-change
  kubectl steelyard what-if delete-pool office -o json
  kubectl steelyard what-if edit-advertisement -f advertisement.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(g.whatIfDrain(), g.whatIfDeleteNode(), g.whatIfCordon(), g.whatIfDeletePool(), g.whatIfEditPool(), g.whatIfEditAdvertisement())
	return c
}

// trial makes a command that tries an alteration.
func (g *globals) trial(use, short, example string, args cobra.PositionalArgs, complete completer, a alter) *cobra.Command {
	var out output
	var fail bool
	c := &cobra.Command{
		Use: use, Short: short, Example: "  kubectl steelyard what-if " + example, Args: args, ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := g.try(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			if err := out.show(g.Out, f, func(p *page, _ bool) { writeForecast(p, f) }); err != nil {
				return err
			}
			if fail && len(f.Changes) > 0 {
				return WouldChange{}
			}
			return nil
		},
	}
	out.addTo(c)
	c.Flags().BoolVar(&fail, "fail-on-change", false, "end with exit status 2 when something would change")
	return c
}

// try reads the cluster and compares it with the altered one.
func (g *globals) try(ctx context.Context, a alter, args []string) (Forecast, error) {
	cl, s, err := g.look(ctx)
	if err != nil {
		return Forecast{}, err
	}
	change, err := a(ctx, cl, s, args)
	if err != nil {
		return Forecast{}, err
	}
	g.hear(ctx, &s)
	if change.nodes && len(s.replies.Views) == 0 {
		return Forecast{}, s.nobodyAsked()
	}
	f := s.forecast(change.condition, change.apply)
	f.Notes = append(f.Notes, change.notes...)
	return f, nil
}

// nobodyAsked says why nothing can be foreseen of nodes.
func (s sight) nobodyAsked() error {
	if s.unasked != nil {
		return fmt.Errorf("no speaker could be asked who may answer for what: %w", s.unasked)
	}
	for _, node := range slices.Sorted(maps.Keys(s.replies.Silent)) {
		return fmt.Errorf("no speaker could be asked who may answer for what (that of %s: %w)", node, s.replies.Silent[node])
	}
	return fmt.Errorf("no speaker runs in namespace %s (use --steelyard-namespace)", s.system)
}

// node finds a Node.
func (s sight) node(name string) (*corev1.Node, error) {
	for i := range s.objects.Nodes {
		if s.objects.Nodes[i].Name == name {
			return &s.objects.Nodes[i], nil
		}
	}
	return nil, fmt.Errorf("there is no Node %s (kubectl get nodes lists all)", name)
}

func (g *globals) whatIfDrain() *cobra.Command {
	return g.trial("drain NODE", "What would move if `kubectl steelyard drain` were called", "drain node1", one("node"), g.nodeNames(),
		func(_ context.Context, _ client.Client, s sight, args []string) (alteration, error) {
			n, err := s.node(args[0])
			if err != nil {
				return alteration{}, err
			}
			return drainOf(n), nil
		})
}

// drainOf is the alteration that `drain` makes.
func drainOf(n *corev1.Node) alteration {
	a := alteration{condition: n.Name + " were drained", nodes: true, apply: func(w whatif.World) whatif.World { return w.Drain(n.Name, true) }}
	if kube.Node(n).Drained {
		a.notes = []string{n.Name + " is drained already."}
	}
	return a
}

func (g *globals) whatIfDeleteNode() *cobra.Command {
	return g.trial("delete-node NODE", "What would move if the Node object were deleted", "delete-node node1", one("node"), g.nodeNames(),
		func(_ context.Context, _ client.Client, s sight, args []string) (alteration, error) {
			n, err := s.node(args[0])
			if err != nil {
				return alteration{}, err
			}
			return alteration{condition: "Node " + n.Name + " were deleted", nodes: true,
				apply: func(w whatif.World) whatif.World { return w.WithoutNode(n.Name) }}, nil
		})
}

func (g *globals) whatIfCordon() *cobra.Command {
	return g.trial("cordon NODE", "What would move if `kubectl cordon` were called: nothing", "cordon node1", one("node"), g.nodeNames(),
		func(_ context.Context, _ client.Client, s sight, args []string) (alteration, error) {
			n, err := s.node(args[0])
			if err != nil {
				return alteration{}, err
			}
			cordoned := n.DeepCopy()
			cordoned.Spec.Unschedulable = true
			return alteration{condition: n.Name + " were cordoned", nodes: true,
				apply: func(w whatif.World) whatif.World { return w.WithNode(kube.Node(cordoned)) },
				notes: []string{"kubectl cordon is about new Pods only: a cordoned node keeps its addresses and may get more.",
					"To move them away: kubectl steelyard drain " + n.Name}}, nil
		})
}

func (g *globals) whatIfDeletePool() *cobra.Command {
	return g.trial("delete-pool NAME", "What would change if an IPAddressPool were deleted", "delete-pool office", one("pool"), g.poolNames(),
		func(_ context.Context, _ client.Client, s sight, args []string) (alteration, error) {
			name := args[0]
			if !slices.ContainsFunc(s.world.Pools, func(p lb.Pool) bool { return p.Name == name }) {
				return alteration{}, fmt.Errorf("there is no IPAddressPool %s in namespace %s (kubectl steelyard pools lists all)", name, s.system)
			}
			return alteration{condition: "IPAddressPool " + name + " were deleted", apply: func(w whatif.World) whatif.World { return w.WithoutPool(name) }}, nil
		})
}

// poolNames completes the name of a pool.
func (g *globals) poolNames() completer {
	return g.complete(func(c *cobra.Command, cl client.Client) ([]string, error) {
		var list v1beta1.IPAddressPoolList
		err := cl.List(c.Context(), &list, client.InNamespace(g.system))
		var out []string
		for _, p := range list.Items {
			out = append(out, p.Name)
		}
		return out, err
	})
}
