package daemon

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProbesSayWhatIsWaitedFor(t *testing.T) {
	p := NewProbes()
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	p.NotReady("the API server does not answer")
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "the API server does not answer") {
		t.Errorf("/readyz while waiting: %d %q", code, body)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("/healthz while waiting: %d, want 200: a restart would not help", code)
	}
	p.Ready()
	if code, _ := get("/readyz"); code != 200 {
		t.Errorf("/readyz when ready: %d", code)
	}
	if code, _ := get("/other"); code != 404 {
		t.Errorf("/other: %d, want 404", code)
	}
}

func TestServeProbesRefusesAnAddressInUse(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	addr := strings.TrimPrefix(taken.URL, "http://")
	if _, err := ServeProbes(t.Context(), addr, NewProbes()); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("error = %v, want one that names %s", err, addr)
	}
}

func TestServeProbesEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := ServeProbes(ctx, "127.0.0.1:0", NewProbes())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	wait()
}

func TestProbesTellCallersOnThisHostOnly(t *testing.T) {
	p := NewProbes()
	p.Tell("/view", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "all I know") }))
	for _, c := range []struct {
		name, method, path, from string
		want                     int
	}{
		{"IPv4 loopback", http.MethodGet, "/view", "127.0.0.1:4711", http.StatusOK},
		{"IPv6 loopback", http.MethodGet, "/view", "[::1]:4711", http.StatusOK},
		{"IPv4 loopback on an IPv6 socket", http.MethodGet, "/view", "[::ffff:127.0.0.1]:4711", http.StatusOK},
		{"another host", http.MethodGet, "/view", "192.0.2.7:4711", http.StatusForbidden},
		{"no address", http.MethodGet, "/view", "@", http.StatusForbidden},
		{"a write", http.MethodPost, "/view", "127.0.0.1:4711", http.StatusMethodNotAllowed},
		{"below the path", http.MethodGet, "/view/x", "127.0.0.1:4711", http.StatusNotFound},
		{"the probes of another host", http.MethodGet, "/healthz", "192.0.2.7:4711", http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(c.method, c.path, nil)
			r.RemoteAddr = c.from
			p.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("got %d %q, want %d", w.Code, w.Body, c.want)
			}
		})
	}
}
