// Command bench measures Steelyard in the lab: how long an address is without an owner after a power cut, how long a Service
// waits for its address, and what both programs cost. With --peer it measures another implementation of the same API in the
// same run, on the same lab, with the same clients.
//
// Contract: every figure is taken from outside, on the client's LAN interface, at the API server or in /proc, so that it
// means the same for both. The table goes to standard output and to a file; progress goes to standard error.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// options are what the command line asks for.
type options struct {
	LabName  string
	Cuts     int
	Services int // made one at a time
	Burst    int // made at once
	Peer     string
	Out      string
	Own      bool // measure Steelyard too, not only the peer
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.LabName, "lab", "steelyard-bench", "name of the lab")
	fs.IntVar(&o.Cuts, "cuts", number("CUTS", 20), "power cuts (environment: CUTS)")
	fs.IntVar(&o.Services, "services", number("SERVICES", 500), "Services made one at a time (environment: SERVICES)")
	fs.IntVar(&o.Burst, "burst", number("BURST", 2000), "Services made at once (environment: BURST)")
	fs.StringVar(&o.Peer, "peer", os.Getenv("PEER"), "file that describes another implementation (environment: PEER)")
	fs.StringVar(&o.Out, "out", "bench/results.md", "file for the table")
	fs.BoolVar(&o.Own, "own", true, "measure Steelyard; false leaves only the peer")
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), "Usage: bench [flags]\n\n")
		fs.PrintDefaults()
		fmt.Fprint(fs.Output(), peerHelp)
	}
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.Cuts < 0 || o.Services < 0 || o.Burst < 0:
		return o, fmt.Errorf("a number of measurements is negative")
	case !o.Own && o.Peer == "":
		return o, fmt.Errorf("--own=false without --peer leaves nothing to measure")
	}
	return o, nil
}

// number reads a count from the environment; anything else than a number is left to the default.
func number(env string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	return otherwise
}
