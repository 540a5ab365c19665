package kubeproxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// told is a change of what is believed, and when.
type told struct {
	After time.Duration
	Life  lb.Life
}

// play follows a kube-proxy that answers as ask says, for a time, and returns what is told.
func play(t *testing.T, patience, d time.Duration, ask func(ctx context.Context, since time.Duration) error) []told {
	t.Helper()
	var out []told
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	follow(ctx, Options{URL: "http://kube-proxy", Patience: patience, Log: logr.Discard(),
		Tell: func(l lb.Life) { out = append(out, told{time.Since(begun), l}) }},
		func(ctx context.Context) error { return ask(ctx, time.Since(begun)) })
	return out
}

func TestADeathIsToldAfterPatienceAndSoIsTheReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := play(t, 5*time.Second, time.Minute, func(_ context.Context, since time.Duration) error {
			if since > 10*time.Second && since < 30*time.Second {
				return errors.New("connection refused")
			}
			return nil
		})
		want := []told{{0, lb.Alive}, {16 * time.Second, lb.Dead}, {35 * time.Second, lb.Alive}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestOneThatNeverAnswersIsAskedOnAndToldDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		got := play(t, 3*time.Second, 20*time.Second, func(ctx context.Context, since time.Duration) error {
			if asked++; since < 5*time.Second {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if len(got) != 2 || got[1].Life != lb.Dead || got[1].After > 10*time.Second {
			t.Errorf("told %v, want its death within 10 s", got)
		}
		if asked < 15 {
			t.Errorf("asked %d times in 20 s: a question without an answer holds up the next", asked)
		}
	})
}

func TestTheEndIsNotABadAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := play(t, 0, 2500*time.Millisecond, func(ctx context.Context, since time.Duration) error {
			if since < 2*time.Second {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if diff := cmp.Diff([]told{{0, lb.Alive}}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestWhatCountsAsWell(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		says   string // empty: well
	}{
		{"200", func(http.ResponseWriter, *http.Request) {}, ""},
		{"503, as when its rules are late", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "503"},
		{"404, a path that it does not know", http.NotFound, "404"},
		{"a redirection elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, "302"},
		{"a connection that is closed", func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		}, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			says, life := followOnce(t, server.URL+"/livez")
			if (c.says == "") != (life == lb.Alive) || !strings.Contains(says, c.says) {
				t.Errorf("believed %v because %q, want a reason with %q", life, says, c.says)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		url := "http://" + l.Addr().String() + "/livez"
		_ = l.Close()
		if says, life := followOnce(t, url); life != lb.Dead || !strings.Contains(says, "refused") {
			t.Errorf("believed %v because %q", life, says)
		}
	})
	t.Run("not asked", func(t *testing.T) {
		Follow(t.Context(), Options{}) // returns
	})
}

// followOnce returns what is believed after the first answer, and what is logged of it.
func followOnce(t *testing.T, url string) (says string, life lb.Life) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := funcr.New(func(_, args string) { says += args }, funcr.Options{})
	Follow(ctx, Options{URL: url, Patience: time.Minute, Log: log, Tell: func(l lb.Life) { life = l; cancel() }})
	return says, life
}

func TestCheckURL(t *testing.T) {
	for in, ok := range map[string]bool{
		"": true, "http://127.0.0.1:10256/livez": true, "http://[::1]:10256/livez": true, "https://localhost/": true,
		"127.0.0.1:10256/livez": false, "/livez": false, "http://": false, "ftp://127.0.0.1/": false, "http://a b/": false,
	} {
		if err := CheckURL(in); (err == nil) != ok {
			t.Errorf("CheckURL(%q) = %v, want right: %v", in, err, ok)
		}
	}
}
