package fetch

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/steelyard-lb/steelyard/internal/live"
)

// maxBody bounds what is read from one speaker: 10,000 addresses are 5 MB.
const maxBody = 256 << 20

// ask gets the View of one speaker through a port-forward.
func ask(ctx context.Context, cfg *rest.Config, p pod, why []netip.Addr) (live.View, error) {
	conn, err := patiently(ctx, func() (httpstream.Connection, error) { return dial(ctx, cfg, p) })
	if err != nil {
		return live.View{}, fmt.Errorf("forwarding a port to its Pod %s: %w", p.name, hasty(ctx, err))
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // which ends a read that waits
	v, err := get(ctx, conn, p.port, why)
	return v, hasty(ctx, err)
}

// hasty puts plain words in the place of what the end of ctx caused.
func hasty(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", timeout)
	}
	return ctx.Err()
}

// patiently dials until ctx ends. client-go's handshake heeds no context once it waits for the answer, and for a node that is dead
// the API server answers after half a minute. What comes later than ctx is closed; nobody waits for it.
func patiently(ctx context.Context, dial func() (httpstream.Connection, error)) (httpstream.Connection, error) {
	type result struct {
		conn httpstream.Connection
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := dial()
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// dial opens the connection on which streams to ports of the Pod are made.
func dial(ctx context.Context, cfg *rest.Config, p pod) (httpstream.Connection, error) {
	cl, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	target := cl.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.namespace).Name(p.name).SubResource("portforward").URL()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), nil)
	if err != nil {
		return nil, err
	}
	conn, _, err := spdy.NegotiateStreaming(upgrader, &http.Client{Transport: transport}, req, portforward.PortForwardProtocolV1Name)
	return conn, err
}

// get makes one HTTP request on a stream to the port. A port-forward has a second stream for what goes wrong behind it.
func get(ctx context.Context, conn httpstream.Connection, port int, why []netip.Addr) (live.View, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	trouble, err := conn.CreateStream(headers)
	if err != nil {
		return live.View{}, fmt.Errorf("opening a stream: %w", err)
	}
	trouble.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		return live.View{}, fmt.Errorf("opening a stream: %w", err)
	}
	v, err := read(ctx, data, why)
	if err == nil {
		return v, nil
	}
	if said, _ := io.ReadAll(io.LimitReader(trouble, 4096)); len(said) > 0 {
		return v, errors.New(strings.TrimSpace(string(said)))
	}
	return v, err
}

// read asks for the View on a connection to the speaker.
func read(ctx context.Context, rw io.ReadWriter, why []netip.Addr) (live.View, error) {
	query := url.Values{}
	for _, a := range why {
		query.Add(live.Why, a.String())
	}
	target := url.URL{Scheme: "http", Host: "127.0.0.1", Path: live.Path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return live.View{}, fmt.Errorf("making the request: %w", err)
	}
	req.Close = true
	req.Header.Set("Accept-Encoding", "gzip")
	if err := req.Write(rw); err != nil {
		return live.View{}, fmt.Errorf("asking: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(rw), req)
	if err != nil {
		return live.View{}, fmt.Errorf("reading the answer: %w", err)
	}
	defer resp.Body.Close()
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(resp.Body); err != nil {
			return live.View{}, fmt.Errorf("reading the answer: %w", err)
		}
	}
	return parse(resp.StatusCode, io.LimitReader(body, maxBody))
}

// parse reads the answer. A speaker of another version may mean other things by the same words.
func parse(status int, body io.Reader) (live.View, error) {
	switch status {
	case http.StatusOK:
	case http.StatusNotFound:
		return live.View{}, errors.New("its speaker is of an older version and tells nothing; upgrade it")
	default:
		said, _ := io.ReadAll(io.LimitReader(body, 200))
		return live.View{}, fmt.Errorf("its speaker answers %d: %s", status, strings.TrimSpace(string(said)))
	}
	var v live.View
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		return live.View{}, fmt.Errorf("reading the answer: %w", err)
	}
	if v.Version != live.Version {
		return live.View{}, fmt.Errorf("its speaker tells in version %d, this program reads %d; use the plugin of the speaker's version", v.Version, live.Version)
	}
	return v, nil
}
