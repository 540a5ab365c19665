// Package kubeproxy asks the kube-proxy of the node whether it is well, again and again, and says what is to be believed of it.
// What follows from that for addresses is decided elsewhere (internal/ownership/kubeproxy.go).
//
// The question is an HTTP GET; 200 to 299 is a yes, all else is a no: another status, no answer within a second, nobody there.
// kube-proxy serves two such paths on port 10256. /livez is the one to ask: it fails when kube-proxy has not written its rules for
// about a minute after they should have changed. /healthz fails besides while the cluster autoscaler is about to delete the Node
// (KEP-3836), which is for load balancers that drain slowly; whoever wants that here labels the Node.
package kubeproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-logr/logr"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	// Interval is how often kube-proxy is asked.
	Interval = time.Second
	// timeout bounds the wait for an answer. On the loopback interface a healthy kube-proxy needs a millisecond.
	timeout = time.Second
	// Patience is for how long kube-proxy must have been well, or not, before it is believed, unless told otherwise. A kube-proxy
	// that is replaced by its DaemonSet is away for a few seconds, while the rules that it wrote go on working: no reason to move
	// addresses, which costs connections.
	Patience = 10 * time.Second
)

// Options of Follow; all are needed.
type Options struct {
	// URL is where kube-proxy tells how it is, such as http://127.0.0.1:10256/livez. Without one Follow does nothing.
	URL string
	// Patience is described at the constant.
	Patience time.Duration
	// Tell is called with every change of what is believed: lb.Alive or lb.Dead. It must not block.
	Tell func(lb.Life)
	Log  logr.Logger
}

// CheckURL says what is wrong with a URL that kube-proxy is to be asked at; empty is right.
func CheckURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("want a URL such as http://127.0.0.1:10256/livez")
	}
	return nil
}

// Follow asks until ctx ends.
func Follow(ctx context.Context, o Options) {
	if o.URL == "" {
		return
	}
	// A connection of its own for each question: one that is kept would say nothing of who listens now. No proxy of the
	// environment: the question is for this node.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	follow(ctx, o, func(ctx context.Context) error { return ask(ctx, client, o.URL) })
}

// ask asks once; nil is a yes.
func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking kube-proxy: %w", err)
	}
	answer, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking kube-proxy: %w", err)
	}
	_ = answer.Body.Close() // what it says beside the status is for people
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("kube-proxy answers %s", answer.Status)
	}
	return nil
}

// follow is Follow with the question apart.
func follow(ctx context.Context, o Options, ask func(context.Context) error) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	var b belief
	for {
		once, done := context.WithTimeout(ctx, timeout)
		err := ask(once)
		done()
		if ctx.Err() != nil {
			return
		}
		before := b.life
		if b = b.after(time.Now(), err == nil, o.Patience); b.life != before {
			if b.life == lb.Dead {
				o.Log.Info("kube-proxy on this node is not well; addresses go to nodes where it is", "url", o.URL, "reason", err.Error())
			} else {
				o.Log.Info("kube-proxy on this node is well", "url", o.URL)
			}
			o.Tell(b.life)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
