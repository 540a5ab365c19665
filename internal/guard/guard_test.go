package guard

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// api is an API server that knows two users and lets one of them read /metrics.
type api struct {
	mu    sync.Mutex
	down  bool
	asked int
	saw   authorizationv1.SubjectAccessReviewSpec
}

func (a *api) set(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.down {
		http.Error(w, "down", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/apis/authentication.k8s.io/v1/tokenreviews":
		var review authenticationv1.TokenReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		if user, ok := strings.CutPrefix(review.Spec.Token, "token of "); ok {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: user, UID: "1",
				Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}}}}
		}
		_ = json.NewEncoder(w).Encode(review)
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		var review authorizationv1.SubjectAccessReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		a.saw = review.Spec
		review.Status.Allowed = review.Spec.User == "prometheus"
		_ = json.NewEncoder(w).Encode(review)
	default:
		http.NotFound(w, r)
	}
}

// desk is a Guard before a page, with a clock that the test moves.
type desk struct {
	t   *testing.T
	api *api
	now time.Time
	*Guard
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, api: &api{}, now: time.Unix(1000, 0)}
	srv := httptest.NewServer(d.api)
	t.Cleanup(srv.Close)
	// Of a test server's client only, so that no proxy of the environment is asked.
	g, err := New(&rest.Config{Host: srv.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, srv.Client(), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	g.now = func() time.Time { return d.now }
	d.Guard = g
	return d
}

// get returns the status of a request, and the header that tells a client how to prove who it is.
func (d *desk) get(method, authorization string) (status int, challenge string) {
	d.t.Helper()
	r := httptest.NewRequest(method, "/metrics", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	d.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) })).ServeHTTP(w, r)
	if (w.Code == http.StatusOK) != strings.Contains(w.Body.String(), "secret") {
		d.t.Errorf("status %d with %q", w.Code, w.Body)
	}
	return w.Code, w.Header().Get("WWW-Authenticate")
}

func (d *desk) want(status int, user string) {
	d.t.Helper()
	if got, _ := d.get(http.MethodGet, "Bearer token of "+user); got != status {
		d.t.Errorf("%s at %v: %d, want %d", user, d.now.Unix(), got, status)
	}
}

func TestWhoMayRead(t *testing.T) {
	for _, row := range []struct {
		name, method, authorization string
		want                        int
	}{
		{"nobody", http.MethodGet, "", 401},
		{"an unknown token", http.MethodGet, "Bearer nonsense", 401},
		{"an empty token", http.MethodGet, "Bearer ", 401},
		{"a password", http.MethodGet, "Basic cHJvbWV0aGV1czp4", 401},
		{"a user without the right", http.MethodGet, "Bearer token of somebody", 403},
		{"a user with the right", http.MethodGet, "Bearer token of prometheus", 200},
		{"the scheme in lower case", http.MethodGet, "bearer token of prometheus", 200},
		{"HEAD", http.MethodHead, "Bearer token of somebody", 403},
		{"POST", http.MethodPost, "Bearer token of prometheus", 405},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, challenge := newDesk(t).get(row.method, row.authorization)
			if got != row.want {
				t.Errorf("status %d, want %d", got, row.want)
			}
			if (got == 401) != (challenge == "Bearer") {
				t.Errorf("status %d with WWW-Authenticate %q", got, challenge)
			}
		})
	}
}

func TestTheAPIServerIsAskedAboutTheUserWhole(t *testing.T) {
	d := newDesk(t)
	d.want(200, "prometheus")
	want := authorizationv1.SubjectAccessReviewSpec{User: "prometheus", UID: "1", Groups: []string{"g"},
		Extra:                 map[string]authorizationv1.ExtraValue{"k": {"v"}},
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}}
	if diff := cmp.Diff(want, d.api.saw); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestAnswersAreRemembered(t *testing.T) {
	for _, row := range []struct {
		user   string
		status int
		once   int // questions for one answer
		valid  time.Duration
	}{{"prometheus", 200, 2, allowedFor}, {"somebody", 403, 2, refusedFor}} {
		d := newDesk(t)
		for range 5 {
			d.want(row.status, row.user)
		}
		d.now = d.now.Add(row.valid - time.Second)
		d.want(row.status, row.user)
		if d.api.asked != row.once {
			t.Errorf("%s: asked %d times, want %d", row.user, d.api.asked, row.once)
		}
		d.now = d.now.Add(time.Second)
		d.want(row.status, row.user)
		if d.api.asked != 2*row.once {
			t.Errorf("%s: asked %d times after %v, want %d", row.user, d.api.asked, row.valid, 2*row.once)
		}
	}
}

func TestWithoutTheAPIServerOnlyThoseGoOnWhoMightBefore(t *testing.T) {
	d := newDesk(t)
	d.want(200, "prometheus")
	d.want(403, "somebody")
	d.api.set(true)
	d.now = d.now.Add(allowedFor)
	d.want(200, "prometheus")
	d.want(503, "somebody")
	d.want(503, "stranger")
	d.now = d.now.Add(staleFor)
	d.want(503, "prometheus")
	d.api.set(false)
	d.want(200, "prometheus")
}

func TestWrongTokensDoNotPushOutARightOne(t *testing.T) {
	as, now := answers{}, time.Unix(1000, 0)
	as.put(question{1}, http.StatusOK, now)
	for i := range 3 * most {
		as.put(question{2, byte(i), byte(i >> 8)}, http.StatusUnauthorized, now)
		if len(as) > most {
			t.Fatalf("%d answers are kept, want %d at most", len(as), most)
		}
	}
	if status, ok := as.fresh(question{1}, now); status != http.StatusOK || !ok {
		t.Errorf("the right token: %d, %v", status, ok)
	}
}

func TestAFloodOfTokensDoesNotReachTheAPIServer(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/perSecond) // for one more question at most
	defer cancel()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() { d.judge(ctx, strings.Repeat("x", i+1), "/metrics") })
	}
	all.Wait()
	if d.api.asked > burst+1 {
		t.Errorf("asked %d times, want %d at most", d.api.asked, burst+1)
	}
}
