package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

func TestSecureUnlessOnLoopback(t *testing.T) {
	for _, row := range []struct {
		secure Secure
		addr   string
		want   bool
	}{
		{SecureAuto, ":17947", true}, {SecureAuto, "192.0.2.1:17947", true}, {SecureAuto, "[::]:17947", true}, {SecureAuto, "node1:17947", true},
		{SecureAuto, "127.0.0.1:17947", false}, {SecureAuto, "127.8.0.1:1", false}, {SecureAuto, "[::1]:17947", false}, {SecureAuto, "localhost:17947", false},
		{SecureTrue, "127.0.0.1:17947", true}, {SecureFalse, ":17947", false},
	} {
		if got := row.secure.at(row.addr); got != row.want {
			t.Errorf("%s at %s: %v, want %v", row.secure, row.addr, got, row.want)
		}
	}
	if err := new(Secure).Set("perhaps"); err == nil {
		t.Error("--metrics-secure=perhaps is taken")
	}
}

// reviews answers as an API server that knows the tokens "good" and "poor", and lets the first one's user read.
func reviews(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/tokenreviews") {
		var review authenticationv1.TokenReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		review.Status.Authenticated = review.Spec.Token == "good" || review.Spec.Token == "poor"
		review.Status.User.Username = review.Spec.Token
		_ = json.NewEncoder(w).Encode(review)
		return
	}
	var review authorizationv1.SubjectAccessReview
	_ = json.NewDecoder(r.Body).Decode(&review)
	review.Status.Allowed = review.Spec.User == "good" && review.Spec.NonResourceAttributes.Path == "/metrics"
	_ = json.NewEncoder(w).Encode(review)
}

// serve runs the metrics on a free port of 127.0.0.1 and returns the address.
func serve(t *testing.T, m Metrics) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.Addr = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(reviews))
	t.Cleanup(api.Close)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	cfg := &rest.Config{Host: api.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	go func() { done <- ServeMetrics(ctx, m, cfg, logr.Discard()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return m.Addr
}

// scrape returns the status and the body, or an error of the connection. It waits until somebody listens.
func scrape(t *testing.T, url, token string, trust *tls.Config) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}, Timeout: 20 * time.Second}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		answer, err := client.Do(req)
		var refused *net.OpError
		if errors.As(err, &refused) && refused.Op == "dial" && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			return 0, "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body), err
	}
}

func TestWhoMayScrape(t *testing.T) {
	secure, plain := serve(t, Metrics{Secure: SecureTrue}), serve(t, Metrics{Secure: SecureAuto})
	anybody := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the certificate is self-signed
	for _, row := range []struct {
		name, url, token string
		want             int
	}{
		{"nobody", "https://" + secure, "", 401},
		{"a token that the cluster does not know", "https://" + secure, "wrong", 401},
		{"a user without the right", "https://" + secure, "poor", 403},
		{"a user with the right", "https://" + secure, "good", 200},
		{"anybody on the node itself", "http://" + plain, "", 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, body, err := scrape(t, row.url+"/metrics", row.token, anybody)
			if err != nil || got != row.want {
				t.Fatalf("status %d, %v, want %d", got, err, row.want)
			}
			if (got == 200) != strings.Contains(body, "go_goroutines") {
				t.Errorf("status %d with the body %q", got, body)
			}
		})
	}
}

// The server says 400 and hangs up, and a client may hear only that.
func TestNothingIsServedInTheClearBesides(t *testing.T) {
	got, body, err := scrape(t, "http://"+serve(t, Metrics{Secure: SecureTrue})+"/metrics", "good", nil)
	if err == nil && got != 400 || strings.Contains(body, "go_goroutines") {
		t.Errorf("status %d, %v, with the body %q", got, err, body)
	}
}

func TestACertificateOfTheClustersOwn(t *testing.T) {
	own, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	verified := &tls.Config{RootCAs: roots, ServerName: leaf.DNSNames[0]}
	if got, _, err := scrape(t, "https://"+serve(t, Metrics{Secure: SecureTrue, CertDir: dir})+"/metrics", "good", verified); err != nil || got != 200 {
		t.Errorf("status %d, %v, want 200", got, err)
	}
	if _, _, err := scrape(t, "https://"+serve(t, Metrics{Secure: SecureTrue})+"/metrics", "good", verified); err == nil {
		t.Error("a self-signed certificate passed for the cluster's own")
	}
}

func TestWrongMetricsOptionsAreNamed(t *testing.T) {
	for _, row := range []struct {
		name string
		m    Metrics
		want string
	}{
		{"a directory without a certificate", Metrics{":0", SecureTrue, t.TempDir()}, "--metrics-cert-dir"},
		{"an address that is none", Metrics{"nonsense:nonsense", SecureFalse, ""}, "--metrics-bind-address=nonsense:nonsense"},
	} {
		err := ServeMetrics(t.Context(), row.m, &rest.Config{Host: "127.0.0.1:1"}, logr.Discard())
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error = %v, want one that names %s", row.name, err, row.want)
		}
	}
}
