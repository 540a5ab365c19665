package lab

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// waiting says what is waited for, how long, and whose log explains a failure.
type waiting struct {
	what  string
	limit time.Duration
	log   string // name for LogPath; empty for none
	// process is the name of a process of the lab whose end makes waiting vain; default log.
	process string
}

const (
	pollEvery = 50 * time.Millisecond
	tailBytes = 4096
	tailLines = 12
)

// await asks again and again until try succeeds. The error says what was waited for and for how long, what try said last, and
// how the log ends.
func (l *Lab) await(ctx context.Context, w waiting, try func(context.Context) error) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		ended := l.hasEnded(cmp.Or(w.process, w.log))
		select {
		case <-ctx.Done():
			ended = true
		case <-time.After(pollEvery):
		}
		if ended {
			return fmt.Errorf("waited %v for %s: %w%s", time.Since(begin).Round(time.Millisecond), w.what, err, l.tail(w.log))
		}
	}
}

// hasEnded says that a process of the lab recorded itself and runs no more: there is nothing to wait for.
func (l *Lab) hasEnded(name string) bool {
	r, err := l.record(name)
	return err == nil && !r.Alive()
}

// tail is the end of a log as part of an error message.
func (l *Lab) tail(name string) string {
	if name == "" {
		return ""
	}
	f, err := os.Open(l.LogPath(name))
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := f.Seek(-tailBytes, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return fmt.Sprintf("\nlast lines of %s:\n  %s", l.LogPath(name), strings.Join(lines, "\n  "))
}
