package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/steelyard-lb/steelyard/internal/guard"
)

// Secure says whether metrics are served with TLS, to those only whom the API server allows to get /metrics.
type Secure string

// The values of --metrics-secure.
const (
	SecureAuto  Secure = "auto"  // unless the address is a loopback one
	SecureTrue  Secure = "true"  // always
	SecureFalse Secure = "false" // never
)

// String is the value's name; with Set it makes a Secure a flag.
func (s *Secure) String() string { return string(*s) }

// Set takes auto, true or false.
func (s *Secure) Set(text string) error {
	switch v := Secure(text); v {
	case SecureAuto, SecureTrue, SecureFalse:
		*s = v
		return nil
	}
	return errors.New("want auto, true or false")
}

// at says whether metrics at an address, HOST:PORT, are to be protected.
func (s Secure) at(addr string) bool {
	if s != SecureAuto {
		return s == SecureTrue
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return host != "localhost" && (err != nil || !ip.IsLoopback())
}

// Metrics says where and how metrics are served.
type Metrics struct {
	Addr    string // HOST:PORT; "0" serves nothing
	Secure  Secure
	CertDir string // holds tls.crt and tls.key, which are followed; empty makes a self-signed certificate
}

// ServeMetrics serves the registry of controller-runtime until ctx ends.
func ServeMetrics(ctx context.Context, m Metrics, cfg *rest.Config, log logr.Logger) error {
	if m.Addr == "0" || m.Addr == "" {
		<-ctx.Done()
		return nil
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return fmt.Errorf("making the HTTP client: %w", err)
	}
	opts, err := m.options(log)
	if err != nil {
		return err
	}
	srv, err := metricsserver.NewServer(opts, cfg, client)
	if err != nil {
		return fmt.Errorf("--metrics-bind-address=%s: %w", m.Addr, err)
	}
	if err := srv.Start(ctx); err != nil {
		return fmt.Errorf("--metrics-bind-address=%s: %w", m.Addr, err)
	}
	return nil
}

// options are those of controller-runtime's server.
func (m Metrics) options(log logr.Logger) (metricsserver.Options, error) {
	o := metricsserver.Options{BindAddress: m.Addr}
	if !m.Secure.at(m.Addr) {
		return o, nil
	}
	o.SecureServing = true
	o.FilterProvider = func(cfg *rest.Config, client *http.Client) (metricsserver.Filter, error) {
		g, err := guard.New(cfg, client, log.WithName("metrics"))
		if err != nil {
			return nil, err
		}
		return func(_ logr.Logger, next http.Handler) (http.Handler, error) { return g.Protect(next), nil }, nil
	}
	// HTTP/2 would let one connection ask for much at once, and nothing that scrapes needs it.
	o.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos, c.MinVersion = []string{"http/1.1"}, tls.VersionTLS12 }}
	if m.CertDir != "" {
		for _, name := range []string{"tls.crt", "tls.key"} {
			if _, err := os.Stat(filepath.Join(m.CertDir, name)); err != nil {
				return o, fmt.Errorf("--metrics-cert-dir: %w", err)
			}
		}
		o.CertDir = m.CertDir
		return o, nil
	}
	// Given here, because the server would look for one in a directory below /tmp, which others may write to.
	self, err := selfSigned()
	if err != nil {
		return o, fmt.Errorf("making a certificate for the metrics: %w", err)
	}
	o.TLSOpts = append(o.TLSOpts, func(c *tls.Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &self, nil }
	})
	return o, nil
}
