// Command kubectl-steelyard is a kubectl plugin, called as `kubectl steelyard`: it says who owns an address and why a Service
// waits for one. What its commands do is in package plugin.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/steelyard-lb/steelyard/internal/plugin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := plugin.New(streams).ExecuteContext(ctx)
	stop()
	if errors.As(err, new(plugin.WouldChange)) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
