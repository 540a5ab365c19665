package speaker

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// lastWord is the last decision, for whoever asks. The loop only leaves a pointer; all the work is done by who asks.
type lastWord struct {
	class string
	last  atomic.Pointer[decided]
	one   sync.Mutex // one answer is made at a time: with many addresses it is work
}

// decided is a decision and what it was made on. Both are only read.
type decided struct {
	view     ownership.View
	decision ownership.Decision
}

// keep replaces the last decision. It does not block.
func (l *lastWord) keep(v ownership.View, d ownership.Decision) { l.last.Store(&decided{v, d}) }

// ServeHTTP answers GET live.Path.
func (l *lastWord) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var why []netip.Addr
	for _, text := range r.URL.Query()[live.Why] {
		a, err := netip.ParseAddr(text)
		if err != nil {
			http.Error(w, live.Why+": "+err.Error(), http.StatusBadRequest)
			return
		}
		why = append(why, a)
	}
	body, err := l.tell(time.Now(), why)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_, _ = w.Write(body) // who went away does not want it
		return
	}
	w.Header().Set("Content-Encoding", "gzip") // it goes through the API server, from every node
	z := gzip.NewWriter(w)
	_, _ = z.Write(body)
	_ = z.Close()
}

// tell makes the answer.
func (l *lastWord) tell(now time.Time, why []netip.Addr) ([]byte, error) {
	l.one.Lock()
	defer l.one.Unlock()
	d := l.last.Load()
	if d == nil {
		return nil, errors.New("the speaker is starting and has decided nothing yet")
	}
	v := live.Of(d.view, d.decision, l.class, now, why)
	v.Host = hostOf(v, os.DirFS("/proc/sys/net"), ipvsAddrs())
	return json.Marshal(v)
}
