// Package daemon is what both binaries do before their own work begins: flags that are environment variables too, a logger,
// a kubeconfig, a metrics and a probe server, and waiting for an API server that is not there yet. Nothing in it knows what
// a Service or an address is.
package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// Common are the flags that the controller and the speaker share.
type Common struct {
	Kubeconfig string
	Namespace  string
	LBClass    string
	Metrics    Metrics
	ProbeAddr  string
	LogLevel   string
	LogFormat  string
}

// AddTo declares the common flags on fs. The two addresses are the defaults of this binary.
func (c *Common) AddTo(fs *flag.FlagSet, metricsAddr, probeAddr string) {
	fs.StringVar(&c.Kubeconfig, "kubeconfig", "", "path of a kubeconfig; empty uses the service account of the pod")
	fs.StringVar(&c.Namespace, "namespace", "metallb-system", "namespace of the IPAddressPools, L2Advertisements and speaker pods")
	fs.StringVar(&c.LBClass, "lb-class", "", "serve only Services with this spec.loadBalancerClass; empty serves only those without one")
	fs.StringVar(&c.Metrics.Addr, "metrics-bind-address", metricsAddr, "address of the metrics endpoint /metrics; 0 turns it off")
	c.Metrics.Secure = SecureAuto
	fs.Var(&c.Metrics.Secure, "metrics-secure", "whether metrics are served with TLS, to those only whom the API server allows to get /metrics: true, false,\n"+
		"        or auto: unless the address is a loopback one")
	fs.StringVar(&c.Metrics.CertDir, "metrics-cert-dir", "", "directory of tls.crt and tls.key for the metrics, read again when they change; empty makes a self-signed certificate")
	fs.StringVar(&c.ProbeAddr, "health-probe-bind-address", probeAddr, "address of /healthz and /readyz; 0 turns them off")
	fs.StringVar(&c.LogLevel, "log-level", "info", "error, info or debug")
	fs.StringVar(&c.LogFormat, "log-format", "text", "text or json")
}

// envNames returns the variables of a flag, the one that wins first: --log-level is STEELYARD_LOG_LEVEL. Two flags have the names
// besides that Kubernetes manifests use by custom, and --version has none: a variable of a pod that says which version it is must not end it.
func envNames(flagName string) []string {
	own := "STEELYARD_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
	switch flagName {
	case "version":
		return nil
	case "namespace":
		return []string{own, "POD_NAMESPACE"}
	case "node-name":
		return []string{own, "NODE_NAME"}
	}
	return []string{own}
}

// Parse reads flags from args, and from the environment those that args does not set. It declares --version. The error is one line and
// names the flag or variable; it is flag.ErrHelp when --help or --version was asked for and is printed. about is the text above the list
// of flags.
func Parse(fs *flag.FlagSet, about string, args []string, getenv func(string) string) error {
	fs.SetOutput(io.Discard) // the caller prints the error, once
	fs.Usage = func() {}
	asked := fs.Bool("version", false, "print the version and exit")
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printHelp(os.Stdout, fs, about)
		return flag.ErrHelp
	case err != nil:
		return fmt.Errorf("%w (see %s --help)", err, fs.Name())
	case fs.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: %s takes flags only (see %s --help)", fs.Arg(0), fs.Name(), fs.Name())
	case *asked:
		fmt.Println(fs.Name(), version())
		return flag.ErrHelp
	}
	return fromEnvironment(fs, getenv)
}

// fromEnvironment sets the flags that were not given.
func fromEnvironment(fs *flag.FlagSet, getenv func(string) string) (err error) {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	fs.VisitAll(func(f *flag.Flag) {
		if given[f.Name] || err != nil {
			return
		}
		for _, env := range envNames(f.Name) {
			if v := getenv(env); v != "" {
				if e := fs.Set(f.Name, v); e != nil {
					err = fmt.Errorf("environment variable %s=%q: %w", env, v, e)
				}
				return
			}
		}
	})
	return err
}

// version is that of the module, as the Go command wrote it into the program.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

func printHelp(w io.Writer, fs *flag.FlagSet, about string) {
	fmt.Fprintf(w, "%s\n\nUsage: %s [flags]\n\nFlags can be given as environment variables instead; a flag wins over its variable.\n\n", strings.TrimSpace(about), fs.Name())
	fs.VisitAll(func(f *flag.Flag) {
		fmt.Fprintf(w, "  --%s", f.Name)
		if names := envNames(f.Name); len(names) > 0 {
			fmt.Fprintf(w, "  [%s]", strings.Join(names, ", "))
		}
		fmt.Fprintf(w, "\n        %s", f.Usage)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}
