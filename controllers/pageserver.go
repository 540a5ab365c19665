package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/steelyard-lb/steelyard/internal/statuspage"
)

// StatusPage serves internal/statuspage over HTTP: the page at /, the same as data at /status.json. It only reads, from the caches
// of the manager that Setup wired last, on the leader and on standbys. It is made once for a process, as Metrics are.
//
// There is no login, so it belongs on a loopback address, which a port-forward reaches. Against what else runs in the browser of
// who looks: only GET is answered; only requests for "localhost" or an IP address are, so that no other site can name the page by a
// DNS record of its own; other sites may link here and no more; and nothing is loaded or run that is not one of the page's own files.
type StatusPage struct {
	replica  string
	renderer statuspage.Renderer
	source   atomic.Pointer[pageSource]
	now      func() time.Time
}

// NewStatusPage returns the page of a replica with this name. It answers 503 until Setup has wired a manager.
func NewStatusPage(replica string) *StatusPage {
	return &StatusPage{replica: replica, renderer: statuspage.NewRenderer(), now: time.Now}
}

// pageTimeout is the longest that reading may take: the first time, the cache of ServiceL2Statuses is filled.
const pageTimeout = 10 * time.Second

// Serve answers on addr, HOST:PORT, until ctx ends; "0" and "" are off.
func (p *StatusPage) Serve(ctx context.Context, addr string) error {
	if addr == "0" || addr == "" {
		<-ctx.Done()
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("--status-address=%s: %w", addr, err)
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 2 * pageTimeout, MaxHeaderBytes: 1 << 14}
	stopped := context.AfterFunc(ctx, func() { srv.Close() })
	defer stopped()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("--status-address=%s: %w", addr, err)
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (p *StatusPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	switch {
	case !knownHost(r.Host):
		http.Error(w, "ask for localhost or an IP address, not for "+strconv.Quote(r.Host), http.StatusMisdirectedRequest)
		return
	case foreign(r.Header):
		http.Error(w, "another site asks", http.StatusForbidden)
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	if content, mediaType, ok := statuspage.File(strings.TrimPrefix(r.URL.Path, "/")); ok {
		w.Header().Set("Content-Type", mediaType)
		_, _ = w.Write(content) // who asked has gone
		return
	}
	if r.URL.Path != "/" && r.URL.Path != "/status.json" {
		http.NotFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	s, err := p.status(ctx)
	if err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path == "/" {
		p.html(w, r, s)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // who asked has gone
}

// html writes the page. It is made as a whole before, so that an error is not half a page.
func (p *StatusPage) html(w http.ResponseWriter, r *http.Request, s statuspage.Status) {
	form := r.URL.Query()
	number, _ := strconv.Atoi(form.Get("page")) // anything else is the first page
	var out bytes.Buffer
	if err := p.renderer.Write(&out, s, statuspage.Query{Text: form.Get("q"), Page: number}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // who asked has gone
}

func (p *StatusPage) status(ctx context.Context) (statuspage.Status, error) {
	source := p.source.Load()
	if source == nil {
		return statuspage.Status{}, errors.New("the controller waits for the API server")
	}
	now := p.now()
	world, err := source.world(ctx, now)
	if err != nil {
		return statuspage.Status{}, err
	}
	world.Replica = p.replica
	return statuspage.Of(world, now), nil
}

// protect sets what browsers enforce for us.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// foreign says whether a browser asks in the name of another site or of another port of this host, and not because somebody followed
// a link (Fetch Metadata). What is no browser, or an old one, says nothing of that.
func foreign(h http.Header) bool {
	site := h.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none" && h.Get("Sec-Fetch-Dest") != "document"
}

// knownHost says whether a Host header names this machine in a way that no DNS record can: localhost (RFC 6761, section 6.3) or an
// IP address, with or without a port.
func knownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	_, err = netip.ParseAddr(name)
	return err == nil || strings.EqualFold(name, "localhost")
}
