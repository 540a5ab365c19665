// Command steelyard-controller gives addresses to Services of type LoadBalancer: flags, wiring, run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/controllers"
	"github.com/steelyard-lb/steelyard/internal/daemon"
)

const about = `
steelyard-controller gives an address from an IPAddressPool to every Service of type LoadBalancer, and writes it into the
Service's status. A speaker on each node (steelyard-speaker) then makes one node answer for it.

Several replicas may run: one of them, the holder of the Lease steelyard-controller, gives out addresses, and another takes
over at once when it is stopped, and 5 to 9 seconds after it died: its lease of 5 s must end, and what it may
have sent last is waited for. Meanwhile Services keep what they have. Addresses live in the Services' status alone, so no restart
changes them. A Service without an address says why in its condition metallb.io/Allocated, and in an Event.`

func main() {
	os.Exit(command(os.Args[1:], os.Getenv))
}

func command(args []string, getenv func(string) string) int {
	var flags daemon.Common
	var statusAddr string
	fs := flag.NewFlagSet("steelyard-controller", flag.ContinueOnError)
	flags.AddTo(fs, ":17945", ":17946")
	fs.StringVar(&statusAddr, "status-address", "127.0.0.1:17949", "address of the status page, which has no login: a port-forward reaches it on the loopback; 0 turns it off")
	return daemon.Main(
		func() error { return daemon.Parse(fs, about, args, getenv) },
		func(ctx context.Context) error { return run(ctx, flags, statusAddr) })
}

func run(ctx context.Context, flags daemon.Common, statusAddr string) error {
	log, err := flags.Logger(os.Stderr)
	if err != nil {
		return err
	}
	cfg, err := flags.RESTConfig()
	if err != nil {
		return err
	}
	cfg.QPS = -1 // the API server's own priority and fairness limits us; a burst must not wait for our own limiter
	metrics, err := controllers.NewMetrics(ctrlmetrics.Registry)
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("reading the host name: %w", err)
	}
	probes := daemon.NewProbes()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait, err := daemon.ServeProbes(ctx, flags.ProbeAddr, probes)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- daemon.ServeMetrics(ctx, flags.Metrics, cfg, log); cancel() }()
	page := controllers.NewStatusPage(host)
	waitPage := servePage(ctx, page, statusAddr, log)
	err = serve(ctx, cfg, controllers.Options{Namespace: flags.Namespace, Class: flags.LBClass, Identity: host, Metrics: metrics, Page: page}, probes, log)
	cancel()
	wait()
	waitPage()
	if metricsErr := <-served; metricsErr != nil {
		return metricsErr // it ended the rest
	}
	return err
}

// servePage serves the status page until ctx ends. An address that cannot be used is told, and no reason to stop: Services need their
// addresses more than somebody needs the page.
func servePage(ctx context.Context, page *controllers.StatusPage, addr string, log logr.Logger) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := page.Serve(ctx, addr); err != nil {
			log.Error(err, "there is no status page")
		}
	}()
	return func() { <-done }
}

// serve waits for the API server, then runs managers until ctx ends. A manager ends by itself when the lease is lost; then
// the next one starts as a standby. o.Identity is the name of the host.
func serve(ctx context.Context, cfg *rest.Config, o controllers.Options, probes *daemon.Probes, log logr.Logger) error {
	if err := daemon.WaitForAPI(ctx, cfg, v1beta1.GroupVersion.String(), []string{"IPAddressPool"}, probes, log); err != nil {
		return err
	}
	host := o.Identity
	for ctx.Err() == nil {
		probes.NotReady("filling the caches")
		o.Identity = host + "_" + string(uuid.NewUUID()) // a new one each time: an old lease must not pass for ours
		err := runManager(ctx, cfg, o, probes)
		if ctx.Err() != nil {
			return err
		}
		log.Info("the manager ended, starting another", "reason", fmt.Sprint(err))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

func runManager(ctx context.Context, cfg *rest.Config, o controllers.Options, probes *daemon.Probes) error {
	mgr, err := controllers.Setup(cfg, o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctrl.LoggerInto(ctx, mgr.GetLogger()))
	defer cancel()
	synced := make(chan struct{})
	go func() {
		defer close(synced)
		if controllers.Synced(ctx, mgr) {
			o.Metrics.ConfigLoaded()
			probes.Ready()
		}
	}()
	err = mgr.Start(ctx)
	cancel()
	<-synced
	return err
}
