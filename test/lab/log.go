package lab

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// logger writes one line per step with the time since the beginning.
type logger struct {
	mu    sync.Mutex
	out   io.Writer
	begin time.Time
}

func newLogger(out io.Writer) *logger { return &logger{out: out, begin: time.Now()} }

func (l *logger) line(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "lab %6.1fs  %s\n", time.Since(l.begin).Seconds(), fmt.Sprintf(format, args...))
}
