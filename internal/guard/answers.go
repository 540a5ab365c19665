package guard

import (
	"net/http"
	"time"
)

const (
	// allowedFor is how long a yes counts: so long may who has lost the right go on.
	allowedFor = time.Minute
	// refusedFor is how long a no counts: so long must who has got the right wait.
	refusedFor = 10 * time.Second
	// staleFor is how long a yes counts beyond that while the API server cannot be asked: just then the metrics are needed.
	staleFor = 10 * time.Minute
	// most bounds the memory that strangers can take.
	most = 512
)

// question is a token and a path, hashed.
type question [32]byte

// answer is what the API server said, as an HTTP status, and when.
type answer struct {
	status int
	at     time.Time
}

func (a answer) fresh(now time.Time) bool {
	if a.status == http.StatusOK {
		return now.Sub(a.at) < allowedFor
	}
	return now.Sub(a.at) < refusedFor
}

func (a answer) stale(now time.Time) bool {
	return a.status == http.StatusOK && now.Sub(a.at) < allowedFor+staleFor
}

type answers map[question]answer

// fresh returns the status that was answered lately.
func (as answers) fresh(q question, now time.Time) (status int, ok bool) {
	a, ok := as[q]
	return a.status, ok && a.fresh(now)
}

// stale returns the status when the API server cannot be asked: a yes of a while ago, or 503.
func (as answers) stale(q question, now time.Time) int {
	if as[q].stale(now) {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// put remembers an answer. When there are too many, those that have had their time go, then every no, so that wrong tokens do not
// push out a right one.
func (as answers) put(q question, status int, now time.Time) {
	if len(as) >= most {
		for k, a := range as {
			if !a.fresh(now) && !a.stale(now) {
				delete(as, k)
			}
		}
	}
	if len(as) >= most {
		for k, a := range as {
			if a.status != http.StatusOK {
				delete(as, k)
			}
		}
	}
	if len(as) < most {
		as[q] = answer{status, now}
	}
}
