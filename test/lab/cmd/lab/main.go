// Command lab makes, uses and removes a real Kubernetes cluster on one machine, for tests and for looking at things.
// Its work is done by package lab; this is the command line. Exit codes: 0 done, 1 failed, 2 wrong usage; `enter` passes on
// the code of the command it ran.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

const usage = `lab makes a real Kubernetes cluster out of network namespaces, on this machine, without a container registry.

  lab check                       what this machine lacks for it, and how to get it
  lab build [TOOL]                build every program into the cache (10 to 15 minutes the first time);
                                  with TOOL (golangci-lint, promtool) only that one. Prints the directory, or the path
  lab up [flags]                  bring it up and leave it running (6 to 10 s once built)
      -tier full|lite|api         real nodes | node namespaces with kube-proxy only | API server only  (full)
      -proxy nftables|iptables    mode of kube-proxy  (nftables)
      -grace DURATION             silence after which a node is NotReady  (12s)
      -hold                       stay, and take it down at the end of this command, however it ends
  lab status                      hosts, addresses and processes
  lab install [HELM-ARGS...]      install bin/steelyard-* from charts/steelyard (after make build)
  lab kubectl ARGS...             kubectl as administrator       lab kubectl get nodes -o wide
  lab helm ARGS...                helm as administrator          lab helm list -A
  lab enter HOST COMMAND...       run a command on a host        lab enter client curl http://192.168.1.200
                                                                 lab enter node1 nft list ruleset
  lab link NODE lan|mgmt up|down  plug in or pull a cable
  lab power NODE cut|restore      take the power from a node, or give it back and wait until it is Ready
  lab heal                        mend every fault that a test which died has left in a running lab
  lab down                        end and remove all of it

Hosts are node1 node2 node3 client router cp (control plane) lan (the bridge: lab enter lan tcpdump -i br0).
Every command takes -name NAME first, for a second lab beside the default one: lab -name other up.
From inside the clone: go run ./test/lab/cmd/lab COMMAND. up, build and install need the clone's sources.
State and logs are in /var/lib/steelyard-lab, programs in ~/.cache/steelyard/lab. Needs root.
`

// errUsage marks an error of the caller; the message says which.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	os.Exit(exitCode(err))
}

// exitCode says what went wrong, once, and how the process should end.
func exitCode(err error) int {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended) && ended.ExitCode() > 0:
		return ended.ExitCode() // the command has said itself what was wrong
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "lab: %v; see lab --help\n", err)
		return 2
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
}

// run finds the command and its arguments.
func run(ctx context.Context, args []string) error {
	name := ""
	if len(args) >= 2 && (args[0] == "-name" || args[0] == "--name") {
		name, args = args[1], args[2:]
	}
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("%w: no command", errUsage)
	}
	verb, rest := args[0], args[1:]
	if verb == "help" || verb == "-h" || verb == "-help" || verb == "--help" {
		fmt.Print(usage)
		return nil
	}
	if inner, ok := inside()[verb]; ok {
		return inner(rest)
	}
	if outer, ok := commands()[verb]; ok {
		return outer(ctx, name, rest)
	}
	return fmt.Errorf("%w: no command %q", errUsage, verb)
}
