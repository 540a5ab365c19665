package witness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Witness records every frame on an interface in which somebody says to have an address. It is safe for concurrent use; its
// memory grows by about a hundred bytes for each such frame.
type Witness struct {
	sock *socket

	mu     sync.Mutex
	record Record
}

// New opens the witness's ear on an interface of a place. What happens from now on is heard; Run writes it down.
func New(p Place, iface string) (*Witness, error) {
	sock, err := listen(p, iface)
	if err != nil {
		return nil, fmt.Errorf("opening the witness: %w", err)
	}
	return &Witness{sock: sock}, nil
}

// Run records until ctx ends and then closes the socket. The error is not nil when the socket broke before that.
func (w *Witness) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = w.sock.close() }) // only ever "already closed"
	defer stop()
	buf := make([]byte, 1<<16)
	for {
		frame, at, err := w.sock.receive(buf)
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return errors.Join(fmt.Errorf("listening: %w", err), w.sock.close())
		}
		if s, ok := Decode(frame); ok {
			s.Time = at
			w.mu.Lock()
			w.record = append(w.record, s)
			w.mu.Unlock()
		}
	}
}

// Lost returns how many frames the kernel had to drop since the last call. A record with losses proves no silence.
func (w *Witness) Lost() (int, error) { return w.sock.lost() }

// Since returns a copy of what was recorded at or after a time; the zero time gives everything.
func (w *Witness) Since(t time.Time) Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.record.Between(t, time.Time{})
}

// Forget drops what was recorded before a time.
func (w *Witness) Forget(before time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.record = w.record.Between(before, time.Time{})
}

// Await looks at the record since a time until ok likes it or ctx ends, and returns what it saw last.
func (w *Witness) Await(ctx context.Context, since time.Time, ok func(Record) bool) (Record, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		r := w.Since(since)
		if ok(r) {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
	}
}
