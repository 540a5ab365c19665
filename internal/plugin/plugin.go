// Package plugin is `kubectl steelyard`. Its commands read the cluster with the caller's own rights, build the World and the
// Views that the controller and the speakers build, and call the same Plan and Decide, so that what they say cannot drift from
// what those do.
package plugin

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/live/fetch"
)

const about = `
kubectl steelyard shows what Steelyard does, and why: which pool and which node were considered for a Service, who owns an
address and since when, and what a change would move before it is made.

It uses the kubeconfig, context and namespace as kubectl does, and the rights of whoever calls it.`

// globals are what every command has: where to write, how to reach the cluster, and where Steelyard is installed.
type globals struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	// system is the namespace of Steelyard itself, with the pools, the advertisements and the speakers.
	system string
	// class is --lb-class; empty stands for the one of the controller.
	class string
	now   func() time.Time
	// connect and views reach the API server and the speakers.
	connect func() (client.Client, error)
	views   func(ctx context.Context, why []netip.Addr) (fetch.Replies, error)
	// logs and serverVersion read what a client does not.
	logs          logSource
	serverVersion func() (string, error)
}

// New returns the command with all its subcommands. It writes to the streams only, and prints no error: Execute returns it.
func New(streams genericiooptions.IOStreams) *cobra.Command {
	g := &globals{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true), now: time.Now}
	g.connect, g.views, g.logs, g.serverVersion = g.client, g.fetchViews, g.readLog, g.askVersion
	return g.command()
}

func (g *globals) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-steelyard",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl steelyard"},
		Short:         "Show what Steelyard does, and why",
		Long:          about[1:],
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(g.In)
	root.SetOut(g.Out)
	root.SetErr(g.ErrOut)
	g.flags.AddFlags(root.PersistentFlags())
	root.PersistentFlags().StringVar(&g.system, "steelyard-namespace", "metallb-system", "namespace that Steelyard is installed in, with its pools and advertisements")
	root.PersistentFlags().StringVar(&g.class, "lb-class", "", "load balancer class that Steelyard serves; by default that of its controller's Deployment")
	root.AddCommand(g.status(), g.explain(), g.whoHas(), g.pools(), g.doctor(), g.collect(), g.adopt(),
		g.whatIf(), g.move(), g.drain(), g.undrain())
	return root
}

// config returns how to reach the API server.
func (g *globals) config() (*rest.Config, error) {
	cfg, err := g.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	cfg.QPS, cfg.Burst = 50, 100
	return cfg, nil
}

// client returns a client without a cache, for the kinds of Kubernetes and of Steelyard.
func (g *globals) client() (client.Client, error) {
	cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	log.SetLogger(logr.Discard()) // what there is to say is in errors
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering API types: %w", err)
		}
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	return c, nil
}
