package daemon

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

func TestLoggerRefusesUnknownWords(t *testing.T) {
	for _, c := range []Common{{LogLevel: "loud", LogFormat: "text"}, {LogLevel: "info", LogFormat: "xml"}} {
		if _, err := c.Logger(os.Stderr); err == nil {
			t.Errorf("level %q, format %q: no error", c.LogLevel, c.LogFormat)
		}
	}
}

func TestLoggerFollowsTheLevel(t *testing.T) {
	for level, want := range map[string]string{"error": "e", "info": "ei", "debug": "eid"} {
		var out bytes.Buffer
		log, err := (&Common{LogLevel: level, LogFormat: "text"}).Logger(&out)
		if err != nil {
			t.Fatal(err)
		}
		log.Error(nil, "e-line")
		log.Info("i-line")
		log.V(1).Info("d-line")
		got := ""
		for _, l := range []string{"e", "i", "d"} {
			if strings.Contains(out.String(), l+"-line") {
				got += l
			}
		}
		if got != want {
			t.Errorf("level %s prints %q, want %q", level, got, want)
		}
	}
}

func TestRESTConfigNamesTheMissingFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nowhere")
	if _, err := (&Common{Kubeconfig: missing}).RESTConfig(); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error = %v, want one that names %s", err, missing)
	}
}

func TestWaitForAPISaysWhatIsMissing(t *testing.T) {
	api := http.NewServeMux()
	api.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"major":"1"}`)) })
	kinds := `{"kind":"APIResourceList","groupVersion":"metallb.io/v1beta1","resources":[{"name":"ipaddresspools","kind":"IPAddressPool"}]}`
	api.HandleFunc("/apis/metallb.io/v1beta1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(kinds))
	})
	srv := httptest.NewServer(api)
	cfg := &rest.Config{Host: srv.URL}
	p := NewProbes()
	if err := WaitForAPI(t.Context(), cfg, "metallb.io/v1beta1", []string{"IPAddressPool"}, p, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := WaitForAPI(ctx, cfg, "metallb.io/v1beta1", []string{"L2Advertisement"}, p, logr.Discard()); err == nil {
		t.Error("a kind that is not served was not waited for")
	}
	if why := *p.waiting.Load(); !strings.Contains(why, "L2Advertisement") {
		t.Errorf("reason = %q, want the missing kind", why)
	}
	srv.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = WaitForAPI(ctx, cfg, "metallb.io/v1beta1", nil, p, logr.Discard())
	if why := *p.waiting.Load(); !strings.Contains(why, "does not answer") {
		t.Errorf("reason = %q, want that the server does not answer", why)
	}
}
