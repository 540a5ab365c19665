package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// stage prints numbered steps with the time since the start. It is also the writer for the progress of others, whose lines it
// indents.
type stage struct {
	w     io.Writer
	start time.Time
	step  int
	rest  []byte // of a line of progress that has not ended yet
}

func newStage(w io.Writer) *stage { return &stage{w: w, start: time.Now()} }

// say begins a step.
func (s *stage) say(format string, args ...any) {
	s.step++
	fmt.Fprintf(s.w, "\n[%6.1f s] %d. %s\n", time.Since(s.start).Seconds(), s.step, fmt.Sprintf(format, args...))
}

// show prints text under the step.
func (s *stage) show(format string, args ...any) {
	for line := range strings.SplitSeq(strings.TrimRight(fmt.Sprintf(format, args...), "\n"), "\n") {
		fmt.Fprintf(s.w, "              %s\n", line)
	}
}

// Write shows whole lines of progress as they come.
func (s *stage) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for {
		line, rest, whole := bytes.Cut(s.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.show("%s", line)
		s.rest = rest
	}
}
