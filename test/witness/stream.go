package witness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Stream is one long-lived TCP connection over which a request is made at a steady pace, each after the answer to the one
// before.
type Stream struct {
	conn  net.Conn
	every time.Duration
	limit time.Duration

	mu     sync.Mutex
	broken error
}

// OpenStream connects and makes the first request. Run makes the others, one in every; a request that is not answered within
// limit breaks the stream, as a reset does.
func OpenStream(ctx context.Context, p Place, target netip.AddrPort, every, limit time.Duration) (*Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := p.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	s := &Stream{conn: conn, every: every, limit: limit}
	if err := s.request(bufio.NewReader(conn)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a stream: %w", err), conn.Close())
	}
	return s, nil
}

// Run makes requests until ctx ends or the stream breaks, and closes the connection.
func (s *Stream) Run(ctx context.Context) {
	defer s.conn.Close()
	answers := bufio.NewReader(s.conn)
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.request(answers)
		s.mu.Lock()
		s.broken = err
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// request is one request and its answer.
func (s *Stream) request(answers *bufio.Reader) error {
	if err := s.conn.SetDeadline(time.Now().Add(s.limit)); err != nil {
		return fmt.Errorf("setting the deadline: %w", err)
	}
	if _, err := io.WriteString(s.conn, "GET / HTTP/1.1\r\nHost: stream\r\n\r\n"); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return fmt.Errorf("waiting for the answer: %w", err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// Err returns what broke the stream, nil while it is whole.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}
