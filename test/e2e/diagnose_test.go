package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// diagnose collects what one looks at first when a test failed. What it cannot get it says, and goes on.
func diagnose(l *lab.Lab) string {
	var b strings.Builder
	for _, args := range [][]string{
		{"get", "nodes,pods", "-A", "-o", "wide"},
		{"get", "services", "-A", "-o", "wide"},
		{"get", "ipaddresspools,l2advertisements,servicel2statuses", "-n", rig.Namespace, "-o", "wide"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"logs", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=controller", "--tail=60", "--prefix"},
		{"logs", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=speaker", "--tail=60", "--prefix"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := l.Kubectl(ctx, "", args...)
		cancel()
		fmt.Fprintf(&b, "\n--- kubectl %s\n%s", strings.Join(args, " "), lastLines(out, 120))
		if err != nil {
			fmt.Fprintf(&b, "(%v)\n", err)
		}
	}
	return b.String()
}

func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
