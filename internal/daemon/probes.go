package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// Probes serves /healthz, which answers while the process runs, and /readyz, which says what is still waited for. What else a
// binary has to tell it adds with Tell.
type Probes struct {
	waiting atomic.Pointer[string]
	teller  atomic.Pointer[teller]
}

// teller is one more path, and who answers there.
type teller struct {
	path    string
	handler http.Handler
}

// NewProbes returns probes that are not ready yet.
func NewProbes() *Probes {
	p := &Probes{}
	p.NotReady("starting")
	return p
}

// Ready makes /readyz answer 200.
func (p *Probes) Ready() { p.waiting.Store(nil) }

// NotReady makes /readyz answer 503 with the reason, in words for an operator.
func (p *Probes) NotReady(reason string) { p.waiting.Store(&reason) }

// Tell serves a path to callers on this host, which a port-forward to the Pod is too. Others are refused, also when the probes
// listen on all addresses.
func (p *Probes) Tell(path string, h http.Handler) { p.teller.Store(&teller{path, h}) }

// ServeHTTP answers /healthz and /readyz, and the path of Tell.
func (p *Probes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tell := p.teller.Load()
	switch {
	case r.URL.Path == "/healthz":
		fmt.Fprintln(w, "ok")
	case r.URL.Path == "/readyz":
		if why := p.waiting.Load(); why != nil {
			http.Error(w, "not ready: "+*why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	case tell == nil || r.URL.Path != tell.path:
		http.NotFound(w, r)
	case !local(r.RemoteAddr):
		http.Error(w, r.URL.Path+" is told on this host only: use a port-forward to the Pod", http.StatusForbidden)
	case r.Method != http.MethodGet:
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
	default:
		tell.handler.ServeHTTP(w, r)
	}
}

// local says whether the caller is on this host, by a loopback address.
func local(remote string) bool {
	from, err := netip.ParseAddrPort(remote)
	return err == nil && from.Addr().Unmap().IsLoopback()
}

// ServeProbes answers on addr, HOST:PORT or "0" for nowhere, until ctx ends; wait returns when it has stopped. It fails at once when
// the address cannot be used.
func ServeProbes(ctx context.Context, addr string, p *Probes) (wait func(), err error) {
	if addr == "0" || addr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--health-probe-bind-address=%s: %w", addr, err)
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		go func() { <-ctx.Done(); srv.Close() }()
		_ = srv.Serve(l) // always ErrServerClosed, from the Close above
	}()
	return func() { <-done }, nil
}
