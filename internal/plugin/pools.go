package plugin

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

func (g *globals) pools() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "pools",
		Short: "List the pools and how full they are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := g.client()
			if err != nil {
				return err
			}
			pools, err := listPools(cmd.Context(), cl, g.system)
			if err != nil {
				return err
			}
			return out.print(g.Out, pools, func(w io.Writer, _ bool) error { return writePools(w, pools) })
		},
	}
	out.addTo(c)
	return c
}

func listPools(ctx context.Context, cl client.Client, system string) ([]v1beta1.IPAddressPool, error) {
	var list v1beta1.IPAddressPoolList
	if err := cl.List(ctx, &list, client.InNamespace(system)); err != nil {
		return nil, fmt.Errorf("listing pools: %w", err)
	}
	return list.Items, nil
}

func writePools(w io.Writer, pools []v1beta1.IPAddressPool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tADDRESSES")
	for _, p := range pools {
		fmt.Fprintf(t, "%s\t%s\n", p.Name, strings.Join(p.Spec.Addresses, ","))
	}
	return t.Flush()
}
