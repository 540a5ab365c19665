package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/steelyard-lb/steelyard/internal/doctor"
)

// Diagnosis is what `doctor` tells.
type Diagnosis struct {
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Notes    int `json:"notes"`
	// Findings are sorted, the worst first.
	Findings []doctor.Finding `json:"findings"`
}

func (g *globals) doctor() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps addresses from working, and say which command mends it",
		Long: `Look for what keeps addresses from working: kernels that answer ARP for addresses that they do not own, other programs that serve
the same Services, pools that overlap nodes, Pods or cluster IPs, advertisements that nobody can follow, speakers that do not hear each
other, clocks that are wrong. Each finding comes with the command that mends it. Nothing is changed.

It ends with 1 when it finds an error, and with 0 when it finds warnings and notes only.`,
		Example: `  kubectl steelyard doctor
  kubectl steelyard doctor -o json | jq '.findings[] | select(.severity == "error")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := g.diagnose(cmd.Context())
			if err != nil {
				return err
			}
			if err := out.show(g.Out, d, func(p *page, _ bool) { writeDiagnosis(p, d) }); err != nil {
				return err
			}
			if d.Errors > 0 {
				return fmt.Errorf("found %s", count(d.Errors, "error"))
			}
			return nil
		},
	}
	out.addTo(c)
	return c
}

// diagnose gathers the facts and examines them.
func (g *globals) diagnose(ctx context.Context) (Diagnosis, error) {
	cl, s, err := g.look(ctx)
	if err != nil {
		return Diagnosis{}, err
	}
	g.hear(ctx, &s)
	return diagnosisOf(factsOf(s, readSurroundings(ctx, cl, g.system))), nil
}

func diagnosisOf(f doctor.Facts) Diagnosis {
	d := Diagnosis{Findings: doctor.Examine(f)}
	for _, found := range d.Findings {
		switch found.Severity {
		case doctor.Error:
			d.Errors++
		case doctor.Warning:
			d.Warnings++
		default:
			d.Notes++
		}
	}
	return d
}

func writeDiagnosis(p *page, d Diagnosis) {
	if len(d.Findings) == 0 {
		p.printf("Nothing was found.\n")
		return
	}
	paints := map[doctor.Severity]paint{doctor.Error: red, doctor.Warning: yellow, doctor.Note: plain}
	for _, f := range d.Findings {
		p.printf("%s  %s (%s)\n", p.painted(cell{fmt.Sprintf("%-7s", f.Severity), paints[f.Severity]}), p.painted(cell{f.Where, bold}), f.Rule)
		p.printf("         %s.\n         $ %s\n", f.What, f.Fix)
	}
	p.printf("\n%s, %s, %s.\n", count(d.Errors, "error"), count(d.Warnings, "warning"), count(d.Notes, "note"))
}

// count says "1 error" or "2 errors".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
