// Command demo shows on one machine, in a minute, what Steelyard does: a cluster of three nodes comes up on a LAN of its own,
// a Service gets an address, a client on the LAN reaches it, the node that answers loses its power, and another takes over.
//
// Contract: everything happens in network namespaces that the demo makes and removes, and every claim that it prints was
// heard or fetched by the client on that LAN.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// defaultName is the lab command's own default.
const defaultName = "steelyard"

func main() {
	keep := flag.Bool("keep", os.Getenv("KEEP") != "", "leave the cluster up and print how to use it (environment: KEEP=1)")
	name := flag.String("lab", defaultName, "name of the lab: the prefix of its network namespaces")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, newStage(os.Stdout), *name, *keep)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "demo: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
