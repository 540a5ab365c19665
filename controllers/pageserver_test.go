package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/statuspage"
)

func TestPageAnswersOnlyWhoReadsFromHere(t *testing.T) {
	page := pageOver(threeServices())
	for _, c := range []struct {
		name, method, host, path string
		want                     int
		mediaType                string
	}{
		{"the page by name", "GET", "localhost:17949", "/", 200, "text/html; charset=utf-8"},
		{"a name in capitals, without a port", "GET", "LocalHost", "/", 200, "text/html; charset=utf-8"},
		{"by IPv4", "GET", "127.0.0.1:17949", "/?q=web&page=2", 200, "text/html; charset=utf-8"},
		{"by IPv6", "GET", "[::1]:17949", "/", 200, "text/html; charset=utf-8"},
		{"by IPv6 without a port", "GET", "[::1]", "/", 200, "text/html; charset=utf-8"},
		{"a page that is no number", "GET", "localhost", "/?page=x", 200, "text/html; charset=utf-8"},
		{"data", "GET", "localhost", "/status.json", 200, "application/json"},
		{"style", "GET", "localhost", "/style.css", 200, "text/css; charset=utf-8"},
		{"script", "GET", "localhost", "/page.js", 200, "text/javascript; charset=utf-8"},
		{"icon", "GET", "localhost", "/icon.svg", 200, "image/svg+xml"},
		{"the template", "GET", "localhost", "/page.html", 404, ""},
		{"anything else", "GET", "localhost", "/metrics", 404, ""},
		{"a name of somebody's DNS", "GET", "rebind.example:17949", "/status.json", 421, ""},
		{"a name that begins as ours", "GET", "localhost.example", "/", 421, ""},
		{"no name", "GET", "", "/", 421, ""},
		{"a write", "POST", "localhost", "/", 405, ""},
		{"only the header", "HEAD", "localhost", "/", 405, ""},
		{"a deletion", "DELETE", "localhost", "/status.json", 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(c.method, "http://x"+c.path, nil)
			r.Host = c.host
			page.ServeHTTP(w, r)
			if w.Code != c.want || c.want == 200 && w.Header().Get("Content-Type") != c.mediaType {
				t.Errorf("%d %s, want %d %s", w.Code, w.Header().Get("Content-Type"), c.want, c.mediaType)
			}
			policy := w.Header().Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}

func TestPageIsNotForOtherSites(t *testing.T) {
	for _, c := range []struct {
		name, site, dest string
		want             int
	}{
		{"curl", "", "", 200},
		{"an address that was typed", "none", "document", 200},
		{"its own script", "same-origin", "empty", 200},
		{"a link on another site", "cross-site", "document", 200},
		{"a script of another site", "cross-site", "empty", 403},
		{"an image on another site", "cross-site", "image", 403},
		{"a frame on another site", "cross-site", "iframe", 403},
		{"a script of another port of this host", "same-site", "empty", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/status.json", nil)
		r.Header.Set("Sec-Fetch-Site", c.site)
		r.Header.Set("Sec-Fetch-Dest", c.dest)
		w := httptest.NewRecorder()
		if pageOver(threeServices()).ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s: %d, want %d", c.name, w.Code, c.want)
		}
	}
}

func TestPageTellsWhatItCannotRead(t *testing.T) {
	broken := threeServices()
	broken.err = errors.New("the cache is not filled")
	for name, c := range map[string]struct {
		page *StatusPage
		want string
	}{
		"no manager yet": {NewStatusPage("r"), "waits for the API server"},
		"no caches yet":  {pageOver(broken), "the cache is not filled"},
	} {
		w := httptest.NewRecorder()
		c.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/", nil))
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestPageDataIsWhatTheAPIShows(t *testing.T) {
	s := threeServices()
	s.pools = append(s.pools, newPool("going"))
	s.pools[2].DeletionTimestamp = new(ago(0))
	s.pools[1].Status.Conditions = []metav1.Condition{
		{Type: v1beta1.ConditionReady, Status: "False", Reason: "Exhausted", Message: "repeats the next"},
		{Type: v1beta1.ConditionExhausted, Status: "True", Reason: "ServicesWait", Message: "Services wait"},
		{Type: v1beta1.ConditionOverlap, Status: "False", Reason: "NoOverlap"},
	}
	s.statuses = append(s.statuses, v1beta1.ServiceL2Status{Status: v1beta1.ServiceL2StatusStatus{Node: "node9", Addresses: []v1beta1.AddressOwnership{{Address: "no address"}}}})
	w := httptest.NewRecorder()
	pageOver(s).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/status.json", nil))
	var got statuspage.Status
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	since := ago(4 * 60e9).UTC()
	want := []statuspage.Service{
		{Namespace: "billing", Name: "ledger", State: statuspage.Waiting, Addresses: []statuspage.Address{}, Reason: "NoUsablePool",
			Message: "pool edge is not assigned automatically; pool lan does not admit namespace billing", Since: ago(12 * 60e9).UTC()},
		{Namespace: "shop", Name: "mail", State: statuspage.Contested, Since: ago(3 * 24 * 3600e9).UTC(), Addresses: []statuspage.Address{
			{Address: "192.0.2.66", Pool: "lan", Node: "node1", Standby: "node2", Since: ago(3 * 24 * 3600e9).UTC(), Cause: "free"}}},
		{Namespace: "shop", Name: "web", State: statuspage.Ready, Since: since, Addresses: []statuspage.Address{
			{Address: "192.0.2.64", Pool: "lan", Node: "node2", Standby: "node3", Since: since, Cause: "death", From: "node1"},
			{Address: "2001:db8:17::", Pool: "lan", Node: "node2", Standby: "node3", Since: since, Cause: "death", From: "node1"}}},
	}
	if diff := cmp.Diff(want, got.Services); diff != "" {
		t.Errorf("Services (-want +got):\n%s", diff)
	}
	if len(got.Pools) != 2 || got.Replica != "steelyard-controller-7c9f" || !got.Leader || got.Namespace != "metallb-system" || !got.At.Equal(pageNow()) {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]statuspage.Problem{{Reason: "ServicesWait", Message: "Services wait"}}, got.Pools[0].Troubles); diff != "" {
		t.Errorf("troubles of edge (-want +got):\n%s", diff)
	}
	if got.Pools[1].Counts.Quarantined != 1 || got.Pools[1].Counts.Retained != 1 || len(got.Conflicts) != 1 {
		t.Errorf("lan has %+v", got.Pools[1].Counts)
	}
}

func TestAStandbyDoesNotTellWhatOnlyTheLeaderKnows(t *testing.T) {
	page := pageOver(threeServices())
	page.source.Load().elected = make(chan struct{})
	s, err := page.status(t.Context())
	if err != nil || s.Leader || s.Pools[1].Counts.Quarantined != 0 {
		t.Errorf("leader %v, %+v, %v", s.Leader, s.Pools[1].Counts, err)
	}
}

func TestPageIsServedUntilTheContextEnds(t *testing.T) {
	page := pageOver(threeServices())
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := page.Serve(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "--status-address="+addr) {
		t.Errorf("an address in use: %v", err)
	}
	free.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- page.Serve(ctx, addr) }()
	for {
		if answer, err := http.Get("http://" + addr); err == nil {
			answer.Body.Close()
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := page.Serve(ctx, "0"); err != nil {
		t.Errorf("switched off: %v", err)
	}
}
