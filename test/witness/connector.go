package witness

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Attempt is one new connection: a TCP handshake, one HTTP request and its answer.
type Attempt struct {
	Start time.Time
	Took  time.Duration
	Body  string // what the server said, at most 4 KiB
	Err   error
}

// OK says that the attempt got its answer.
func (a Attempt) OK() bool { return a.Err == nil }

// End is when the answer or the error was there.
func (a Attempt) End() time.Time { return a.Start.Add(a.Took) }

// Field returns the value of "name=value" in the answer of the lab's web server; empty when there is none.
func (a Attempt) Field(name string) string {
	for _, word := range strings.Fields(a.Body) {
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			return v
		}
	}
	return ""
}

// Attempts are sorted by start.
type Attempts []Attempt

// Between returns the attempts that started in [from, to); a zero to means no end.
func (as Attempts) Between(from, to time.Time) Attempts {
	var out Attempts
	for _, a := range as {
		if !a.Start.Before(from) && (to.IsZero() || a.Start.Before(to)) {
			out = append(out, a)
		}
	}
	return out
}

// SuccessRatio is the share of attempts that got their answer; 0 when there were none.
func (as Attempts) SuccessRatio() float64 {
	if len(as) == 0 {
		return 0
	}
	n := 0
	for _, a := range as {
		if a.OK() {
			n++
		}
	}
	return float64(n) / float64(len(as))
}

// FirstSuccess returns the first attempt, by the time of its answer, that started at or after a time and succeeded.
func (as Attempts) FirstSuccess(after time.Time) (Attempt, bool) {
	var first Attempt
	found := false
	for _, a := range as.Between(after, time.Time{}) {
		if a.OK() && (!found || a.End().Before(first.End())) {
			first, found = a, true
		}
	}
	return first, found
}

// Connector opens new connections at a fixed pace, whatever becomes of the earlier ones (an open loop: a closed one would
// ask less just when the answers stay away, and so flatter an outage).
type Connector struct {
	place   Place
	target  netip.AddrPort
	every   time.Duration
	timeout time.Duration

	mu       sync.Mutex
	attempts Attempts
}

// NewConnector makes a connector that starts perSecond connections to target each second and gives each the timeout. No
// more than perSecond × timeout of them are open at once.
func NewConnector(p Place, target netip.AddrPort, perSecond int, timeout time.Duration) *Connector {
	return &Connector{place: p, target: target, every: time.Second / time.Duration(perSecond), timeout: timeout}
}

// Run connects until ctx ends, waits for the attempts that are under way and returns.
func (c *Connector) Run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		under.Go(func() {
			// Not ctx: an attempt that began is judged by its timeout, not by when the run ended.
			a := Fetch(context.WithoutCancel(ctx), c.place, c.target, c.timeout)
			c.mu.Lock()
			c.attempts = append(c.attempts, a)
			c.mu.Unlock()
		})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Target is where it connects to.
func (c *Connector) Target() netip.AddrPort { return c.target }

// Attempts returns a copy of the finished attempts, sorted by start.
func (c *Connector) Attempts() Attempts {
	c.mu.Lock()
	out := slices.Clone(c.attempts)
	c.mu.Unlock()
	slices.SortFunc(out, func(a, b Attempt) int { return a.Start.Compare(b.Start) })
	return out
}

// Fetch makes one new connection from p to target and asks for "/".
func Fetch(ctx context.Context, p Place, target netip.AddrPort, timeout time.Duration) Attempt {
	a := Attempt{Start: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a.Body, a.Err = get(ctx, p, target)
	a.Took = time.Since(a.Start)
	return a
}

func get(ctx context.Context, p Place, target netip.AddrPort) (body string, err error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: p.DialContext}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target.String()+"/", nil)
	if err != nil {
		return "", fmt.Errorf("making the request: %w", err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", target, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return "", fmt.Errorf("reading the answer of %s: %w", target, err)
	}
	if resp.StatusCode != http.StatusOK {
		return string(b), fmt.Errorf("%s answers %s", target, resp.Status)
	}
	return string(b), nil
}
