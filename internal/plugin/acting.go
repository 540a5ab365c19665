package plugin

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// acting are the flags of commands that change something.
type acting struct {
	output
	wait    bool
	timeout time.Duration
	dryRun  bool
	force   bool
}

// addTo declares them. Only what moves addresses has something to wait for.
func (a *acting) addTo(c *cobra.Command, waits bool) {
	a.output.addTo(c)
	c.Flags().BoolVar(&a.dryRun, "dry-run", false, "say what would move, and write nothing")
	if waits {
		c.Flags().BoolVar(&a.wait, "wait", true, "wait until the new owners have announced the addresses")
		c.Flags().DurationVar(&a.timeout, "timeout", time.Minute, "how long to wait")
		c.Flags().BoolVar(&a.force, "force", false, "do it although it cannot work now, or although that cannot be found out")
	}
}

// await waits for the moves unless told not to, and writes a line for each if the output is text.
func (a acting) await(ctx context.Context, w waiting, p *page, moves []Move) error {
	if !a.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	w.tell = func(m Move) {
		if a.text() {
			p.moved(m)
		}
	}
	return w.follow(ctx, moves)
}

// text says whether the output is for people.
func (a acting) text() bool { return a.output != outputJSON && a.output != outputYAML }
