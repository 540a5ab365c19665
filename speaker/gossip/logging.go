package gossip

import (
	"strings"
	"sync"
	"time"
)

// logWriter takes memberlist's log lines ("[ERR] memberlist: what happened from=address") into our log, at V(1): they are about
// single packets. A line about a packet that cannot be decrypted is how memberlist tells of one; it has no other way. (A test
// fails should a new version word it differently.)
type logWriter struct{ r *Ring }

// Write takes one line; log.Logger calls it once for each.
func (w *logWriter) Write(line []byte) (int, error) {
	level, text, ok := strings.Cut(strings.TrimSpace(string(line)), "] ")
	if !ok {
		level, text = "", level
	}
	level = strings.TrimPrefix(level, "[")
	text = strings.TrimPrefix(text, "memberlist: ")
	w.r.cfg.Log.V(1).Info("memberlist", "level", level, "text", text)
	if from := strings.LastIndex(text, "from="); level == "ERR" && from >= 0 && strings.Contains(text, "crypt") {
		w.rejected(text[from+len("from="):])
	}
	return len(line), nil
}

// rejected counts a packet or connection under another key, or under none where we have one, or the other way round.
func (w *logWriter) rejected(from string) {
	w.r.metrics.rejected.Inc()
	w.r.metrics.dropped.WithLabelValues("key").Inc()
	host := from
	if i := strings.LastIndexByte(from, ':'); i > 0 { // the port of a TCP connection changes each time
		host = from[:i]
	}
	if w.r.limit.allow("key "+host, time.Now()) {
		w.r.cfg.Log.Info("rejected gossip that is not encrypted with a key of ours: compare the gossip Secret of both speakers", "peer", from)
	}
}

const (
	// logInterval is how often the same complaint about the same peer is logged; each is counted.
	logInterval = time.Minute
	// maxComplaints bounds the memory that senders of forged packets can take.
	maxComplaints = 256
)

// limiter lets each key through once per logInterval. The zero value is ready.
type limiter struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (l *limiter) allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.last[key]; ok && now.Sub(at) < logInterval {
		return false
	}
	if len(l.last) >= maxComplaints {
		for k, at := range l.last {
			if now.Sub(at) >= logInterval {
				delete(l.last, k)
			}
		}
		if len(l.last) >= maxComplaints {
			return false
		}
	}
	if l.last == nil {
		l.last = map[string]time.Time{}
	}
	l.last[key] = now
	return true
}
