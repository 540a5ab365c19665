// Command bench measures Steelyard in the lab: how long an address is without an owner after a power cut, how long a Service
// waits for its address, what both programs cost, how the controller alone does with thousands of Services, how soon questions are
// answered, and what three nodes with thousands of addresses send and use, idle and when one of them dies. With --peer it measures
// another implementation of the same API in the same run, on the same lab, with the same clients; except that only speaker/wire
// is asked beside a bare answerer, and only Steelyard's gossip is joined by simulated speakers.
//
// Contract: every figure is taken from outside, on the client's LAN interface, at the API server or in /proc, so that it
// means the same for both. The table goes to standard output and to a file; progress goes to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
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
	Scale    int  // Services in the parts plan, scale, leader, idle and takeover
	Tries    int  // restarts and deaths of each kind
	Only     []string
}

// The parts of a run. Those in the first line need the full lab, those in the second an API server at most, those in the third a
// lite lab; the last needs network namespaces only.
func parts() []string {
	return []string{
		"failover", "allocation",
		"plan", "scale", "leader",
		"idle", "takeover",
		"answer",
	}
}

// has says whether one of the parts is wanted.
func (o options) has(some ...string) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(some, func(p string) bool { return slices.Contains(o.Only, p) })
}

// helpers are what this program starts itself as, in network namespaces, by the first argument.
func helpers() map[string]func(args []string) error {
	return map[string]func([]string) error{asAnswerer: answerer, asChorus: chorus}
}

func main() {
	if len(os.Args) > 1 {
		if helper := helpers()[os.Args[1]]; helper != nil {
			if err := helper(os.Args[2:]); err != nil {
				fmt.Fprintf(os.Stderr, "bench %s: %v\n", os.Args[1], err)
				os.Exit(1)
			}
			return
		}
	}
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
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
	fs.IntVar(&o.Scale, "scale", number("SCALE", 10000), "Services in the parts plan, scale, leader, idle and takeover, addresses in the part answer (environment: SCALE)")
	fs.IntVar(&o.Tries, "tries", number("TRIES", 5), "restarts and deaths of the controller, of each kind, and deaths of a node in the part takeover (environment: TRIES)")
	only := fs.String("only", os.Getenv("ONLY"), "parts to run, separated by commas, of "+strings.Join(parts(), ", ")+"; empty runs all (environment: ONLY)")
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
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	unknown := slices.IndexFunc(o.Only, func(p string) bool { return !slices.Contains(parts(), p) })
	switch {
	case unknown >= 0:
		return o, fmt.Errorf("--only: there is no part %q; the parts are %s", o.Only[unknown], strings.Join(parts(), ", "))
	case o.Scale < 1 || o.Scale > 60000:
		return o, fmt.Errorf("--scale=%d: want 1 to 60000, the cluster's addresses for Services end there", o.Scale)
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.Cuts < 0 || o.Services < 0 || o.Burst < 0 || o.Tries < 0:
		return o, errors.New("--cuts, --services, --burst and --tries cannot be negative")
	case !o.Own && o.Peer == "":
		return o, errors.New("--own=false without --peer leaves nothing to measure")
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
