// Package guard lets those read an endpoint of ours whom the API server knows and allows to: it is asked who a bearer token belongs
// to (TokenReview) and whether that user may get the path (SubjectAccessReview of a non-resource URL), as for its own /metrics. The
// process needs the right to create both kinds.
//
// What anybody on the LAN can send must not become load on the API server or a flood of log lines: answers are remembered, and no
// more than a few questions a second are asked. controller-runtime has a filter for the same purpose; it brings 20 MB of the API
// server's own code, asks about every wrong token, and calls those a failure of ours (500).
package guard

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

const (
	// askTimeout bounds a scrape that has to wait for the API server.
	askTimeout = 5 * time.Second
	// perSecond and burst bound the questions of each kind.
	perSecond, burst = 5, 10
)

// Guard remembers what the API server said. It is safe for use by many goroutines.
type Guard struct {
	tokens  authenticationclient.TokenReviewInterface
	access  authorizationclient.SubjectAccessReviewInterface
	now     func() time.Time
	log     logr.Logger
	mu      sync.Mutex
	answers answers
	trouble string // what was logged last
}

// New returns a Guard that asks the API server of cfg with the client.
func New(cfg *rest.Config, client *http.Client, log logr.Logger) (*Guard, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = perSecond, burst
	tokens, err := authenticationclient.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("making the client of token reviews: %w", err)
	}
	access, err := authorizationclient.NewForConfigAndClient(cfg, client)
	if err != nil {
		return nil, fmt.Errorf("making the client of access reviews: %w", err)
	}
	return &Guard{tokens: tokens.TokenReviews(), access: access.SubjectAccessReviews(), now: time.Now, log: log, answers: answers{}}, nil
}

// Protect lets GET and HEAD through to next for those who may. Others get 401 without a valid token, 403 without the right, 405 for
// another method, and 503 when the API server cannot be asked and has not answered for this token lately.
func (g *Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		switch status := g.judge(r.Context(), bearer(r.Header.Get("Authorization")), r.URL.Path); status {
		case http.StatusOK:
			next.ServeHTTP(w, r)
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a bearer token of this cluster is needed", status)
		case http.StatusForbidden:
			http.Error(w, "this user may not get "+r.URL.Path, status)
		default:
			http.Error(w, "the API server could not be asked who this is", status)
		}
	})
}

// bearer returns the token of an Authorization header (RFC 6750 §2.1); empty when there is none.
func bearer(header string) string {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// judge returns the status that a token deserves at a path.
func (g *Guard) judge(ctx context.Context, token, path string) int {
	if token == "" {
		return http.StatusUnauthorized
	}
	key := question(sha256.Sum256([]byte(path + "\x00" + token)))
	g.mu.Lock()
	status, fresh := g.answers.fresh(key, g.now())
	g.mu.Unlock()
	if fresh {
		return status
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	status, err := g.ask(ctx, token, path)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.complainLocked(err)
		return g.answers.stale(key, g.now())
	}
	g.trouble = ""
	g.answers.put(key, status, g.now())
	return status
}

// complainLocked logs what is new.
func (g *Guard) complainLocked(err error) {
	if err.Error() != g.trouble {
		g.trouble = err.Error()
		g.log.Info("who wants to read the metrics is not known", "reason", g.trouble)
	}
}

// ask asks the API server.
func (g *Guard) ask(ctx context.Context, token, path string) (int, error) {
	who, err := g.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("reviewing a token: %w", err)
	}
	if !who.Status.Authenticated {
		return http.StatusUnauthorized, nil
	}
	user := who.Status.User
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	may, err := g.access.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: "get"},
	}}, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("reviewing access to %s: %w", path, err)
	}
	if !may.Status.Allowed {
		g.log.V(1).Info("refused the metrics", "user", user.Username, "reason", may.Status.Reason)
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}
