package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Logger returns the logger that the flags ask for and makes it the one of controller-runtime and client-go too.
func (c *Common) Logger(w io.Writer) (logr.Logger, error) {
	levels := map[string]slog.Level{"error": slog.LevelError, "info": slog.LevelInfo, "debug": slog.Level(-1)}
	level, ok := levels[c.LogLevel]
	if !ok {
		return logr.Discard(), fmt.Errorf("--log-level=%s: want error, info or debug", c.LogLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch c.LogFormat {
	case "text":
		h = slog.NewTextHandler(w, opts)
	case "json":
		h = slog.NewJSONHandler(w, opts)
	default:
		return logr.Discard(), fmt.Errorf("--log-format=%s: want text or json", c.LogFormat)
	}
	log := logr.FromSlogHandler(h)
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("client-go"))
	return log, nil
}

// RESTConfig loads the kubeconfig, or the pod's service account when none is given.
func (c *Common) RESTConfig() (*rest.Config, error) {
	if c.Kubeconfig != "" {
		cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("--kubeconfig=%s: %w", c.Kubeconfig, err)
		}
		return cfg, nil
	}
	cfg, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("no --kubeconfig given and not running in a pod: %w", err)
	}
	return cfg, nil
}

// WaitForAPI returns when the API server answers and serves the kinds of groupVersion, asking once a second; until then the
// probes say what is missing, and the log says so once for each new reason. An error is that of ctx, or about cfg.
func WaitForAPI(ctx context.Context, cfg *rest.Config, groupVersion string, kinds []string, p *Probes, log logr.Logger) error {
	short := rest.CopyConfig(cfg)
	short.Timeout = 5 * time.Second
	dc, err := discovery.NewDiscoveryClientForConfig(short)
	if err != nil {
		return fmt.Errorf("making the API client: %w", err)
	}
	last := ""
	for {
		err := apiServes(dc, groupVersion, kinds)
		if err == nil {
			return nil
		}
		p.NotReady(err.Error())
		if err.Error() != last {
			last = err.Error()
			log.Info("waiting for the API server", "server", cfg.Host, "reason", last)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func apiServes(dc *discovery.DiscoveryClient, groupVersion string, kinds []string) error {
	if _, err := dc.ServerVersion(); err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
	}
	list, err := dc.ServerResourcesForGroupVersion(groupVersion)
	if err != nil {
		return fmt.Errorf("the API server does not serve %s (install the CRDs): %w", groupVersion, err)
	}
	served := map[string]bool{}
	for _, r := range list.APIResources {
		served[r.Kind] = true
	}
	for _, k := range kinds {
		if !served[k] {
			return fmt.Errorf("the API server does not serve kind %s of %s (install the CRDs)", k, groupVersion)
		}
	}
	return nil
}

// Main runs a binary and returns its exit status: flags are parsed, run is called with a context that SIGINT and SIGTERM
// end, and an error becomes one line on standard error: status 2 for wrong flags, 1 for the rest, 0 after --help and --version.
func Main(parse func() error, run func(context.Context) error) int {
	if err := parse(); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintln(os.Stderr, "error:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}
